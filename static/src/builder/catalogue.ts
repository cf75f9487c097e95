/** What a node can be: the entries of the palette, and what a node takes and gives. */

import type { Agent, NodeType, Tool } from "./api.ts";
import { fieldsOf, isFields, textOf, type Fields, type Json } from "./json.ts";

export interface Catalogue {
  types: NodeType[];
  agents: Agent[];
  tools: Tool[];
  workflows: string[];
}

export interface Entry {
  key: string;
  group: string;
  label: string;
  description: string;
  id: string; // what a new node is called
  node: Fields;
}

const LOGIC: Record<string, { label: string; node: Fields }> = {
  set: { label: "Set values", node: { type: "set", values: {} } },
  map: { label: "Map over a list", node: { type: "map", over: [1, 2, 3], node: { type: "set", values: { value: "{{ item }}" } } } },
  workflow: { label: "Run a workflow", node: { type: "workflow", workflow: "" } },
  wait: { label: "Wait", node: { type: "wait", seconds: 5 } },
  fail: { label: "Fail", node: { type: "fail", message: "This should not happen." } },
};

export function entriesOf(catalogue: Catalogue): Entry[] {
  const typed = new Map(catalogue.types.map((type) => [type.type, type]));
  const simple = (group: string, type: string, label: string, node: Fields): Entry => ({
    key: `type:${type}`, group, label, description: typed.get(type)?.description ?? "", id: type, node,
  });
  const known = new Set(["agent", "tool", "approval", ...Object.keys(LOGIC)]);
  return [
    ...catalogue.agents.filter((agent) => !isStateNode(agent)).map(agentEntry),
    ...Object.entries(LOGIC).map(([type, { label, node }]) => simple("Logic", type, label, node)),
    ...catalogue.tools.map((tool) => toolEntry(tool)),
    simple("People", "approval", "Ask a person", { type: "approval", message: "Go on?" }),
    ...catalogue.agents.filter(isStateNode).map(agentEntry),
    ...catalogue.types.filter(({ type }) => !known.has(type)).map(({ type }) => simple("More", type, type, { type })),
  ];
}

/** Whether it is a class of the state-machine dialect, which few who build by hand look for. */
function isStateNode({ name }: Agent): boolean {
  return /^[A-Z]\w*Node$/.test(name);
}

function agentEntry(agent: Agent): Entry {
  const node: Fields = { type: "agent", agent: agent.name, ...started(agent.input_schema) };
  const group = isStateNode(agent) ? "State machine" : "Agents";
  return { key: `agent:${agent.name}`, group, label: agent.name, description: firstLine(agent.description), id: agent.name, node };
}

function toolEntry(tool: Tool): Entry {
  const node: Fields = { type: "tool", tool: tool.name, ...started(tool.input_schema) };
  const id = tool.name.replace(/\W+/g, "_");
  return { key: `tool:${tool.name}`, group: "Tools", label: tool.name, description: firstLine(tool.description), id, node };
}

/** An input with the fields that have to be there, to be filled in. */
function started(schema: Fields): { input?: Fields } {
  const required = Array.isArray(schema.required) ? schema.required.map(String) : [];
  const properties = fieldsOf(schema.properties);
  if (!required.length) return {};
  return { input: Object.fromEntries(required.map((name) => [name, beginning(resolved(properties[name], schema))])) };
}

export function beginning(schema: Fields): Json {
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  const starts: Record<string, Json> = { object: {}, array: [], boolean: false, integer: 0, number: 0, null: null };
  return starts[textOf(schema.type)] ?? "";
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

export function matching(entries: readonly Entry[], search: string): Entry[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = (entry: Entry) => (entry.label.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  const found = entries.filter((entry) => {
    const text = `${entry.label} ${entry.group} ${entry.description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return words.length ? [...found].sort((a, b) => rank(a) - rank(b)) : found;
}

/** What the schema of a part says after its reference is followed; of a value that may be null, what it is else. */
export function resolved(schema: Json | undefined, root: Fields): Fields {
  let found = fieldsOf(schema);
  for (let turns = 0; turns < 20; turns += 1) {
    const branches = Array.isArray(found.anyOf) ? found.anyOf.filter(isFields) : [];
    const given = branches.filter((branch) => branch.type !== "null");
    if (typeof found.$ref === "string") {
      const { $ref: reference, ...beside } = found;
      found = { ...fieldsOf(at(root, reference as string)), ...beside };
    } else if (given.length === 1 && branches.length > 0) {
      const { anyOf: _branches, ...beside } = found;
      found = { ...given[0]!, ...beside };
    } else return found;
  }
  return found;
}

function at(root: Fields, reference: string): Json | undefined {
  return reference.split("/").slice(1).reduce<Json | undefined>((value, part) => fieldsOf(value)[part], root);
}

export function inputSchemaOf(catalogue: Catalogue, node: Fields): Fields | null {
  const schema = providerOf(catalogue, node)?.input_schema;
  return schema && Object.keys(fieldsOf(schema.properties)).length ? schema : null;
}

export function outputSchemaOf(catalogue: Catalogue, node: Fields): Fields | null {
  if (node.type === "set") {
    const names = Object.keys(fieldsOf(node.values));
    return { type: "object", properties: Object.fromEntries(names.map((name) => [name, {}])) };
  }
  if (node.type === "approval") {
    const names = ["decision", "data", "comment", "decided_by"];
    return { type: "object", properties: Object.fromEntries(names.map((name) => [name, {}])) };
  }
  return providerOf(catalogue, node)?.output_schema ?? null;
}

export function providerOf(catalogue: Catalogue, node: Fields): Agent | Tool | undefined {
  if (node.type === "tool") return catalogue.tools.find((tool) => tool.name === node.tool);
  if (node.type !== "agent") return undefined;
  if (typeof node.agent === "string") return catalogue.agents.find((agent) => agent.name === node.agent);
  return catalogue.agents.find((agent) => agent.capabilities.includes(textOf(node.capability)));
}

/** The second line of a node's card. */
export function subtitleOf(node: Fields): string {
  const named: Record<string, Json | undefined> = {
    agent: node.agent ?? (node.capability ? `can ${textOf(node.capability)}` : undefined),
    tool: node.tool,
    workflow: node.workflow || "no workflow chosen",
    map: node.workflow ?? `for each ${textOf(node.as) || "item"}: ${textOf(fieldsOf(node.node).agent) || textOf(fieldsOf(node.node).tool) || textOf(fieldsOf(node.node).type)}`,
    wait: node.seconds ?? node.until ?? (node.event ? `for ${textOf(node.event)}` : undefined),
  };
  const own = named[textOf(node.type)];
  if (node.type === "wait" && typeof own === "number") return `wait ${own} s`;
  return own === undefined || own === null ? textOf(node.type) : String(own);
}
