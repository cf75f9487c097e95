/** Saves by itself what is worked on, and never over what somebody else has saved. */

import { Problem, type Api, type Draft } from "./api.ts";
import { same, type Fields, type Json } from "./json.ts";
import { layoutFrom, type Layout } from "./layout.ts";
import { Work, type Content } from "./work.ts";
import { sourceOf } from "./yaml_text.ts";

export type Saving =
  | { state: "saved"; at: number }
  | { state: "waiting" }
  | { state: "saving" }
  | { state: "failed"; why: string }
  | { state: "conflict"; theirs: Draft; tag: string };

/** The draft that somebody's work goes out from. */
export interface Base {
  tag: string;
  saved: Content;
}

const REST_MS = 700;
const KEEP_REST_MS = 200;
const RETRY_MS = 5000;

export class Saver {
  saving: Saving = { state: "saved", at: 0 };
  private savedAt = 0;
  draft: Draft;
  private tag: string;
  private saved: Content;
  private timer = 0;
  private keeping = 0;
  private listeners = new Set<() => void>();
  private readonly api: Api;
  private readonly work: Work;
  private readonly key: string;
  private readonly tell: (message: string) => void;

  constructor(api: Api, work: Work, draft: Draft, base: Base, key: string, tell: (message: string) => void) {
    this.api = api;
    this.work = work;
    this.draft = draft;
    this.tag = base.tag;
    this.saved = base.saved;
    this.key = key;
    this.tell = tell;
    this.set({ state: "saved", at: draft.updated_at ? Date.parse(draft.updated_at) : 0 });
  }

  start(): () => void {
    const stop = this.work.subscribe(() => this.changed());
    const leave = (event: BeforeUnloadEvent) => this.isUnsaved && event.preventDefault();
    const look = () => void this.look();
    window.addEventListener("beforeunload", leave);
    window.addEventListener("focus", look);
    window.addEventListener("pagehide", this.keep);
    if (this.isUnsaved) this.changed();
    return () => {
      stop();
      window.clearTimeout(this.timer);
      window.removeEventListener("beforeunload", leave);
      window.removeEventListener("focus", look);
      window.removeEventListener("pagehide", this.keep);
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): Saving => this.saving;

  get isUnsaved(): boolean {
    return this.work.content !== this.saved && !same(bodyOf(this.work.content), bodyOf(this.saved));
  }

  /** Saves at once; resolves when everything is saved or cannot be. */
  now = async (): Promise<boolean> => {
    window.clearTimeout(this.timer);
    while (this.current().state === "saving") await new Promise((go) => setTimeout(go, 50));
    if (this.current().state === "conflict") return false;
    if (!this.isUnsaved) {
      // What was done was undone before it was saved.
      if (this.current().state === "waiting") this.set({ state: "saved", at: this.savedAt });
      return true;
    }
    const content = this.work.content;
    this.set({ state: "saving" });
    try {
      this.accept(await this.api.saveDraft(bodyOf(content), this.tag), content);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 412) return this.meet();
      this.set({ state: "failed", why: error.message });
      if (error.status === 0 || error.status >= 500) this.timer = window.setTimeout(() => void this.now(), RETRY_MS);
      return false;
    }
    return this.isUnsaved ? this.now() : true;
  };

  /** Publishes what is saved, over the newest version that was seen. */
  async publish(message: string, over: number): Promise<void> {
    if (!(await this.now())) throw new Error("The draft is not saved yet.");
    const content = this.work.content;
    this.accept(await this.api.publish(message, over, this.tag), content);
  }

  /** The newest version there is now. */
  async newest(): Promise<number> {
    return (await this.api.draft()).value?.latest_version ?? this.draft.latest_version;
  }

  /** Takes what somebody else saved, in place of this; it can be undone. */
  takeTheirs(): void {
    if (this.saving.state !== "conflict") return;
    const { theirs } = this.saving;
    const content = this.goOnFrom(this.saving);
    this.set({ state: "saved", at: Date.now() });
    this.work.act(`Take the version of ${personOf(theirs.updated_by)}`, content);
  }

  /** Saves this over what somebody else saved, now that it was seen. */
  async overwrite(): Promise<void> {
    if (this.saving.state !== "conflict") return;
    this.goOnFrom(this.saving);
    this.set({ state: "waiting" });
    await this.now();
  }

  /** Takes what was seen of somebody else's for what the next save replaces. */
  private goOnFrom({ theirs, tag }: { theirs: Draft; tag: string }): Content {
    this.remember(theirs, tag);
    this.saved = contentOf(theirs);
    return this.saved;
  }

  private changed(): void {
    window.clearTimeout(this.keeping);
    this.keeping = window.setTimeout(this.keep, KEEP_REST_MS);
    if (this.saving.state === "conflict" || !this.isUnsaved) return;
    if (this.saving.state !== "saving") this.set({ state: "waiting" });
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.now(), REST_MS);
  }

  /** Sees whether somebody else has saved meanwhile. */
  private async look(): Promise<void> {
    if (this.isUnsaved || this.saving.state !== "saved") return;
    try {
      const { value, tag } = await this.api.draft(this.tag);
      if (!value || this.isUnsaved) return;
      this.remember(value, tag);
      this.saved = contentOf(value);
      this.work.replace(this.saved);
      this.tell(`${personOf(value.updated_by)} has changed this; you see the newest state.`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  /** Somebody was faster: where only one of the two changed the definition, both are kept; else the person decides. */
  private async meet(): Promise<boolean> {
    const { value: theirs, tag } = await this.api.draft();
    if (!theirs) return false;
    const mine = this.work.content;
    const other = contentOf(theirs);
    const base = this.saved.definition;
    if (!same(other.definition, base) && !same(mine.definition, base) && !same(other.definition, mine.definition)) {
      // Its tag is not ours before somebody has chosen: after a reload a save would go through with it, unseen.
      this.set({ state: "conflict", theirs, tag });
      return false;
    }
    const layout = mergedLayout(this.saved.layout, mine.layout, other.layout);
    this.goOnFrom({ theirs, tag });
    const changed = same(other.definition, base) ? mine : other;
    this.work.replace({ definition: changed.definition, source: changed.source, layout });
    this.tell(`${personOf(theirs.updated_by)} has changed this too; both changes are kept.`);
    this.set({ state: "waiting" });
    return this.now();
  }

  private accept({ value, tag }: { value: Draft; tag: string }, content: Content): void {
    this.remember(value, tag);
    this.saved = content;
    this.keep();
    this.set({ state: "saved", at: Date.now() });
  }

  private keep = (): void => this.work.keep(this.key, this.tag, this.saved);

  private remember(draft: Draft, tag: string): void {
    this.draft = draft;
    this.tag = tag;
  }

  private set(saving: Saving): void {
    if (saving.state === "saved") this.savedAt = saving.at;
    this.saving = saving;
    for (const listener of this.listeners) listener();
  }
}

export function contentOf(draft: Draft): Content {
  return { definition: draft.definition, layout: layoutFrom(draft.layout), source: draft.source };
}

export function bodyOf(content: Content): Fields {
  return {
    definition: content.definition,
    layout: content.layout as unknown as Json,
    source: content.source ? sourceOf(content.source, content.definition) : "",
  };
}

export function personOf(actor: string): string {
  const [kind, name] = actor.split(":", 2);
  return kind === "user" && name ? name : kind === "key" ? "A program" : "Somebody";
}

/** Theirs, with what I have changed since the base. */
function mergedLayout(base: Layout, mine: Layout, theirs: Layout): Layout {
  const merge = <T>(from: Record<string, T>, here: Record<string, T>, there: Record<string, T>): Record<string, T> => {
    const merged = { ...there };
    for (const id of new Set([...Object.keys(from), ...Object.keys(here)])) {
      if (same(from[id], here[id])) continue;
      if (id in here) merged[id] = here[id]!;
      else delete merged[id];
    }
    return merged;
  };
  return {
    positions: merge(base.positions, mine.positions, theirs.positions),
    notes: merge(base.notes, mine.notes, theirs.notes),
    groups: merge(base.groups, mine.groups, theirs.groups),
    pins: merge(base.pins, mine.pins, theirs.pins),
  };
}
