// Where a moment of a run stands on the timeline: of all of it or of a window, with idle time or without.
// Milliseconds since the run was accepted go in, percents of the width come out.
const WORK_OF_OTHERS = /^(map|workflow)/; // its waiting is no idle time: items or another run go on
const LEAST_IDLE = 0.05; // of the whole; hiding less gains nothing
const FOLDED = 0.04; // of what remains: the room of idle time that is hidden
const CLOSEST = 10; // milliseconds; a window is never narrower
const TICKS = 5;
const ROOM = 64; // pixels, that the words of a tick take with what is free beside them
const LETTER = 7; // pixels, about
const EDGE = 4; // percent, within which words begin or end at their tick
const BEFORE = { start: 0, middle: 0.5, end: 1 }; // how much of the words stands before the tick
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 432e5, 864e5];

export class Scale {
  whole = 1;
  window = null; // what is looked at, [from, to]; null is the whole run
  isFolded = false; // whether idle time is hidden
  idle = []; // [from, to] of each time in which nothing ran

  /** Take in how far the run is; true where every bar has to be drawn again. */
  follow({ rows, now, end, isOver }) {
    this.whole = isOver ? Math.max(end ?? 0, lastEnd(rows), 1) : nice(now);
    this.idle = idleIn(rows, isOver ? this.whole : now);
    const shape = JSON.stringify([this.whole, this.window, this.isFolded && this.idle]);
    const isNew = shape !== this.shape;
    this.shape = shape;
    return isNew;
  }

  get idleTime() {
    return this.idle.reduce((sum, [from, to]) => sum + to - from, 0);
  }

  /** Look at a window; one that is as wide as the run is the whole run. */
  look(from, to) {
    const wide = Math.min(this.whole, Math.max(CLOSEST, to - from));
    const start = Math.min(Math.max(0, (from + to - wide) / 2), this.whole - wide);
    this.window = wide >= this.whole ? null : [start, start + wide];
  }

  /** See less (a factor below 1) or more, around the middle. */
  zoom(factor) {
    const [from, to] = [this.at(50 - 50 * factor), this.at(50 + 50 * factor)];
    if (factor < 1 || this.window) this.look(from, to);
  }

  /** Go aside by a part of the window. */
  pan(part) {
    if (!this.window) return;
    const [from, to] = this.window;
    const by = Math.min(Math.max((to - from) * part, -from), this.whole - to);
    this.window = [from + by, to + by];
  }

  x(moment) {
    const [from, to] = (this.window ?? [0, this.whole]).map((one) => this.#shown(one));
    return ((this.#shown(moment) - from) / Math.max(to - from, 1e-6)) * 100;
  }

  /** The moment at so many percents; also beyond the edges. */
  at(percent) {
    let [low, high] = [-this.whole, 2 * this.whole];
    for (let step = 0; step < 50; step += 1) {
      const middle = (low + high) / 2;
      if (this.x(middle) < percent) low = middle;
      else high = middle;
    }
    return high;
  }

  /** [percent, words] along an axis of so many pixels, none over another. */
  ticks(width) {
    const [from, to] = this.window ?? [0, this.whole];
    const shown = this.#shown(to) - this.#shown(from);
    const most = Math.max(1, Math.min(TICKS, Math.floor(width / ROOM)));
    const step = STEPS.find((one) => shown / one <= most) ?? Math.ceil(shown / most / 864e5) * 864e5;
    const letter = (LETTER / width) * 100;
    const ticks = [];
    let free = -Infinity; // from where on there is room
    for (let moment = Math.ceil(from / step) * step; moment <= to; moment += step) {
      const gap = this.isFolded && this.idle.find(([begin, end]) => begin < moment && moment < end);
      if (gap) moment = Math.ceil(gap[1] / step) * step; // what is hidden has no ticks, and may be months
      const x = this.x(moment);
      const text = words(moment, step);
      const long = text.length * letter;
      const left = x - long * BEFORE[anchor(x)];
      if (x > 100 || left < free) continue;
      ticks.push([x, text]);
      free = left + long + letter;
    }
    return ticks;
  }

  /** The times that are hidden, in percents. */
  folds() {
    return this.isFolded ? this.idle.map(([from, to]) => [this.x(from), this.x(to), to - from]).filter(([from, to]) => to > 0 && from < 100) : [];
  }

  /** How much is shown until a moment: all, or without what is hidden. */
  #shown(moment) {
    if (!this.isFolded) return moment;
    const room = (this.whole - this.idleTime) * FOLDED;
    return this.idle.reduce((shown, [from, to]) => {
      const hidden = Math.min(Math.max(moment - from, 0), to - from);
      return shown - hidden * (1 - Math.min(1, room / (to - from)));
    }, moment);
  }
}

/** Where the words of a tick stand by it: at the edges they would leave the axis. */
export function anchor(x) {
  return x < EDGE ? "start" : x > 100 - EDGE ? "end" : "middle";
}

/** When nothing ran: everybody waited for a person, for a time or for an event. */
function idleIn(rows, until) {
  const busy = rows.flatMap((row) => row.segments
    .filter((one) => one.kind !== "wait" || WORK_OF_OTHERS.test(row.kind))
    .map((one) => [one.start, one.end ?? until]));
  busy.sort((one, other) => one[0] - other[0]);
  const idle = [];
  let reached = 0;
  for (const [start, end] of [...busy, [until, until]]) {
    if (start - reached > until * LEAST_IDLE) idle.push([reached, start]);
    reached = Math.max(reached, end);
  }
  return idle;
}

function lastEnd(rows) {
  return rows.reduce((latest, row) => Math.max(latest, row.segments.at(-1)?.end ?? 0), 0);
}

// As `nice` in rows.py.
function nice(milliseconds) {
  for (let size = 1000; ; size *= 10) {
    for (const step of [1, 2, 5]) if (milliseconds < step * size * 0.95) return step * size;
  }
}

/** A moment, as exactly as its neighbours need it: 250 ms, 1.5 s, 2:05, 3 h 10 min. */
function words(moment, step) {
  if (moment < 1000 && step < 1000) return `${moment} ms`;
  const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  if (moment < 60e3) return `${(moment / 1000).toFixed(digits)} s`;
  const minutes = Math.floor(moment / 60e3);
  if (moment < 36e5) return `${minutes}:${((moment % 60e3) / 1000).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}` : `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
}
