/** Where things stand on the canvas. It is kept beside the definition and is no part of it. */

import dagre from "@dagrejs/dagre";
import { LABEL_LENGTH, closingEdges, edgesOf, labelOf, nodesOf, type Edge } from "./definition.ts";
import { fieldsOf, isFields, textOf, type Fields, type Json } from "./json.ts";

export const WIDTH = 172;
export const HEIGHT = 54;
export const GRID = 16;

export type Point = [number, number];

export interface Note {
  at: Point;
  text: string;
}

export interface Group {
  title: string;
  nodes: string[];
  isFolded?: boolean; // shown as one box
}

export interface Layout {
  positions: Record<string, Point>;
  notes: Record<string, Note>;
  groups: Record<string, Group>;
  pins: Record<string, Fields>; // outputs that runs of the draft use instead of running the node
}

export function layoutFrom(value: Json | undefined): Layout {
  const found = fieldsOf(value);
  return {
    positions: mapped(found.positions, pointFrom),
    notes: mapped(found.notes, (note) => {
      const at = isFields(note) ? pointFrom(note.at!) : null;
      return at && isFields(note) ? { at, text: textOf(note.text) } : null;
    }),
    groups: mapped(found.groups, (group) =>
      isFields(group) && Array.isArray(group.nodes)
        ? { title: textOf(group.title), nodes: group.nodes.map(String), ...(group.isFolded === true ? { isFolded: true } : {}) }
        : null,
    ),
    pins: mapped(found.pins, (pin) => (isFields(pin) ? pin : null)),
  };
}

function mapped<T>(value: Json | undefined, from: (item: Json) => T | null): Record<string, T> {
  const entries = Object.entries(fieldsOf(value)).map(([key, item]) => [key, from(item)] as const);
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, T] => entry[1] !== null));
}

function pointFrom(value: Json): Point | null {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number" ? [value[0], value[1]] : null;
}

export function snapped(value: number): number {
  return Math.round(value / GRID) * GRID;
}

let last = { graph: "", places: {} as Record<string, Point> };

/** From left to right, without crossings as far as that goes. */
export function tidied(definition: Fields): Record<string, Point> {
  // It takes long for very many nodes, and who types into a field changes nothing that it depends on.
  const graph = JSON.stringify([Object.keys(nodesOf(definition)), edgesOf(definition).map((edge) => [edge.source, edge.target, roomFor(edge).width])]);
  if (graph !== last.graph) last = { graph, places: laidOut(definition) };
  return last.places;
}

/** So that what stands on an edge does not cover a node. */
function roomFor(edge: Edge): { width: number; height: number } {
  const length = Math.min(labelOf(edge, false).length, LABEL_LENGTH);
  return length ? { width: length * 7 + 40, height: 20 } : { width: 0, height: 0 };
}

function laidOut(definition: Fields): Record<string, Point> {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 34, ranksep: 68, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  const nodes = nodesOf(definition);
  for (const id of Object.keys(nodes)) graph.setNode(id, { width: WIDTH, height: HEIGHT });
  const closing = closingEdges(definition);
  for (const edge of edgesOf(definition)) {
    const drawn = edge.source in nodes && edge.target in nodes && !closing.has(edge.id);
    if (drawn) graph.setEdge(edge.source, edge.target, { ...roomFor(edge), labelpos: "c" }, edge.id);
  }
  dagre.layout(graph);
  const places = graph.nodes().map((id: string) => {
    const { x, y } = graph.node(id) as { x: number; y: number };
    return [id, [snapped(x - WIDTH / 2), snapped(y - HEIGHT / 2)] as Point] as const;
  });
  return Object.fromEntries(places);
}

/** A place for every node: where it was put, or else where tidying would put it, below what stands there. */
export function placesOf(definition: Fields, layout: Layout): Record<string, Point> {
  const ids = Object.keys(nodesOf(definition));
  const missing = ids.filter((id) => !layout.positions[id]);
  if (!missing.length) return layout.positions;
  const tidy = tidied(definition);
  if (missing.length === ids.length) return tidy;
  const taken = new Set(ids.flatMap((id) => (layout.positions[id] ? [String(layout.positions[id])] : [])));
  const places = { ...layout.positions };
  for (const id of missing) {
    const [x, y] = tidy[id] ?? [0, 0];
    places[id] = freeSpot([x, y], taken);
    taken.add(String(places[id]));
  }
  return places;
}

function freeSpot([x, y]: Point, taken: ReadonlySet<string>): Point {
  let down = y;
  while (taken.has(String([x, down]))) down += HEIGHT + GRID + 10;
  return [x, down];
}

/** The folded group that a node is shown in; of groups in groups the outermost. */
export function foldsOf(groups: Record<string, Group>): Map<string, string> {
  const folded = Object.entries(groups).filter(([, group]) => group.isFolded).sort(([, a], [, b]) => a.nodes.length - b.nodes.length);
  return new Map(folded.flatMap(([id, group]) => group.nodes.map((node) => [node, id] as const)));
}

/** Where the box of a folded group stands: in place of its first node, where nothing else can be. */
export function placeOfBox(group: Group, places: Record<string, Point>): Point | null {
  const at = group.nodes.flatMap((id) => (places[id] ? [places[id]] : []));
  return at.sort(([x, y], [left, top]) => x - left || y - top)[0] ?? null;
}

export type Alignment = "left" | "top" | "column" | "row";

/** The places of these nodes in one line; `column` and `row` also give them equal gaps. */
export function aligned(places: Record<string, Point>, ids: readonly string[], how: Alignment): Record<string, Point> {
  const isVertical = how === "left" || how === "column";
  const across = (id: string) => places[id]?.[isVertical ? 0 : 1] ?? 0;
  const along = (id: string) => places[id]?.[isVertical ? 1 : 0] ?? 0;
  const line = Math.min(...ids.map(across));
  const sorted = [...ids].sort((a, b) => along(a) - along(b));
  const first = Math.min(...ids.map(along));
  const gap = isVertical ? HEIGHT + 26 : WIDTH + 68;
  const isEven = how === "column" || how === "row";
  return Object.fromEntries(
    sorted.map((id, number): [string, Point] => {
      const place = isEven ? snapped(first + number * gap) : along(id);
      return [id, isVertical ? [line, place] : [place, line]];
    }),
  );
}
