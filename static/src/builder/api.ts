/** The same API that programs use, with the browser's session. */

import { isFields, type Fields, type Json } from "./json.ts";

export interface Place {
  workflow: string; // its name
  id: string;
  title: string;
  organization: string;
  csrf: string;
  canEdit: boolean;
  canRun: boolean;
}

export interface Issue {
  pointer: string;
  code: string;
  message: string;
  fix?: string | null;
}

export interface Draft {
  workflow: string;
  revision: number;
  definition: Fields;
  source: string;
  layout: Fields;
  based_on: number;
  differs: boolean;
  latest_version: number;
  published_version: number | null;
  updated_by: string;
  updated_at: string | null;
}

export interface Answer<T> {
  value: T;
  tag: string;
}

export interface NodeType {
  type: string;
  description: string;
  fields: Fields;
  expressions: string[];
}

export interface Agent {
  name: string;
  description: string;
  capabilities: string[];
  config_schema: Fields;
  input_schema: Fields;
  output_schema: Fields;
}

export interface Tool {
  name: string;
  description: string;
  effect: string;
  input_schema: Fields;
  output_schema: Fields;
}

export interface Version {
  number: number;
  message: string;
  created_by: string;
  created_at: string;
  published: boolean;
}

export interface NodeRun {
  node: string;
  visit: number;
  index: number | null;
  status: string;
  waiting_for: string | null;
  attempt: number;
  duration_ms: number | null;
  input: Json;
  output: Json;
  error: Json;
}

export interface Run {
  id: string;
  status: string;
  url: string;
  created_at: string;
  input: Json;
  output: Json;
  error: Json;
  context: Fields;
  nodes: NodeRun[];
}

export interface RunEvent {
  seq: number;
  type: string;
  node: string | null;
  index: number | null;
  visit: number | null;
  data: Fields;
}

/** What the server says about a request that it did not do. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: Issue[];

  constructor(status: number, body: Json) {
    const facts = isFields(body) ? body : {};
    super(typeof facts.detail === "string" ? facts.detail : status ? `The server answered ${status}.` : "The server cannot be reached.");
    this.status = status;
    this.code = typeof facts.code === "string" ? facts.code : "";
    this.errors = Array.isArray(facts.errors) ? (facts.errors as unknown as Issue[]) : [];
  }
}

interface Request {
  body?: Json;
  yaml?: string;
  match?: string;
  unless?: string;
}

export class Api {
  readonly place: Place;
  private readonly at: string;

  constructor(place: Place) {
    this.place = place;
    this.at = `/v1/workflows/${encodeURIComponent(place.id)}`;
  }

  draft = (unless?: string): Promise<Answer<Draft | null>> => this.ask("GET", `${this.at}/draft`, { unless });

  saveDraft = (body: Fields, match?: string): Promise<Answer<Draft>> => this.ask("PUT", `${this.at}/draft`, { body, match });

  /** Publishes the draft; `over` is the newest version that was seen. Raises a Problem (newer_version) where there is a newer one. */
  publish = (message: string, over: number, match: string): Promise<Answer<Draft>> =>
    this.ask("POST", `${this.at}/draft/publish`, { body: { message, over }, match });

  versions = async (): Promise<Version[]> => (await this.get<{ items: Version[] }>(`${this.at}/versions?limit=200`)).items;

  version = (number: number): Promise<{ definition: Fields; source: string; source_format: string; dialect: string }> =>
    this.get(`${this.at}/versions/${number}`);

  validate = async (definition: Fields): Promise<{ errors: Issue[]; warnings: Issue[] }> =>
    (await this.ask<{ errors: Issue[]; warnings: Issue[] }>("POST", "/v1/workflows/validate", { body: definition })).value;

  convert = async (document: { body: Json } | { yaml: string }): Promise<{ dialect: string; definition: Fields }> =>
    (await this.ask<{ dialect: string; definition: Fields }>("POST", "/v1/workflows/convert", document)).value;

  /** A new workflow; raises a Problem (412) where there is one of that name. */
  create = async (definition: Fields): Promise<void> => {
    await this.ask("POST", "/v1/workflows", { body: definition, match: '"new"' });
  };

  /** A new workflow with this draft; its first version is the last that could run, as a draft may be wrong. */
  async keepAsCopy(name: string, draft: Fields, version: Fields): Promise<string> {
    const named = (definition: Fields) => ({ ...definition, name });
    const made = await this.ask<{ id: string }>("POST", "/v1/workflows", { body: named(version) });
    const definition = named(draft.definition as Fields);
    await this.ask("PUT", `/v1/workflows/${made.value.id}/draft`, { body: { ...draft, definition, source: "" } });
    return made.value.id;
  }

  async catalogue(): Promise<{ types: NodeType[]; agents: Agent[]; tools: Tool[]; workflows: string[] }> {
    const list = async <T>(path: string) => (await this.get<{ items: T[] }>(`${path}?limit=200`)).items;
    const [types, agents, tools, workflows] = await Promise.all([
      list<NodeType>("/v1/node-types"),
      list<Agent>("/v1/agents"),
      list<Tool>("/v1/tools"),
      list<{ name: string }>("/v1/workflows"),
    ]);
    return { types, agents, tools, workflows: workflows.map((one) => one.name).sort() };
  }

  run = async (definition: Fields, input: Json, labels: Fields): Promise<{ id: string; url: string }> =>
    (await this.ask<{ id: string; url: string }>("POST", "/v1/runs", { body: { definition, input, labels } })).value;

  fork = async (run: string, body: Fields): Promise<{ id: string; url: string }> =>
    (await this.ask<{ id: string; url: string }>("POST", `/v1/runs/${run}/fork`, { body })).value;

  cancel = (run: string): Promise<unknown> => this.ask("POST", `/v1/runs/${run}/cancel`, {});

  oneRun = (run: string): Promise<Run> => this.get(`/v1/runs/${run}`);

  /** The newest run of the draft or of the workflow. */
  async lastRun(): Promise<Run | null> {
    const newest = async (filter: string) => (await this.get<{ items: Run[] }>(`/v1/runs?limit=1&${filter}`)).items[0];
    const id = encodeURIComponent(this.place.id);
    const found = await Promise.all([newest(`label=${encodeURIComponent(draftLabel(this.place.id))}`), newest(`workflow=${id}`)]);
    const [run] = found.filter((one) => one !== undefined).sort((a, b) => b.created_at.localeCompare(a.created_at));
    return run ? this.oneRun(run.id) : null;
  }

  /** Gives every event of a run as it happens, and comes back after a cut where it was; ends with the run. */
  async follow(run: string, seen: (event: RunEvent) => void, signal: AbortSignal): Promise<void> {
    let after = 0;
    for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 8000)) {
      try {
        for await (const event of this.stream(run, after, signal)) {
          after = event.seq;
          pause = 500;
          seen(event);
          if (["run.completed", "run.failed", "run.cancelled"].includes(event.type)) return;
        }
      } catch (error) {
        if (signal.aborted || (error instanceof Problem && error.status >= 400 && error.status < 500)) return;
      }
      await new Promise((go) => setTimeout(go, pause));
    }
  }

  private async *stream(run: string, after: number, signal: AbortSignal): AsyncGenerator<RunEvent> {
    const headers = { ...this.headers(), Accept: "text/event-stream" };
    const response = await fetch(`/v1/runs/${run}/events?after=${after}`, { headers, signal });
    if (!response.ok || !response.body) throw new Problem(response.status, null);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const frames = (text + value).split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const line = frame.split("\n").find((one) => one.startsWith("data: "));
        if (line) yield JSON.parse(line.slice(6)) as RunEvent;
      }
    }
  }

  private get = async <T>(path: string): Promise<T> => (await this.ask<T>("GET", path, {})).value;

  private async ask<T>(method: string, path: string, { body, yaml, match, unless }: Request): Promise<Answer<T>> {
    const headers = this.headers();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (yaml !== undefined) headers["Content-Type"] = "application/yaml";
    if (match) headers["If-Match"] = match;
    if (unless) headers["If-None-Match"] = unless;
    const response = await fetch(path, { method, headers, body: yaml ?? (body === undefined ? null : JSON.stringify(body)) })
      .catch(() => { throw new Problem(0, null); });
    const text = await response.text();
    const value = text && response.headers.get("Content-Type")?.includes("json") ? (JSON.parse(text) as Json) : null;
    if (!response.ok && response.status !== 304) throw new Problem(response.status, value);
    return { value: value as T, tag: response.headers.get("ETag") ?? "" };
  }

  private headers(): Record<string, string> {
    return { "X-CSRFToken": this.place.csrf, "Orchestra-Organization": this.place.organization };
  }
}

/** What runs of a draft are found by: they are runs of no version. */
export function draftLabel(workflow: string): string {
  return `draft:${workflow}`;
}
