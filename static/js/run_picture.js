// Draws what changed into the graph and the timeline that the server made; it never makes them anew.
import { noteOf } from "./run_model.js";
import { Scale } from "./run_scale.js";

const LOOKS = {
  queued: ["queued", "queued"], running: ["running", "running"], waiting: ["waiting", "waiting"], retrying: ["retrying", "retrying"],
  completed: ["completed", "completed"], failed: ["failed", "failed"], cancelled: ["cancelled", "cancelled"], skipped: ["skipped", "skipped"],
};
const TRIES = { completed: "completed", failed: "retrying", timeout: "retrying", lost: "cancelled", released: "cancelled" };
const THINNEST = 2; // pixels of a bar
const VIRTUAL = 200; // rows that are in the page at once; beyond them only those that are looked at
const SVG = "http://www.w3.org/2000/svg";
const sprite = () => document.querySelector(".nav use").getAttribute("href").replace(/#.*/, "");

// ---- graph ------------------------------------------------------------------------------------------

export class Graph {
  constructor(root) {
    this.root = root;
    this.boxes = new Map([...(root?.querySelectorAll("[data-node]") ?? [])].map((box) => [box.dataset.node, box]));
    this.sprite = sprite();
  }

  describe(name) {
    const box = this.boxes.get(name);
    return { title: box?.dataset.title ?? name, kind: box?.dataset.kind ?? "", attempts: Number(box?.dataset.attempts ?? 1) };
  }

  draw(row, now) {
    const box = this.boxes.get(row.node);
    if (!box) return;
    const note = noteOf(row, now);
    this.#look(box, row.status);
    write(box.querySelector(".note"), note);
    write(box.querySelector("title"), `${box.dataset.title}, ${box.dataset.kind}, ${row.status}, ${note}`);
    if (row.visit > 1) write(box.querySelector(".times") ?? this.#text(box, "times", 150, 40), `×${row.visit}`);
  }

  skip(name) {
    const box = this.boxes.get(name);
    if (!box?.classList.contains("idle")) return;
    this.#look(box, "skipped");
    write(box.querySelector("title"), `${box.dataset.title}, ${box.dataset.kind}, skipped`);
  }

  take(edge, count) {
    const wire = this.root?.querySelector(`[data-edge="${edge}"]`);
    wire?.classList.add("taken");
    const label = this.root?.querySelector(`[data-edge-label="${edge}"]`);
    if (label?.classList.contains("on-loop") && count > 1) write(label, `${label.dataset.label} ×${count}`.trim());
  }

  select(name) {
    for (const box of this.boxes.values()) mark(box, box.dataset.node === name);
  }

  /** Bring a node into view, without moving the page. */
  reveal(name) {
    const box = this.boxes.get(name)?.getBoundingClientRect();
    const frame = this.root?.getBoundingClientRect();
    if (!box) return;
    if (box.left < frame.left || box.right > frame.right) this.root.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
    if (box.top < frame.top || box.bottom > frame.bottom) this.root.scrollTop += box.top - frame.top - (frame.height - box.height) / 2;
  }

  #look(box, status) {
    const [tone, shape] = LOOKS[status] ?? LOOKS.queued;
    const css = `box tone-${tone}`;
    if (box.getAttribute("class") === css) return;
    box.setAttribute("class", css);
    box.querySelector(".mark").setAttribute("href", `${this.sprite}#status-${shape}`);
  }

  #text(box, css, x, y) {
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("class", css);
    text.setAttribute("x", x);
    text.setAttribute("y", y);
    return box.appendChild(text);
  }
}

// ---- timeline ---------------------------------------------------------------------------------------

export class Timeline {
  constructor(frame, model) {
    this.frame = frame;
    this.model = model;
    this.scale = new Scale();
    this.list = frame.querySelector("#timeline-rows");
    this.template = document.getElementById("row-template").content.firstElementChild;
    this.shown = new Map([...this.list.children].map((element) => [element.dataset.key, element]));
    this.selected = "";
    this.sprite = sprite();
    frame.addEventListener("scroll", () => this.isVirtual && this.lay(), { passive: true });
    this.lay();
  }

  get isVirtual() {
    return this.model.rows.length > VIRTUAL;
  }

  /** Put the rows in place: all of them, or those in view with room above and below for the others. */
  lay() {
    document.querySelector(".timeline-empty")?.toggleAttribute("hidden", this.model.rows.length > 0);
    const rows = this.isVirtual ? this.#inView() : this.model.rows;
    const wanted = new Set(rows.map((row) => row.key));
    for (const [key, element] of this.shown) if (!wanted.has(key)) element.remove(), this.shown.delete(key);
    let before = null;
    for (const row of rows) {
      const element = this.shown.get(row.key) ?? this.#make(row);
      const place = before ? before.nextSibling : this.list.firstChild;
      if (place !== element) this.list.insertBefore(element, place);
      before = element;
    }
  }

  draw(row) {
    const element = this.shown.get(row.key);
    if (!element) return;
    const [tone, shape] = LOOKS[row.status] ?? LOOKS.queued;
    const css = `timeline-row tone-${tone}`;
    if (element.className !== css) {
      element.className = css;
      const icon = element.querySelector(".icon");
      icon.setAttribute("class", `icon status-icon tone-${tone}${shape === "running" ? " turning" : ""}`);
      icon.setAttribute("aria-label", row.status);
      icon.firstElementChild.setAttribute("href", `${this.sprite}#status-${shape}`);
    }
    write(element.querySelector(".figure"), noteOf(row, this.model.now));
    this.#bars(element.querySelector(".track"), row);
  }

  select(key) {
    this.selected = key;
    for (const [one, element] of this.shown) mark(element, one === key);
  }

  reveal(key) {
    const place = this.model.rows.findIndex((row) => row.key === key);
    if (place < 0) return;
    const height = this.#height();
    const top = place * height; // the axis stands above the first, and stays while they scroll
    const room = this.frame.clientHeight - this.list.offsetTop - height;
    if (top < this.frame.scrollTop) this.frame.scrollTop = top;
    else if (top > this.frame.scrollTop + room) this.frame.scrollTop = top - room;
  }

  #bars(track, row) {
    const bars = track.children;
    const thinnest = (THINNEST / Math.max(1, track.clientWidth)) * 100;
    row.segments.forEach((segment, place) => {
      const bar = bars[place] ?? track.appendChild(document.createElementNS(SVG, "rect"));
      const end = segment.end ?? (this.model.isOver ? this.model.end ?? segment.start : this.model.now);
      const [from, to] = [this.scale.x(segment.start), this.scale.x(end)];
      const [left, right] = [Math.max(0, from), Math.min(100, to)];
      put(bar, "class", tone(row, segment, place === row.segments.length - 1));
      put(bar, "x", `${Math.min(left, 100 - thinnest).toFixed(2)}%`);
      put(bar, "width", to < 0 || from > 100 ? "0" : `${Math.max(thinnest, right - left).toFixed(2)}%`);
    });
    while (bars.length > row.segments.length) bars[bars.length - 1].remove();
  }

  #make(row) {
    const element = this.template.cloneNode(true);
    element.dataset.key = row.key;
    element.setAttribute("href", `?node=${encodeURIComponent(row.node)}${row.visit > 1 ? `&visit=${row.visit}` : ""}`);
    const name = element.querySelector(".truncate");
    name.textContent = name.title = row.title;
    mark(element, row.key === this.selected);
    this.shown.set(row.key, element);
    this.draw(row);
    return element;
  }

  #inView() {
    const height = this.#height();
    const room = Math.ceil(this.frame.clientHeight / height) + 20;
    const first = Math.max(0, Math.min(Math.floor(this.frame.scrollTop / height) - 10, this.model.rows.length - room));
    const rows = this.model.rows.slice(first, first + room);
    this.list.style.paddingTop = `${first * height}px`;
    this.list.style.paddingBottom = `${(this.model.rows.length - first - rows.length) * height}px`;
    return rows;
  }

  #height() {
    return this.list.firstElementChild?.offsetHeight || 28;
  }
}

function tone(row, segment, isLast) {
  if (segment.kind === "queue") return "queue";
  const taken = segment.outcome === "lost" || segment.outcome === "released";
  const waited = segment.kind === "wait" ? " waited" : "";
  if (isLast && !taken) return `bar tone-${segment.outcome === "running" ? "running" : LOOKS[row.status]?.[0] ?? "queued"}${waited}`;
  return `bar tone-${TRIES[segment.outcome] ?? "waiting"}${waited}`;
}

// Only what differs is written: a browser lays out again for every write.
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function mark(element, isCurrent) {
  if (isCurrent) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}
