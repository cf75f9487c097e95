// What a model is saying right now to the node that the inspector shows: told by the stream, gone when it is said.
const SAID = /^(node\.(completed|failed|cancelled|retrying|waiting)|llm\.called)$/;

export class Saying {
  constructor(panel, place) {
    Object.assign(this, { panel, place });
    this.texts = new Map();
  }

  /** Take a piece of a text, or its end: an empty one at 0. */
  hear({ node, visit, index, from, text }) {
    const key = `${node}#${visit}#${index}`;
    if (!from && !text) this.texts.delete(key);
    else this.texts.set(key, (this.texts.get(key) ?? "").slice(0, from) + text);
    this.show();
  }

  /** What a node does next: then it is said, whatever became of the news of that. */
  over({ type, node }) {
    if (!SAID.test(type)) return;
    for (const key of this.texts.keys()) if (key.startsWith(`${node}#`)) this.texts.delete(key);
    this.show();
  }

  /** Show what is said to the selected node, at the end of it as far as somebody reads there. */
  show() {
    const element = this.panel.querySelector("[data-saying]");
    if (!element) return;
    const text = this.texts.get(this.place());
    element.hidden = !text;
    const words = element.querySelector("p");
    if (!text || words.textContent === text) return;
    const isAtEnd = words.scrollHeight - words.scrollTop - words.clientHeight < 24;
    words.textContent = text;
    if (isAtEnd) words.scrollTop = words.scrollHeight;
  }
}
