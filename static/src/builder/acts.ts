/** What a person can do in the builder, each as one step that can be undone. */

import type { Entry } from "./catalogue.ts";
import {
  clipFrom, clipOf, freeId, isConnected, neighbours, reach, withClip, withEdge, withInserted, withNode, withoutEdge,
  withoutNodes, withRenamed, type Clip, type Edge,
} from "./definition.ts";
import { extracted } from "./extraction.ts";
import { only, type Editor, type Spot } from "./editor.tsx";
import { fieldsOf, isFields, read, textOf, withKey, type Fields, type Json } from "./json.ts";
import { HEIGHT, WIDTH, aligned, foldsOf, placeOfBox, snapped, tidied, type Alignment, type Layout, type Point } from "./layout.ts";
import { readYaml } from "./yaml_text.ts";

export function addNode(editor: Editor, entry: Entry, spot: Spot): void {
  const { definition, layout, places } = editor;
  const id = freeId(definition, entry.id);
  const at = spot.at ?? freePlace(editor, spotBeside(editor, spot));
  const grown = spot.into
    ? withInserted(definition, spot.into, id, entry.node)
    : withNode(definition, id, entry.node);
  const linked = spot.from ? withEdge(grown, spot.from.source, id, spot.from.spec) : grown;
  editor.work.act(`Add ${entry.label}`, { definition: linked, layout: { ...layout, positions: { ...places, [id]: at } } });
  editor.select({ nodes: new Set([id]) });
  editor.turn("setup");
  editor.show(null);
}

function spotBeside(editor: Editor, { from, into }: Spot): Point {
  const { places } = editor;
  const placeOf = (id: string): Point => places[id] ?? [0, 0];
  if (into) {
    const [[x, y], [toX, toY]] = [placeOf(into.source), placeOf(into.target)];
    return [snapped((x + toX) / 2), snapped((y + toY) / 2 + 16)];
  }
  const source = from && places[from.source];
  return source ? [source[0] + WIDTH + 68, source[1]] : editor.middle();
}

function freePlace(editor: Editor, [x, y]: Point): Point {
  const all = Object.values(editor.places);
  const hit = ([left, top]: Point) => Math.abs(left - x) < WIDTH + 16 && Math.abs(top - down) < HEIGHT + 8;
  let down = snapped(y);
  while (all.some(hit)) down += 80;
  return [snapped(x), down];
}

export function removeSelected(editor: Editor): void {
  const { selection, definition, edges } = editor;
  const edge = edges.find((one) => one.id === selection.edge);
  if (selection.note) removeNote(editor, selection.note);
  else if (edge) editor.work.act("Remove the edge", { definition: withoutEdge(definition, edge) });
  else if (selection.nodes.size) {
    const gone = selection.nodes;
    editor.work.act(`Remove ${namesOf(gone)}`, { definition: withoutNodes(definition, gone), layout: layoutWithout(editor, gone) });
  }
  editor.select({});
}

function layoutWithout({ layout, places }: Editor, gone: ReadonlySet<string>): Layout {
  const kept = <T>(values: Record<string, T>) => Object.fromEntries(Object.entries(values).filter(([id]) => !gone.has(id)));
  const groups = Object.entries(layout.groups)
    .map(([id, group]) => [id, { ...group, nodes: group.nodes.filter((node) => !gone.has(node)) }] as const)
    .filter(([, group]) => group.nodes.length);
  return { ...layout, positions: kept(places), pins: kept(layout.pins), groups: Object.fromEntries(groups) };
}

function namesOf(ids: ReadonlySet<string>): string {
  return ids.size === 1 ? [...ids][0]! : `${ids.size} nodes`;
}

export function rename(editor: Editor, before: string, wanted: string): void {
  const name = wanted.trim();
  if (!name || name === before) return;
  if (name in fieldsOf(editor.definition.nodes)) return editor.tell(`There is a node '${name}' already.`);
  const { layout } = editor;
  const moved = <T>(values: Record<string, T>) => Object.fromEntries(Object.entries(values).map(([id, value]) => [id === before ? name : id, value]));
  const groups = Object.fromEntries(
    Object.entries(layout.groups).map(([id, group]) => [id, { ...group, nodes: group.nodes.map((node) => (node === before ? name : node)) }]),
  );
  editor.work.act(`Rename ${before}`, {
    definition: withRenamed(editor.definition, before, name),
    layout: { ...layout, positions: moved(editor.places), pins: moved(layout.pins), groups },
  });
  editor.select({ nodes: new Set([name]) });
}

export function replace(editor: Editor, id: string, entry: Entry): void {
  const old = editor.nodes[id] ?? {};
  const kept = Object.fromEntries(Object.entries(old).filter(([key]) => KEPT_ON_REPLACE.has(key)));
  editor.work.act(`Replace ${id}`, { definition: withNode(editor.definition, id, { ...kept, ...entry.node }) });
  editor.show(null);
}

const KEPT_ON_REPLACE = new Set(["title", "description", "needs", "when", "retry", "timeout", "join", "on_error"]);

export function setNodeField(editor: Editor, id: string, field: string, value: Json | undefined): void {
  const node = withKey(editor.nodes[id] ?? {}, field, value);
  editor.work.act(`Change ${id}`, { definition: withNode(editor.definition, id, node) }, `${id}.${field}`);
}

export function setField(editor: Editor, field: string, value: Json | undefined): void {
  editor.work.act("Change the workflow", { definition: withKey(editor.definition, field, value) }, field);
}

export function connect(editor: Editor, source: string, target: string, spec: Fields = {}): void {
  if (isConnected(editor.definition, source, target, spec)) return editor.tell(`'${source}' leads to '${target}' already.`);
  editor.work.act(`Connect ${source} to ${target}`, { definition: withEdge(editor.definition, source, target, spec) });
  editor.show(null);
}

/** What an edge says that begins at this handle of a node. */
export function specOfHandle(handle: string | null | undefined): Fields {
  if (handle === "error") return { on: "error" };
  return handle === "approve" || handle === "reject" ? { route: handle } : {};
}

export function handleOf(edge: Edge, node: Fields | undefined): string {
  if (edge.spec.on === "error") return "error";
  const route = textOf(edge.spec.route);
  return node?.type === "approval" && (route === "approve" || route === "reject") ? route : "out";
}

// ---- a workflow of their own ----------------------------------------------------------------------

/** Asks for the name of a workflow to make of what is selected, or says why it cannot be one. */
export function extractSelected(editor: Editor): void {
  const ids = editor.selection.nodes;
  if (!ids.size) return editor.tell("Select the nodes that shall be a workflow of their own.");
  const found = extracted(editor.definition, ids, "part");
  if (typeof found === "string") editor.tell(found);
  else editor.show({ kind: "extract" });
}

/** Saves what is selected as a workflow, and calls it in its place; raises a Problem where it cannot be saved. */
export async function extract(editor: Editor, name: string): Promise<void> {
  const ids = editor.selection.nodes;
  const found = extracted(editor.definition, ids, name);
  if (typeof found === "string") throw new Error(found);
  await editor.api.create(found.part);
  const layout = layoutWithout(editor, ids);
  const [x, y] = placeOfBox({ title: "", nodes: [...ids] }, editor.places) ?? editor.middle();
  editor.know(name);
  editor.work.act(`Extract ${name}`, { definition: found.rest, layout: { ...layout, positions: { ...layout.positions, [found.id]: [x, y] } } });
  editor.select({ nodes: new Set([found.id]) });
  editor.show(null);
  editor.tell(`'${name}' is a workflow of its own now. Undo brings the nodes back; the workflow stays.`);
}

// ---- places ---------------------------------------------------------------------------------------

export function move(editor: Editor, moved: Record<string, Point>, label = "Move", key = ""): void {
  const { layout, places } = editor;
  const notes = { ...layout.notes };
  const positions = { ...places };
  for (const [id, at] of Object.entries(moved)) {
    if (notes[id]) notes[id] = { ...notes[id], at };
    else if (positions[id]) positions[id] = at;
  }
  editor.work.act(label, { layout: { ...layout, positions, notes } }, key);
}

export function nudge(editor: Editor, x: number, y: number): void {
  const places = [...editor.selection.nodes].map((id) => [id, editor.places[id] ?? [0, 0]] as const);
  const moved = Object.fromEntries(places.map(([id, at]) => [id, [at[0] + x, at[1] + y] as Point]));
  if (places.length) move(editor, moved, "Move", "nudge");
}

export function tidy(editor: Editor): void {
  editor.work.act("Tidy up", { layout: { ...editor.layout, positions: tidied(editor.definition) } });
  editor.fit();
}

export function align(editor: Editor, how: Alignment): void {
  const ids = [...editor.selection.nodes];
  if (ids.length > 1) move(editor, aligned(editor.places, ids, how), "Align");
}

// ---- notes and groups -----------------------------------------------------------------------------

export function addNote(editor: Editor, at: Point = editor.middle()): void {
  const id = freshKey("note", editor.layout.notes);
  const notes = { ...editor.layout.notes, [id]: { at, text: "" } };
  editor.work.act("Add a note", { layout: { ...editor.layout, notes } });
  editor.select({ note: id });
}

export function setNote(editor: Editor, id: string, text: string): void {
  const note = editor.layout.notes[id];
  if (!note || note.text === text) return;
  editor.work.act("Write a note", { layout: { ...editor.layout, notes: { ...editor.layout.notes, [id]: { ...note, text } } } }, id);
}

function removeNote(editor: Editor, id: string): void {
  const { [id]: _gone, ...notes } = editor.layout.notes;
  editor.work.act("Remove the note", { layout: { ...editor.layout, notes } });
}

/** Puts what is selected into a group, or takes the group of it apart. */
export function group(editor: Editor): void {
  const { layout, selection } = editor;
  const ids = [...selection.nodes];
  if (!ids.length) return;
  const whole = Object.entries(layout.groups).find(([, one]) => ids.every((id) => one.nodes.includes(id)));
  if (whole) {
    const { [whole[0]]: _gone, ...groups } = layout.groups;
    return editor.work.act("Ungroup", { layout: { ...layout, groups } });
  }
  const groups = { ...layout.groups, [freshKey("group", layout.groups)]: { title: "Group", nodes: ids } };
  editor.work.act("Group", { layout: { ...layout, groups } });
}

export function nameGroup(editor: Editor, id: string, title: string): void {
  const found = editor.layout.groups[id];
  if (!found || found.title === title) return;
  const groups = { ...editor.layout.groups, [id]: { ...found, title } };
  editor.work.act("Name the group", { layout: { ...editor.layout, groups } }, id);
}

/** Folds a group to one box, or opens it; without an id, the group of what is selected. */
export function fold(editor: Editor, id: string | undefined = groupOfSelected(editor)): void {
  const found = id && editor.layout.groups[id];
  if (!found) return editor.tell("Select a node of a group to fold or open it; Ctrl+G makes a group.");
  const { isFolded, ...open } = found;
  const groups = { ...editor.layout.groups, [id]: isFolded ? open : { ...open, isFolded: true } };
  editor.work.act(isFolded ? "Open the group" : "Fold the group", { layout: { ...editor.layout, groups } });
}

function groupOfSelected({ layout, selection }: Editor): string | undefined {
  const [first] = selection.nodes;
  if (!first) return undefined;
  return foldsOf(layout.groups).get(first) ?? Object.keys(layout.groups).find((id) => layout.groups[id]!.nodes.includes(first));
}

/** Opens what hides a node. */
export function unfold(editor: Editor, node: string): void {
  const groups = Object.entries(editor.layout.groups).map(([id, { isFolded, ...open }]) =>
    [id, isFolded && !open.nodes.includes(node) ? { ...open, isFolded } : open] as const,
  );
  if (foldsOf(editor.layout.groups).has(node) && !editor.isReadOnly) {
    editor.work.act("Open the group", { layout: { ...editor.layout, groups: Object.fromEntries(groups) } });
  }
}

function freshKey(kind: string, taken: Record<string, unknown>): string {
  for (let number = 1; ; number += 1) if (!(`${kind}:${number}` in taken)) return `${kind}:${number}`;
}

// ---- pins -----------------------------------------------------------------------------------------

export function togglePin(editor: Editor, id: string, output: Json | undefined): void {
  const { layout } = editor;
  if (layout.pins[id]) {
    const { [id]: _gone, ...pins } = layout.pins;
    editor.work.act(`Unpin ${id}`, { layout: { ...layout, pins } });
  } else if (isFields(output)) editor.work.act(`Pin ${id}`, { layout: { ...layout, pins: { ...layout.pins, [id]: output } } });
  else editor.tell("Only an output that is an object can be pinned; run the node first.");
}

// ---- the clipboard and files ----------------------------------------------------------------------

export function clipText(editor: Editor): string | null {
  if (!editor.selection.nodes.size) return null;
  return JSON.stringify(clipOf(editor.definition, editor.selection.nodes, (id) => editor.places[id] ?? [0, 0]), null, 2);
}

export function duplicate(editor: Editor): void {
  const text = clipText(editor);
  const clip = text && clipFrom(text);
  if (clip) insert(editor, clip, "Duplicate");
}

/** Puts in what somebody pasted: nodes from a builder, or a whole workflow in any dialect. */
export async function paste(editor: Editor, text: string): Promise<void> {
  const clip = clipFrom(text);
  if (clip) insert(editor, clip, "Paste");
  else await takeDocument(editor, text, "Paste a workflow");
}

function insert(editor: Editor, clip: Clip, label: string): void {
  const { definition, names } = withClip(editor.definition, clip);
  const positions = { ...editor.places };
  for (const [id, free] of names) {
    const [x, y] = clip.positions[id] ?? editor.middle();
    positions[free] = freeOf(positions, [x + 32, y + 32]);
  }
  editor.work.act(label, { definition, layout: { ...editor.layout, positions } });
  editor.select({ nodes: new Set(names.values()) });
}

function freeOf(taken: Record<string, Point>, [x, y]: Point): Point {
  const used = new Set(Object.values(taken).map(String));
  let step = 0;
  while (used.has(String([x + step, y + step]))) step += 32;
  return [x + step, y + step];
}

/** Takes over a workflow that somebody wrote; raises a Problem where it is none. */
export async function takeDocument(editor: Editor, text: string, label: string): Promise<void> {
  const json = read(text);
  const isJson = isFields(json);
  const { dialect, definition } = await editor.api.convert(isJson ? { body: json } : { yaml: text });
  const named = { ...definition, name: editor.definition.name ?? definition.name! };
  const own = !isJson && dialect === "canonical" && readYaml(text).definition;
  editor.work.act(label, {
    definition: named,
    source: own ? text : "",
    layout: { ...editor.layout, positions: tidied(named), groups: {}, pins: {} },
  });
  editor.select({});
  editor.tell(`${label}: ${Object.keys(fieldsOf(definition.nodes)).length} nodes${dialect === "canonical" ? "" : ` from the dialect '${dialect}'`}. Undo brings back what was here.`);
}

// ---- walking --------------------------------------------------------------------------------------

/** The node next to the selected one in a direction: along the edges sideways, by place up and down. */
export function walk(editor: Editor, key: string): void {
  const id = only(editor.selection);
  const ids = Object.keys(editor.nodes);
  if (!id) {
    if (ids[0]) editor.select({ nodes: new Set([[...editor.selection.nodes].at(-1) ?? ids[0]]) });
    return;
  }
  const next = key === "ArrowRight" || key === "ArrowLeft" ? alongEdges(editor, id, key) : byPlace(editor, id, key === "ArrowDown");
  if (!next) return;
  editor.select({ nodes: new Set([next]) });
  editor.reveal(next);
}

function alongEdges(editor: Editor, id: string, key: string): string | undefined {
  const found = neighbours(editor.definition, id, key === "ArrowRight" ? "after" : "before").filter((one) => one !== id);
  return found.sort((a, b) => editor.places[a]![1] - editor.places[b]![1])[0];
}

function byPlace(editor: Editor, id: string, down: boolean): string | undefined {
  const here = editor.places[id] ?? [0, 0];
  const distance = (other: string) => {
    const [x, y] = editor.places[other] ?? [0, 0];
    return Math.abs(y - here[1]) + 2 * Math.abs(x - here[0]);
  };
  const side = Object.keys(editor.nodes).filter((other) => {
    const y = editor.places[other]?.[1] ?? 0;
    return down ? y > here[1] : y < here[1];
  });
  return side.sort((a, b) => distance(a) - distance(b))[0];
}

export function selectReach(editor: Editor, direction: "before" | "after"): void {
  const ids = [...editor.selection.nodes];
  const found = ids.flatMap((id) => [...reach(editor.definition, id, direction)]);
  if (ids.length) editor.select({ nodes: new Set([...ids, ...found.filter((id) => id in editor.nodes)]) });
}
