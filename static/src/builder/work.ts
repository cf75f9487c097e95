/** What is being worked on, with everything that was done to it: undo and redo without an end, and across a reload. */

import type { Fields } from "./json.ts";
import type { Layout } from "./layout.ts";

export interface Content {
  definition: Fields;
  layout: Layout;
  source: string; // YAML with comments that the definition came from; empty where nobody wrote any
}

interface Step {
  label: string;
  before: Content;
}

interface Kept {
  tag: string; // of the draft that `saved` is
  content: Content;
  saved: Content;
  past: Step[];
  future: Step[];
}

const MOST_KEPT = 4_000_000; // characters; browsers keep about 5 MB for a tab
const SAME_ACT_MS = 1500;

export class Work {
  content: Content;
  past: Step[] = [];
  future: Step[] = [];
  private listeners = new Set<() => void>();
  private lastAct = { key: "", at: 0 };

  constructor(content: Content) {
    this.content = content;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): Content => this.content;

  /** Changes the content as one step; steps of one `key` that follow each other quickly are one. */
  act(label: string, change: Partial<Content>, key = ""): void {
    const now = Date.now();
    const goesOn = key !== "" && key === this.lastAct.key && now - this.lastAct.at < SAME_ACT_MS && this.past.length > 0;
    if (!goesOn) this.past = [...this.past, { label, before: this.content }];
    this.future = [];
    this.lastAct = { key, at: now };
    this.set({ ...this.content, ...change });
  }

  /** Puts in what others have done: it is no step of this person's. */
  replace(change: Partial<Content>): void {
    this.lastAct.key = "";
    this.set({ ...this.content, ...change });
  }

  undo(): string | null {
    const step = this.past.at(-1);
    if (!step) return null;
    this.past = this.past.slice(0, -1);
    this.future = [...this.future, { label: step.label, before: this.content }];
    this.lastAct.key = "";
    this.set(step.before);
    return step.label;
  }

  redo(): string | null {
    const step = this.future.at(-1);
    if (!step) return null;
    this.future = this.future.slice(0, -1);
    this.past = [...this.past, { label: step.label, before: this.content }];
    this.lastAct.key = "";
    this.set(step.before);
    return step.label;
  }

  /** Keeps everything for a reload of this tab; of very many steps the oldest are let go. */
  keep(key: string, tag: string, saved: Content): void {
    let past = this.past;
    for (;;) {
      const kept: Kept = { tag, content: this.content, saved, past, future: this.future };
      const text = JSON.stringify(kept);
      if (text.length < MOST_KEPT || !past.length) {
        try {
          sessionStorage.setItem(key, text);
        } catch {
          sessionStorage.removeItem(key);
        }
        return;
      }
      past = past.slice(Math.ceil(past.length / 2));
    }
  }

  static kept(key: string): Kept | null {
    try {
      return JSON.parse(sessionStorage.getItem(key) ?? "null") as Kept | null;
    } catch {
      return null;
    }
  }

  private set(content: Content): void {
    this.content = content;
    for (const listener of this.listeners) listener();
  }
}
