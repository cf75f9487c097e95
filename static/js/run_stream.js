// One EventSource for a run, and what is told of the connection: live, reconnecting, stale, off.
import { EVENTS } from "./run_model.js";

const STALE_MS = 20000;
const HIDDEN_MS = 10000; // after which a tab nobody looks at lets its connection go: a browser has only six
const LAST = /^run\.(completed|failed|cancelled)$/;

export class Stream {
  constructor(run, { organization, after, hear, hearText, isOver, place, caughtUp }) {
    Object.assign(this, { run, organization, after, hear, hearText, isOver, place, caughtUp });
    setInterval(() => this.#watch(), 1000);
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** Connect where there is something to come. */
  open() {
    this.close();
    if (this.isOver()) return this.#say("off", "Ended");
    this.#say("off", "Connecting…");
    this.heard = Date.now();
    this.source = new EventSource(`/v1/runs/${this.run}/events?ping=true&texts=true&organization=${this.organization}&after=${this.after()}`);
    this.source.onopen = () => this.#alive();
    this.source.onerror = () => this.#broken();
    this.source.addEventListener("ping", () => this.#alive());
    this.source.addEventListener("text", (event) => this.hearText(JSON.parse(event.data)));
    for (const type of EVENTS) this.source.addEventListener(type, (event) => this.#take(event));
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  #take(event) {
    this.#alive();
    this.hear(JSON.parse(event.data));
    if (LAST.test(event.type) && this.isOver()) {
      this.close();
      this.#say("off", "Ended");
    }
  }

  #alive() {
    this.heard = Date.now();
    this.#say("live", "Live");
  }

  #broken() {
    if (this.isOver()) return this.close(), this.#say("off", "Ended");
    this.#say("lost", "Reconnecting…");
    // The browser tries again by itself, with Last-Event-ID, unless the server answered that it will not.
    if (this.source?.readyState === EventSource.CLOSED) {
      this.close();
      setTimeout(() => this.source ?? this.open(), 3000);
    }
  }

  #watch() {
    if (!this.source || this.isOver() || Date.now() - this.heard < STALE_MS) return;
    this.#say("lost", `Stale: nothing for ${Math.round((Date.now() - this.heard) / 1000)} s`);
  }

  #look() {
    clearTimeout(this.leaving);
    if (document.hidden) this.leaving = setTimeout(() => this.close(), HIDDEN_MS);
    else if (!this.source) {
      this.open();
      this.caughtUp();
    }
  }

  #say(state, words) {
    if (this.place.dataset.state !== state) this.place.dataset.state = state;
    if (this.place.textContent !== words) this.place.textContent = words;
  }
}
