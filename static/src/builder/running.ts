/** Running the draft, whole or in part, and following what happens. */

import { Problem, type Api, type Run, type RunEvent } from "./api.ts";
import { nodesOf, reach, withNode } from "./definition.ts";
import { fieldsOf, isFields, textOf, without, type Fields, type Json } from "./json.ts";
import type { Layout } from "./layout.ts";
import { outputIn } from "./variables.ts";

export interface Badge {
  status: string;
  visits: number;
  message?: string;
  waitsFor?: string; // a person, a time, an event; or its own items, or a child run, which work meanwhile
}

export interface Following {
  run: Run | null; // as the server told it last
  status: string; // empty: there was none yet
  url: string;
  badges: Record<string, Badge>;
  definition: Fields | null; // what was run, so that what changed since can be told
}

export const NOTHING: Following = { run: null, status: "", url: "", badges: {}, definition: null };

export class Runner {
  following: Following = NOTHING;
  private listeners = new Set<() => void>();
  private stop = new AbortController();
  private readonly api: Api;

  constructor(api: Api) {
    this.api = api;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  current = (): Following => this.following;

  async showLast(): Promise<void> {
    const run = await this.api.lastRun().catch(() => null);
    if (!run || this.following.run) return;
    this.show(run, null);
    if (!isOver(run.status)) void this.follow(run.id);
  }

  async start(definition: Fields, input: Json, workflow: string): Promise<void> {
    const started = await this.api.run(definition, input, { draft: workflow });
    this.begin(started, definition);
  }

  /** A new run that takes over what the last one had finished before this node. */
  async startFrom(node: string, definition: Fields): Promise<void> {
    const last = this.following.run;
    if (!last) return;
    const started = await this.api.fork(last.id, { from_node: node, definition });
    this.begin(started, definition);
  }

  async cancel(): Promise<void> {
    if (this.following.run) await this.api.cancel(this.following.run.id);
  }

  get isGoingOn(): boolean {
    return this.following.status !== "" && !isOver(this.following.status);
  }

  private begin(started: { id: string; url: string }, definition: Fields): void {
    this.stop.abort();
    this.stop = new AbortController();
    const run = { id: started.id, url: started.url, status: "pending", nodes: [], input: {}, output: null, error: null, context: {}, created_at: "" };
    this.set({ run, status: "pending", url: started.url, badges: {}, definition });
    void this.follow(started.id);
  }

  private async follow(id: string): Promise<void> {
    const { signal } = this.stop;
    await this.api.follow(id, (event) => this.see(event), signal);
    if (signal.aborted) return;
    const run = await this.api.oneRun(id).catch((error: unknown) => {
      if (error instanceof Problem) return null;
      throw error;
    });
    if (run && !signal.aborted) this.show(run, this.following.definition);
  }

  private see(event: RunEvent): void {
    const { badges } = this.following;
    if (event.type.startsWith("run.")) this.set({ ...this.following, status: statusAfter(event.type) });
    else if (event.type.startsWith("node.") && event.node && (event.index === null || event.index < 0)) {
      const status = event.type.slice(5);
      if (status === "progress") return;
      const message = textOf(fieldsOf(event.data.error).message);
      const badge = { status: status === "started" ? "running" : status, visits: event.visit ?? 1, message, waitsFor: textOf(event.data.waits_for) };
      const known = { ...badges, [event.node]: badge };
      this.set({ ...this.following, badges: known, status: statusWith(this.following.status, known) });
    }
  }

  private show(run: Run, definition: Fields | null): void {
    const badges: Record<string, Badge> = {};
    for (const node of run.nodes) {
      if (node.index === null) badges[node.node] = { status: node.status, visits: node.visit, message: textOf(fieldsOf(node.error).message), waitsFor: node.waiting_for ?? "" };
    }
    this.set({ run, status: run.status, url: run.url, badges, definition });
  }

  private set(following: Following): void {
    this.following = following;
    for (const listener of this.listeners) listener();
  }
}

export function isOver(status: string): boolean {
  return ["completed", "failed", "cancelled"].includes(status);
}

function statusAfter(type: string): string {
  const status = type.slice(4);
  return status === "started" || status === "resumed" ? "running" : status;
}

/** A run waits while nothing in it works and something waits for a person, a time or an event. */
function statusWith(status: string, badges: Record<string, Badge>): string {
  if (status !== "running" && status !== "waiting") return status;
  const going = Object.values(badges);
  if (going.some((one) => ["queued", "running", "retrying"].includes(one.status) || isOfOthers(one))) return "running";
  return going.some(waits) ? "waiting" : status;
}

/** Whether nothing goes on at a node until somebody or something outside has its say. */
export function waits(badge: Badge): boolean {
  return badge.status === "waiting" && !isOfOthers(badge);
}

function isOfOthers({ status, waitsFor }: Badge): boolean {
  return status === "waiting" && ["items", "child", "agent"].includes(waitsFor ?? "");
}

// ---- what is run ----------------------------------------------------------------------------------

/** The draft with pinned nodes giving what they are pinned to. */
export function withPins(definition: Fields, layout: Layout): Fields {
  return Object.entries(layout.pins).reduce(
    (done, [id, output]) => (nodesOf(done)[id] ? withNode(done, id, giving(output, nodesOf(done)[id]!)) : done),
    definition,
  );
}

function giving(output: Fields, node: Fields): Fields {
  const kept = Object.fromEntries(Object.entries(node).filter(([key]) => ["title", "needs", "when", "save", "join"].includes(key)));
  return { type: "set", values: literal(output), ...kept };
}

/** A value that is not read as a template. */
function literal(value: Json): Json {
  if (typeof value === "string") return value.replaceAll("{{", "{{ '{{' }}");
  if (Array.isArray(value)) return value.map(literal);
  return isFields(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, literal(item)])) : value;
}

/** The part of a definition that leads to a node, with it. */
export function upTo(definition: Fields, node: string): Fields {
  return part(definition, new Set([...reach(definition, node, "before"), node]));
}

function part(definition: Fields, kept: ReadonlySet<string>): Fields {
  const nodes = Object.fromEntries(Object.entries(fieldsOf(definition.nodes)).filter(([id]) => kept.has(id)));
  const edges = Array.isArray(definition.edges)
    ? definition.edges.filter((edge) => isFields(edge) && kept.has(textOf(edge.from)) && kept.has(textOf(edge.to)))
    : [];
  return { ...without(definition, "outputs"), nodes, edges };
}

/** The nodes whose output a node reads. */
export function readBy(definition: Fields, node: string): string[] {
  const text = JSON.stringify(nodesOf(definition)[node] ?? {});
  return Object.keys(nodesOf(definition)).filter((id) => {
    const name = id.replaceAll("-", "\\-");
    return id !== node && new RegExp(`\\bnodes(\\.${name}(?![\\w-])|\\[\\\\?["']${name}\\\\?["']\\])`).test(text);
  });
}

/** A definition that runs one node alone, on what those before it gave; or why that is not possible. */
export function alone(definition: Fields, layout: Layout, node: string, last: Run | null): Fields | string {
  const spec = nodesOf(definition)[node];
  if (!spec) return "There is no such node.";
  let small: Fields = { ...without(definition, "outputs"), nodes: { [node]: without(without(spec, "needs"), "when") }, edges: [] };
  for (const id of readBy(definition, node)) {
    const output = layout.pins[id] ?? outputIn(last, id);
    if (output === undefined) return `It reads the output of '${id}', which the last run did not reach.`;
    if (!isFields(output)) return `It reads the output of '${id}', which is no object and cannot stand in for the node.`;
    small = { ...withNode(small, id, { type: "set", values: literal(output) }) };
    small.edges = [...(small.edges as Json[]), { from: id, to: node }];
  }
  return withContext(small, last);
}

function withContext(definition: Fields, last: Run | null): Fields {
  const values = last?.context ?? {};
  const keys = Object.entries(fieldsOf(definition.context)).map(([key, spec]) => [key, key in values ? { ...fieldsOf(spec), initial: values[key]! } : spec]);
  return keys.length ? { ...definition, context: Object.fromEntries(keys) as Fields } : definition;
}

/** Whether a node has another definition than when it last ran. */
export function changedSince(definition: Fields, run: Following, node: string): boolean {
  if (!run.definition || !run.badges[node]) return false;
  return JSON.stringify(nodesOf(definition)[node]) !== JSON.stringify(nodesOf(run.definition)[node]);
}

