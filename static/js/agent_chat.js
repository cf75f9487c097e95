// Talking with an agent: what it says as it comes, and each tool that it calls on the way. All of it is shown as text.
const NEAR_THE_END = 48; // pixels
const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

class Chat {
  constructor(root) {
    this.root = root;
    this.said = root.querySelector("[data-chat-said]");
    this.form = root.querySelector("[data-chat-form]");
    this.field = this.form.elements.message;
    this.send = root.querySelector("[data-chat-send]");
    this.stop = root.querySelector("[data-chat-stop]");
    this.nothing = root.querySelector("[data-chat-empty]");
    this.history = [];
    this.form.addEventListener("submit", (event) => (event.preventDefault(), this.say()));
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.stop.addEventListener("click", () => this.halt());
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.halt());
    root.querySelector("[data-chat-clear]").addEventListener("click", () => this.clear());
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.say();
  }

  async say() {
    const message = this.field.value.trim();
    if (!message || this.asking) return;
    this.#add("You").querySelector(".words").textContent = message;
    this.answer = this.#add("Agent");
    this.field.value = "";
    this.#busy(new AbortController());
    try {
      await this.#ask(message);
    } catch (error) {
      this.#broken(error, message);
    }
    this.#busy(null);
  }

  async #ask(message) {
    const body = { message, history: this.history };
    if (this.root.dataset.document) body.agent = await this.#document();
    const response = await this.#post(this.root.dataset.chat, JSON.stringify(body), { "Content-Type": "application/json" });
    let isOver = false;
    for await (const [kind, facts] of pieces(response.body)) {
      isOver ||= kind === "answer" || kind === "error";
      this.#take(kind, facts, message);
    }
    if (!isOver) throw new Error("The connection broke off before the answer was complete. Send it again.");
  }

  /** The agent as it is written at the moment. */
  async #document() {
    const form = document.querySelector("[data-editor]");
    return (await (await this.#post(this.root.dataset.document, new FormData(form))).json()).agent;
  }

  async #post(url, body, headers = {}) {
    const own = { "X-CSRFToken": csrfToken(), "Orchestra-Organization": this.root.dataset.organization, Accept: "application/json, text/event-stream" };
    const response = await fetch(url, { method: "POST", body, headers: { ...own, ...headers }, signal: this.asking.signal });
    if (response.ok) return response;
    throw new Error(await problem(response));
  }

  #take(kind, facts, message) {
    const isNear = this.said.scrollHeight - this.said.scrollTop - this.said.clientHeight < NEAR_THE_END;
    if (kind === "text") this.answer.querySelector(".words").append(facts.text);
    else if (kind === "tool") this.#called(facts);
    else if (kind === "answer") this.#answered(facts);
    else if (kind === "error") this.#refused(facts.message, message);
    if (isNear) this.#toEnd();
  }

  #called({ name, arguments: given, result, error }) {
    const call = this.root.querySelector("[data-chat-call]").content.firstElementChild.cloneNode(true);
    call.querySelector(".name").textContent = name;
    call.querySelector(".outcome").textContent = error ? "refused" : "done";
    call.classList.toggle("is-refused", Boolean(error));
    call.querySelector(".given").textContent = JSON.stringify(given, null, 2);
    call.querySelector(".gave").textContent = error ?? readable(result);
    this.answer.querySelector(".calls").append(call);
    this.answer.querySelector(".words").textContent = ""; // what was said before a call is no answer
  }

  #answered(facts) {
    this.history = facts.history;
    const text = facts.text || JSON.stringify(facts.output, null, 2);
    this.answer.querySelector(".words").textContent = text;
    const cost = facts.cost_usd ? `$${facts.cost_usd.toFixed(facts.cost_usd < 0.0001 ? 6 : 4)}` : "$0";
    const turns = `${facts.turns} question${facts.turns === 1 ? "" : "s"}`;
    this.#figures([facts.model, turns, `${facts.tokens.toLocaleString("en")} tokens`, cost], facts.is_demo);
  }

  #figures(figures, isDemo) {
    const place = this.answer.querySelector(".figures");
    place.textContent = figures.join(" · ");
    if (!isDemo) return;
    const tag = Object.assign(document.createElement("span"), { className: "tag", textContent: "demo" });
    tag.title = "A model that plays by rules. Set up a real one under Settings, Models.";
    place.prepend(tag, " ");
  }

  #broken(error, message) {
    if (error.name === "AbortError") return this.#figures(["Stopped. What it said is not part of the conversation."]);
    this.#refused(error instanceof TypeError ? "The server does not answer. Try again in a moment." : error.message, message);
  }

  /** Say what went wrong, and give the message back so that it can be sent again. */
  #refused(words, message) {
    this.answer.classList.add("is-failed");
    this.answer.querySelector(".words").textContent = words;
    if (!this.field.value) this.field.value = message;
  }

  halt() {
    this.asking?.abort();
  }

  clear() {
    this.halt();
    this.history = [];
    this.said.replaceChildren(this.nothing);
    this.field.focus();
  }

  #add(who) {
    const one = this.root.querySelector("[data-chat-one]").content.firstElementChild.cloneNode(true);
    one.classList.add(who === "You" ? "by-you" : "by-agent");
    one.querySelector(".who").textContent = who;
    this.nothing.remove();
    this.said.append(one);
    this.#toEnd();
    return one;
  }

  #busy(asking) {
    this.asking = asking;
    this.send.hidden = Boolean(asking);
    this.stop.hidden = !asking;
    this.answer.classList.toggle("is-coming", Boolean(asking));
    if (!asking && !document.activeElement?.closest("[data-editor]")) this.field.focus();
  }

  #toEnd() {
    this.said.scrollTop = this.said.scrollHeight;
  }
}

/** The events of a stream, each with its kind and facts. */
async function* pieces(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const frames = (rest + read.value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.event) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}

/** What the server has against a request, with the places. */
async function problem(response) {
  try {
    const { detail, errors = [] } = await response.json();
    const places = errors.map((one) => `${one.pointer.replace(/^\/agent/, "") || "/"}: ${one.message}`);
    return [detail, ...places].join("\n");
  } catch {
    return `The server answered ${response.status}. Try again in a moment.`;
  }
}

function readable(result) {
  try {
    return JSON.stringify(JSON.parse(result), null, 2);
  } catch {
    return result; // it was too long, and is cut
  }
}

document.querySelectorAll("[data-chat]").forEach((root) => new Chat(root));
