/** Editing a definition: every act gives a new one, and keeps the order and spelling of what it does not touch. */

import { fieldsOf, isFields, textOf, without, withKey, type Fields, type Json } from "./json.ts";

/** A way from node to node: written in `edges`, or as one of a node's `needs`. */
export interface Edge {
  id: string;
  source: string;
  target: string;
  place: number | null; // in `edges`; null for one of `needs`
  spec: Fields; // when, route, on, max
}

export function nodesOf(definition: Fields): Record<string, Fields> {
  const nodes = fieldsOf(definition.nodes);
  return Object.fromEntries(Object.entries(nodes).filter((entry): entry is [string, Fields] => isFields(entry[1])));
}

export function edgesOf(definition: Fields): Edge[] {
  return [...writtenEdges(definition), ...neededEdges(definition)];
}

function writtenEdges(definition: Fields): Edge[] {
  return listOf(definition.edges).flatMap((spec, place) =>
    isFields(spec) ? [{ id: `e${place}`, source: textOf(spec.from), target: textOf(spec.to), place, spec }] : [],
  );
}

function neededEdges(definition: Fields): Edge[] {
  return Object.entries(nodesOf(definition)).flatMap(([target, node]) =>
    needsOf(node).map((source) => ({
      id: `n:${target}:${source}`,
      source,
      target,
      place: null,
      spec: withKey({}, "when", node.when),
    })),
  );
}

export function needsOf(node: Fields): string[] {
  const needs = typeof node.needs === "string" ? [node.needs] : listOf(node.needs);
  return needs.filter((need): need is string => typeof need === "string");
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

// ---- nodes ----------------------------------------------------------------------------------------

export function freeId(definition: Fields, wanted: string): string {
  const base = wanted.replace(/[^A-Za-z0-9_]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 100) || "node";
  const taken = fieldsOf(definition.nodes);
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? base : `${base}_${number}`;
    if (!(id in taken)) return id;
  }
}

export function withNode(definition: Fields, id: string, node: Fields): Fields {
  return { ...definition, nodes: { ...fieldsOf(definition.nodes), [id]: node } };
}

export function withoutNodes(definition: Fields, ids: ReadonlySet<string>): Fields {
  const kept = Object.entries(fieldsOf(definition.nodes)).filter(([id]) => !ids.has(id));
  const nodes = Object.fromEntries(kept.map(([id, node]) => [id, isFields(node) ? withoutNeeds(node, ids) : node]));
  const edges = listOf(definition.edges).filter(
    (edge) => !isFields(edge) || (!ids.has(textOf(edge.from)) && !ids.has(textOf(edge.to))),
  );
  return "edges" in definition ? { ...definition, nodes, edges } : { ...definition, nodes };
}

function withoutNeeds(node: Fields, gone: ReadonlySet<string>): Fields {
  const needs = needsOf(node);
  const kept = needs.filter((need) => !gone.has(need));
  if (kept.length === needs.length) return node;
  return kept.length ? { ...node, needs: kept.length === 1 ? kept[0]! : kept } : without(without(node, "needs"), "when");
}

/** The same with a node under another name, wherever it is named. */
export function withRenamed(definition: Fields, before: string, after: string): Fields {
  const names = new Map([[before, after]]);
  const nodes = Object.fromEntries(
    Object.entries(fieldsOf(definition.nodes)).map(([id, node]) => [names.get(id) ?? id, renamedIn(node, names)]),
  );
  const edges = listOf(definition.edges).map((edge) => renamedEdge(edge, names));
  const renamed: Fields = { ...definition, nodes };
  if ("edges" in definition) renamed.edges = edges;
  if ("outputs" in definition) renamed.outputs = inExpressions(definition.outputs!, names);
  return renamed;
}

function renamedIn(node: Json, names: ReadonlyMap<string, string>): Json {
  if (!isFields(node)) return node;
  const renamed = fieldsOf(inExpressions(node, names));
  if (node.needs !== undefined) {
    const needs = needsOf(node).map((need) => names.get(need) ?? need);
    renamed.needs = typeof node.needs === "string" ? needs[0] ?? "" : needs;
  }
  return renamed;
}

function renamedEdge(edge: Json, names: ReadonlyMap<string, string>): Json {
  if (!isFields(edge)) return edge;
  const renamed = fieldsOf(inExpressions(edge, names));
  for (const end of ["from", "to"]) renamed[end] = names.get(textOf(edge[end])) ?? edge[end] ?? null;
  return renamed;
}

function inExpressions(value: Json, names: ReadonlyMap<string, string>, isExpression = false): Json {
  if (typeof value === "string") return renamedText(value, names, isExpression);
  if (Array.isArray(value)) return value.map((item) => inExpressions(item, names, isExpression));
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inExpressions(item, names, key === "when")]));
}

function renamedText(text: string, names: ReadonlyMap<string, string>, isExpression: boolean): string {
  const rename = (part: string) => [...names].reduce((done, [before, after]) => renamedReference(done, before, after), part);
  return isExpression ? rename(text) : text.replace(/\{\{[\s\S]*?\}\}/g, rename);
}

function renamedReference(text: string, before: string, after: string): string {
  const name = before.replace(/[-]/g, "\\$&");
  return text.replace(new RegExp(`\\bnodes(?:\\.${name}(?![\\w-])|\\[\\s*["']${name}["']\\s*\\])`, "g"), reference("nodes", after));
}

/** The expression that reads a field. */
export function reference(root: string, name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? `${root}.${name}` : `${root}['${name}']`;
}

// ---- edges ----------------------------------------------------------------------------------------

export function withEdge(definition: Fields, source: string, target: string, spec: Fields = {}): Fields {
  return { ...definition, edges: [...listOf(definition.edges), { from: source, to: target, ...spec }] };
}

export function isConnected(definition: Fields, source: string, target: string, spec: Fields = {}): boolean {
  return edgesOf(definition).some(
    (edge) =>
      edge.source === source && edge.target === target &&
      textOf(edge.spec.route) === textOf(spec.route) && textOf(edge.spec.on) === textOf(spec.on),
  );
}

export function withoutEdge(definition: Fields, edge: Edge): Fields {
  if (edge.place !== null) {
    return { ...definition, edges: listOf(definition.edges).filter((_, place) => place !== edge.place) };
  }
  const node = nodesOf(definition)[edge.target];
  return node ? withNode(definition, edge.target, withoutNeeds(node, new Set([edge.source]))) : definition;
}

/** The same with one field of an edge changed; what only `edges` can say moves there from `needs`. */
export function withEdgeField(definition: Fields, edge: Edge, field: string, value: Json | undefined): Fields {
  if (edge.place === null) {
    const moved = withKey(edge.spec, field, value);
    return withEdge(withoutEdge(definition, edge), edge.source, edge.target, moved);
  }
  const edges = listOf(definition.edges).map((spec, place) =>
    place === edge.place && isFields(spec) ? withKey(spec, field, value) : spec,
  );
  return { ...definition, edges };
}

/** A new node in the middle of an edge: what decided about the edge stays before it. */
export function withInserted(definition: Fields, edge: Edge, id: string, node: Fields): Fields {
  const { from: _from, to: _to, ...spec } = edge.spec;
  const cut = withNode(withoutEdge(definition, edge), id, node);
  return withEdge(withEdge(cut, edge.source, id, spec), id, edge.target);
}

export const LABEL_LENGTH = 26; // characters that stand on the edge

/** What stands on an edge: what decides about it. */
export function labelOf({ spec }: Edge, isLoop: boolean): string {
  const parts = [
    spec.on === "error" && "on error",
    spec.on === "always" && "always",
    spec.route && `→ ${textOf(spec.route)}`,
    textOf(spec.when),
    spec.max ? `at most ${String(spec.max)}×` : isLoop && "loop",
  ];
  return parts.filter(Boolean).join(" · ");
}

// ---- the graph ------------------------------------------------------------------------------------

export function neighbours(definition: Fields, id: string, direction: "before" | "after"): string[] {
  const [here, there] = direction === "after" ? (["source", "target"] as const) : (["target", "source"] as const);
  const found = edgesOf(definition).filter((edge) => edge[here] === id).map((edge) => edge[there]);
  return [...new Set(found)].filter((name) => name in fieldsOf(definition.nodes));
}

/** Everything that leads to the node, or that it leads to; the node itself only where it stands in a cycle. */
export function reach(definition: Fields, id: string, direction: "before" | "after"): Set<string> {
  const [here, there] = direction === "after" ? (["source", "target"] as const) : (["target", "source"] as const);
  const edges = edgesOf(definition);
  const found = new Set<string>();
  const open = [id];
  while (open.length) {
    const name = open.pop();
    for (const edge of edges) {
      if (edge[here] === name && !found.has(edge[there])) {
        found.add(edge[there]);
        open.push(edge[there]);
      }
    }
  }
  return found;
}

/** The edges that close a cycle, found as the engine does: depth first from the entries, in written order. */
export function closingEdges(definition: Fields): Set<string> {
  const edges = edgesOf(definition);
  const outgoing = Map.groupBy(edges, (edge) => edge.source);
  const entered = new Set(edges.map((edge) => edge.target));
  const names = Object.keys(nodesOf(definition));
  const closing = new Set<string>();
  const state = new Map<string, "open" | "done">();
  const visit = (start: string) => {
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, "open");
    while (stack.length) {
      const top = stack[stack.length - 1]!;
      const edge = outgoing.get(top.name)?.[top.next++];
      if (!edge) {
        state.set(top.name, "done");
        stack.pop();
      } else if (state.get(edge.target) === "open") closing.add(edge.id);
      else if (!state.has(edge.target)) {
        state.set(edge.target, "open");
        stack.push({ name: edge.target, next: 0 });
      }
    }
  };
  for (const name of [...names.filter((one) => !entered.has(one)), ...names]) if (!state.has(name)) visit(name);
  return closing;
}

// ---- parts that travel ----------------------------------------------------------------------------

export interface Clip {
  orchestra: "nodes";
  nodes: Record<string, Fields>;
  edges: Fields[];
  positions: Record<string, [number, number]>;
}

export function clipOf(definition: Fields, ids: ReadonlySet<string>, at: (id: string) => [number, number]): Clip {
  const inside = (name: string) => ids.has(name);
  const nodes = Object.fromEntries(
    Object.entries(nodesOf(definition)).filter(([id]) => inside(id)).map(([id, node]) => [id, without(without(node, "needs"), "when")]),
  );
  const edges = edgesOf(definition)
    .filter((edge) => inside(edge.source) && inside(edge.target))
    .map((edge) => ({ ...edge.spec, from: edge.source, to: edge.target }));
  const positions = Object.fromEntries(Object.keys(nodes).map((id) => [id, at(id)]));
  return { orchestra: "nodes", nodes, edges, positions };
}

export function clipFrom(text: string): Clip | null {
  try {
    const found = JSON.parse(text) as Partial<Clip>;
    return found.orchestra === "nodes" && isFields(found.nodes) ? { edges: [], positions: {}, ...found } as Clip : null;
  } catch {
    return null;
  }
}

/** The definition with the clip's nodes under free names, and those names by their old ones. */
export function withClip(definition: Fields, clip: Clip): { definition: Fields; names: Map<string, string> } {
  const names = new Map<string, string>();
  let grown = definition;
  for (const [id, node] of Object.entries(clip.nodes)) {
    const free = freeId(grown, id);
    names.set(id, free);
    grown = withNode(grown, free, node);
  }
  for (const [id, node] of Object.entries(clip.nodes)) {
    grown = withNode(grown, names.get(id)!, fieldsOf(inExpressions(node, names)));
  }
  for (const edge of clip.edges) {
    const { from, to, ...spec } = fieldsOf(inExpressions(edge, names));
    grown = withEdge(grown, names.get(textOf(from)) ?? textOf(from), names.get(textOf(to)) ?? textOf(to), spec);
  }
  return { definition: grown, names };
}
