// What people do with the time of a run: look at a part of it, at all of it, and fold what was idle.
import { isTyping } from "./keys.js";
import { duration } from "./run_model.js";
import { write } from "./run_picture.js";
import { anchor } from "./run_scale.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAG = 4; // pixels, below which it was a click
const AROUND = 0.04; // of a bar that is fitted, left free at each side
const MOSTLY = 0.5; // of the time, from which on hiding idle time is offered
const KEYS = { "+": (scale) => scale.zoom(0.5), "=": (scale) => scale.zoom(0.5), "-": (scale) => scale.zoom(2), "0": (scale) => (scale.window = null) };
const PANS = { ArrowLeft: -0.25, ArrowRight: 0.25 };
export const PARAMETERS = ["from", "to", "idle"]; // of the address

export class Zoom {
  constructor(timeline, redraw) {
    this.timeline = timeline;
    this.scale = timeline.scale;
    this.redraw = redraw;
    this.axis = document.getElementById("axis");
    this.grid = document.getElementById("grid");
    this.wholeRun = document.getElementById("whole-run");
    this.zoomOut = document.getElementById("zoom-out");
    this.foldIdle = document.getElementById("fold-idle");
    this.read();
    this.axis.addEventListener("pointerdown", (event) => this.#brush(event));
    this.axis.addEventListener("dblclick", () => this.#do(() => (this.scale.window = null)));
    timeline.frame.addEventListener("dblclick", (event) => this.#fitUnder(event));
    this.wholeRun.addEventListener("click", () => this.#do(() => (this.scale.window = null)));
    this.foldIdle.addEventListener("click", () => this.#do(() => (this.scale.isFolded = !this.scale.isFolded)));
    document.getElementById("zoom-in").addEventListener("click", () => this.#do(() => this.scale.zoom(0.5)));
    this.zoomOut.addEventListener("click", () => this.#do(() => this.scale.zoom(2)));
    document.addEventListener("keydown", (event) => this.#press(event));
    new ResizeObserver(redraw).observe(this.axis);
  }

  get isAway() {
    return this.scale.window !== null;
  }

  leave() {
    this.#do(() => (this.scale.window = null));
  }

  /** Draw the axis and the lines below it. */
  draw() {
    const ticks = this.scale.ticks(this.axis.getBoundingClientRect().width || 1);
    this.axis.replaceChildren(...ticks.map(([x, words]) => tick(x, words)), ...this.#brushed());
    this.grid.replaceChildren(
      ...ticks.map(([x]) => shape("line", { x1: `${x}%`, x2: `${x}%`, y1: 0, y2: "100%" })),
      ...this.scale.folds().map(([from, to, time]) => fold(from, to, time)),
      ...this.#brushed(),
    );
  }

  /** Show the buttons that there is a reason for. */
  offer() {
    const { scale } = this;
    const { isOver, now } = this.timeline.model;
    this.wholeRun.hidden = this.zoomOut.disabled = !scale.window;
    this.foldIdle.hidden = !scale.isFolded && scale.idleTime < (isOver ? scale.whole : now) * MOSTLY;
    this.foldIdle.setAttribute("aria-pressed", String(scale.isFolded));
    write(this.foldIdle, `${scale.isFolded ? "Show" : "Hide"} ${duration(scale.idleTime)} of idle time`);
  }

  #do(act) {
    act();
    this.#write();
    this.redraw();
  }

  #press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (document.querySelector("dialog:modal, .menu:popover-open")) return;
    const act = event.shiftKey && this.isAway && PANS[event.key] ? (scale) => scale.pan(PANS[event.key]) : KEYS[event.key];
    const row = event.key === "z" && this.timeline.model.byKey.get(this.timeline.selected);
    if (!act && !row) return;
    event.preventDefault();
    if (row) this.#fit(row.segments);
    else this.#do(() => act(this.scale));
  }

  // ---- dragging over the axis -------------------------------------------------------------------------

  #brush(down) {
    if (down.button !== 0) return;
    const box = this.axis.getBoundingClientRect();
    const percent = (event) => Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100));
    const started = percent(down);
    const ending = new AbortController();
    const on = (type, act) => document.addEventListener(type, act, { signal: ending.signal });
    const end = () => {
      ending.abort();
      this.brush = null;
      this.draw();
    };
    down.preventDefault();
    this.axis.setPointerCapture(down.pointerId);
    on("pointermove", (move) => {
      this.brush = [started, percent(move)].sort((one, other) => one - other);
      this.draw();
    });
    on("pointercancel", end);
    on("keydown", (event) => event.key === "Escape" && (event.preventDefault(), end()));
    on("pointerup", (up) => {
      const [from, to] = [started, percent(up)].sort((one, other) => one - other).map((one) => this.scale.at(one));
      end();
      if (Math.abs(up.clientX - down.clientX) >= DRAG) this.#do(() => this.scale.look(from, to));
    });
  }

  #brushed() {
    if (!this.brush) return [];
    const [from, to] = this.brush;
    return [shape("rect", { class: "brush", x: `${from}%`, width: `${to - from}%`, height: "100%" })];
  }

  // A double click fits the bar under it, or all of the row.
  #fitUnder(event) {
    const element = event.target.closest(".timeline-row");
    const row = element && this.timeline.model.byKey.get(element.dataset.key);
    if (!row) return;
    const place = [...element.querySelector(".track").children].indexOf(event.target);
    event.preventDefault();
    getSelection()?.removeAllRanges();
    this.#fit(place < 0 ? row.segments : [row.segments[place]]);
  }

  #fit(segments) {
    const [from, to] = [segments[0].start, segments.at(-1).end ?? this.timeline.model.now];
    const free = (to - from) * AROUND;
    this.#do(() => this.scale.look(from - free, to + free));
  }

  // ---- the address ------------------------------------------------------------------------------------

  read() {
    const query = new URLSearchParams(location.search);
    const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
    this.scale.follow(this.timeline.model); // a window is a part of what there is
    this.scale.isFolded = query.get("idle") === "hidden";
    this.scale.window = null;
    if (to > from && from >= 0) this.scale.look(from, to);
  }

  #write() {
    const query = new URLSearchParams(location.search);
    const { window, isFolded } = this.scale;
    PARAMETERS.forEach((name) => query.delete(name));
    if (window) query.set("from", Math.round(window[0])), query.set("to", Math.round(window[1]));
    if (isFolded) query.set("idle", "hidden");
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  }
}

function tick(x, words) {
  const text = shape("text", { x: `${x}%`, y: 16, "text-anchor": anchor(x) });
  text.textContent = words;
  return text;
}

function fold(from, to, time) {
  const rect = shape("rect", { class: "fold", x: `${from}%`, width: `${to - from}%`, height: "100%" });
  rect.append(shape("title", {}));
  rect.firstChild.textContent = `${duration(time)} in which nothing ran`;
  return rect;
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
