/** The graph: cards, edges, notes and groups, and everything the mouse does with them. */

import {
  Background, BackgroundVariant, MarkerType, MiniMap, ReactFlow, SelectionMode, useReactFlow,
  type Connection, type EdgeChange, type FinalConnectionState, type Node, type NodeChange,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent } from "react";
import { addNode, connect, handleOf, move, specOfHandle } from "./acts.ts";
import { Box, Card, GroupFrame, NoteCard, type BoxNode, type BuilderNode, type CardNode } from "./cards.tsx";
import { closingEdges, edgesOf, nodesOf } from "./definition.ts";
import { useEditor, type Editor } from "./editor.tsx";
import { same } from "./json.ts";
import { HEIGHT, WIDTH, foldsOf, placeOfBox, placesOf, snapped, type Group, type Point } from "./layout.ts";
import { changedSince } from "./running.ts";
import { Way, type WayEdge } from "./ways.tsx";

export const ENTRY = "application/x-orchestra-entry";

const NODE_TYPES = { card: Card, note: NoteCard, group: GroupFrame, box: Box };
const EDGE_TYPES = { way: Way };
/** All of it in view, and nothing larger than it is. */
export const WHOLE = { maxZoom: 1, padding: 0.15 };
const NOTE_SIZE = { width: 208, height: 112 };

export function Canvas() {
  const editor = useEditor();
  const { screenToFlowPosition } = useReactFlow();
  const [dragged, setDragged] = useState<Record<string, Point>>({});
  const nodes = useMoved(useNodes(editor, Object.keys(editor.layout.groups).length ? dragged : NOT_DRAGGED), dragged);
  const edges = useEdges(editor);

  const onNodesChange = useCallback(
    (changes: NodeChange<BuilderNode>[]) => {
      const moving: Record<string, Point> = {};
      for (const change of changes) {
        if (change.type === "position" && change.position) moving[change.id] = [change.position.x, change.position.y];
      }
      if (Object.keys(moving).length) setDragged((before) => ({ ...before, ...withMembers(editor, moving) }));
      selectChanged(editor, changes);
    },
    [editor],
  );

  const onEdgesChange = useCallback(
    (changes: EdgeChange<WayEdge>[]) => {
      const picked = changes.find((change) => change.type === "select" && change.selected);
      if (picked?.type === "select") editor.select({ edge: picked.id });
    },
    [editor],
  );

  const dropMoved = () => {
    const moved = Object.fromEntries(Object.entries(dragged).map(([id, [x, y]]) => [id, [snapped(x), snapped(y)] as Point]));
    setDragged({});
    if (Object.keys(moved).length) move(editor, moved);
  };

  const onConnect = ({ source, target, sourceHandle }: Connection) => connect(editor, source, target, specOfHandle(sourceHandle));

  /** A wire that ends on empty space asks what to put there. */
  const onConnectEnd = (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
    if (state.isValid || !state.fromNode || state.fromHandle?.type !== "source" || state.toNode) return;
    const point = "changedTouches" in event ? event.changedTouches[0]! : event;
    const { x, y } = screenToFlowPosition({ x: point.clientX, y: point.clientY });
    const from = { source: state.fromNode.id, spec: specOfHandle(state.fromHandle.id) };
    editor.show({ kind: "add", spot: { at: [snapped(x), snapped(y - HEIGHT / 2)], from } });
  };

  const onDrop = (event: DragEvent) => {
    const entry = editor.entries.find(({ key }) => key === event.dataTransfer.getData(ENTRY));
    if (!entry || editor.isReadOnly) return;
    event.preventDefault();
    const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
    addNode(editor, entry, { at: [snapped(x - WIDTH / 2), snapped(y - HEIGHT / 2)] });
  };

  const onDoubleClick = (event: React.MouseEvent) => {
    if (editor.isReadOnly || !(event.target as Element).classList.contains("react-flow__pane")) return;
    const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
    editor.show({ kind: "add", spot: { at: [snapped(x), snapped(y)] } });
  };

  return (
    <div
      className="b-canvas" id="canvas" tabIndex={0} role="group" onDrop={onDrop} onDoubleClick={onDoubleClick}
      onDragOver={(event) => event.dataTransfer.types.includes(ENTRY) && event.preventDefault()}
      aria-label="Canvas. Arrow keys walk from node to node, N adds one, the outline lists all."
    >
      <ReactFlow<BuilderNode, WayEdge>
        nodes={nodes} edges={edges} nodeTypes={NODE_TYPES} edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange} onEdgesChange={onEdgesChange} onConnect={onConnect} onConnectEnd={onConnectEnd}
        onNodeDragStop={dropMoved} onSelectionDragStop={dropMoved} onPaneClick={() => editor.select({})}
        nodesDraggable={!editor.isReadOnly} nodesConnectable={!editor.isReadOnly} elementsSelectable
        nodesFocusable={false} edgesFocusable={false} disableKeyboardA11y deleteKeyCode={null} zoomOnDoubleClick={false}
        selectionMode={SelectionMode.Partial} multiSelectionKeyCode={["Shift", "Meta", "Control"]} selectionKeyCode="Shift"
        panOnScroll panOnDrag={[0, 1]} panActivationKeyCode={null} nodeDragThreshold={4} snapToGrid snapGrid={[16, 16]} minZoom={0.1} maxZoom={2}
        defaultMarkerColor={null} fitView fitViewOptions={WHOLE} proOptions={{ hideAttribution: true }}
      >
        <Background variant={BackgroundVariant.Dots} gap={16} size={1} />
        <MiniMap pannable zoomable ariaLabel="Overview" nodeClassName={(node) => `b-mini-${node.type}`} />
      </ReactFlow>
      {Object.keys(editor.nodes).length === 0 && <Empty editor={editor} />}
    </div>
  );
}

function Empty({ editor }: { editor: Editor }) {
  return (
    <div className="b-empty">
      <p>There is no node yet.</p>
      {!editor.isReadOnly && (
        <>
          <button type="button" className="b-button b-primary" onClick={() => editor.show({ kind: "add", spot: {} })}>Add the first one</button>
          <p className="b-dim">Or press N, drag one from the palette, or drop a file.</p>
        </>
      )}
    </div>
  );
}

/** Who moves a group moves what is in it. */
function withMembers(editor: Editor, moving: Record<string, Point>): Record<string, Point> {
  const all = { ...moving };
  for (const [id, [x, y]] of Object.entries(moving)) {
    const group = editor.layout.groups[id];
    if (!group) continue;
    const from = cornerOf(group, editor);
    delete all[id];
    for (const node of group.nodes) {
      const at = editor.places[node];
      if (at && from) all[node] = [at[0] + x - from[0], at[1] + y - from[1]];
    }
  }
  return all;
}

function cornerOf(group: Group, { layout, places }: Editor): Point | null {
  if (group.isFolded) return placeOfBox(group, places);
  const frame = frameOf(group.nodes, withBoxes(layout.groups, places));
  return frame && [frame.x, frame.y];
}

/** The places as they are seen: what is in a folded group stands where its box does. */
function withBoxes(groups: Record<string, Group>, places: Record<string, Point>): Record<string, Point> {
  const boxed = [...foldsOf(groups)].map(([node, id]) => [node, placeOfBox(groups[id]!, places) ?? [0, 0]] as const);
  return { ...places, ...Object.fromEntries(boxed) };
}

function selectChanged(editor: Editor, changes: NodeChange<BuilderNode>[]): void {
  const selects = changes.filter((change) => change.type === "select");
  if (!selects.length) return;
  editor.selectBy((before) => {
    const nodes = new Set(before.nodes);
    let { note, edge } = before;
    for (const { id, selected } of selects) {
      const group = editor.layout.groups[id];
      if (group && !group.isFolded) continue;
      if (selected) edge = null;
      if (group) for (const node of group.nodes) selected ? nodes.add(node) : nodes.delete(node);
      else if (id in editor.layout.notes) note = selected ? id : null;
      else if (selected) nodes.add(id);
      else nodes.delete(id);
    }
    const isSame = note === before.note && edge === before.edge && same([...nodes], [...before.nodes]);
    return isSame ? before : { nodes, note, edge };
  });
}

function frameOf(ids: readonly string[], places: Record<string, Point>) {
  const at = ids.flatMap((id) => (places[id] ? [places[id]] : []));
  if (!at.length) return null;
  const [x, y] = [Math.min(...at.map(([left]) => left)) - 16, Math.min(...at.map(([, top]) => top)) - 36];
  const [right, bottom] = [Math.max(...at.map(([left]) => left)) + WIDTH + 16, Math.max(...at.map(([, top]) => top)) + HEIGHT + 16];
  return { x, y, width: right - x, height: bottom - y };
}

function useNodes(editor: Editor, dragged: Record<string, Point>): BuilderNode[] {
  const cache = useRef(new Map<string, BuilderNode>());
  const { comparison, definition, layout, places, selection, following, problems, isReadOnly } = editor;
  return useMemo(() => {
    const at = { ...places, ...dragged };
    const made: BuilderNode[] = [];
    const folds = foldsOf(layout.groups);
    const seen = withBoxes(layout.groups, at);
    const boxed = new Map<string, CardNode[]>();
    for (const [id, group] of Object.entries(layout.groups)) {
      const frame = frameOf(group.nodes, seen);
      const isHidden = group.isFolded || (group.nodes.length > 0 && new Set(group.nodes.map((node) => folds.get(node))).size === 1 && folds.has(group.nodes[0]!));
      if (frame && !isHidden) made.push({ id, type: "group", position: { x: frame.x, y: frame.y }, zIndex: -1, ...sized(frame), data: { title: group.title } });
    }
    const before = comparison ? nodesOf(comparison.definition) : null;
    for (const [id, spec] of Object.entries(editor.nodes)) {
      const [x, y] = at[id] ?? [0, 0];
      const own = `/nodes/${id}`;
      const wrong = (issues: { pointer: string }[]) => issues.filter(({ pointer }) => pointer === own || pointer.startsWith(`${own}/`)).length;
      const diff = !before ? "" : !before[id] ? "added" : same(before[id], spec) ? "same" : "changed";
      const card: CardNode = {
        id, type: "card", position: { x, y }, selected: selection.nodes.has(id), ...sized({ width: WIDTH, height: HEIGHT }),
        data: {
          spec, diff, badge: following.badges[id] ?? null, errors: wrong(problems.errors), warnings: wrong(problems.warnings),
          isPinned: id in layout.pins, isDirty: changedSince(definition, following, id), isReadOnly,
        },
      };
      const box = folds.get(id);
      if (box) boxed.set(box, [...boxed.get(box) ?? [], card]);
      else made.push(card);
    }
    for (const [id, cards] of boxed) made.push(boxOf(id, layout.groups[id]!, cards, placeOfBox(layout.groups[id]!, at) ?? [0, 0]));
    for (const [id, spec] of Object.entries(before ?? {})) {
      if (id in editor.nodes || !comparison) continue;
      const [x, y] = placesOf(comparison.definition, layout)[id] ?? [0, 0];
      const data = { spec, diff: "removed", badge: null, errors: 0, warnings: 0, isPinned: false, isDirty: false, isReadOnly: true };
      made.push({ id: `removed:${id}`, type: "card", position: { x, y }, selectable: false, draggable: false, ...sized({ width: WIDTH, height: HEIGHT }), data });
    }
    for (const [id, note] of Object.entries(layout.notes)) {
      const [x, y] = dragged[id] ?? note.at;
      made.push({ id, type: "note", position: { x, y }, selected: selection.note === id, ...sized(NOTE_SIZE), data: { text: note.text, isReadOnly } });
    }
    return kept(cache.current, made);
  }, [editor.nodes, comparison, definition, layout, places, selection, following, problems, isReadOnly, dragged]);
}

/** What a box shows is what matters most of all that is in it. */
function boxOf(id: string, { title }: Group, cards: CardNode[], [x, y]: Point): BoxNode {
  const of = cards.map((card) => card.data);
  const sum = (name: "errors" | "warnings") => of.reduce((total, one) => total + one[name], 0);
  const badge = URGENT.flatMap((status) => of.filter((one) => one.badge?.status === status))[0]?.badge;
  return {
    id, type: "box", position: { x, y }, selected: cards.some((card) => card.selected), ...sized({ width: WIDTH, height: HEIGHT }),
    data: {
      ...of[0]!, title, nodes: cards.length, errors: sum("errors"), warnings: sum("warnings"), isPinned: of.some((one) => one.isPinned),
      isDirty: of.some((one) => one.isDirty), badge: badge ?? of.find((one) => one.badge)?.badge ?? null,
      diff: of.some((one) => one.diff && one.diff !== "same") ? "changed" : of[0]!.diff,
    },
  };
}

const URGENT = ["failed", "waiting", "retrying", "running", "queued", "cancelled"];

const NOT_DRAGGED: Record<string, Point> = {};

/** The same with what is dragged where it is now: who drags one of very many makes only that one anew. */
function useMoved(nodes: BuilderNode[], dragged: Record<string, Point>): BuilderNode[] {
  return useMemo(
    () => nodes.map((node) => {
      const at = dragged[node.id];
      return at ? { ...node, position: { x: at[0], y: at[1] } } : node;
    }),
    [nodes, dragged],
  );
}

function sized({ width, height }: { width: number; height: number }) {
  return { width, height, measured: { width, height } };
}

/** The same objects for what is the same, so that only what changed is drawn again. */
function kept<T extends Node>(cache: Map<string, T>, made: T[]): T[] {
  const result = made.map((node) => {
    const before = cache.get(node.id);
    return before && same(before, node) ? before : node;
  });
  cache.clear();
  for (const node of result) cache.set(node.id, node);
  return result;
}

function useEdges(editor: Editor): WayEdge[] {
  const { comparison, definition, edges, layout, nodes, selection, problems, isReadOnly } = editor;
  return useMemo(() => {
    const closing = closingEdges(definition);
    const before = comparison ? new Set(edgesOf(comparison.definition).map(signature)) : null;
    const folds = foldsOf(layout.groups);
    const seen = (id: string) => folds.get(id) ?? id;
    return edges
      .filter(({ source, target }) => source in nodes && target in nodes && (!folds.has(source) || seen(source) !== seen(target)))
      .map((edge) => ({
        id: edge.id, type: "way" as const, source: seen(edge.source), target: seen(edge.target),
        sourceHandle: folds.has(edge.source) ? "out" : handleOf(edge, nodes[edge.source]), targetHandle: "in", markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 }, selected: selection.edge === edge.id,
        data: {
          edge, isLoop: closing.has(edge.id), isReadOnly,
          isWrong: edge.place !== null && problems.errors.some(({ pointer }) => pointer.startsWith(`/edges/${edge.place}/`)),
          diff: before && !before.has(signature(edge)) ? "added" : "",
        },
      }));
  }, [comparison, definition, edges, layout.groups, nodes, selection, problems, isReadOnly]);
}

function signature({ source, target, spec }: { source: string; target: string; spec: Record<string, unknown> }): string {
  return JSON.stringify([source, target, spec.when, spec.route, spec.on, spec.max]);
}

/** Brings the view to a node when something else than the mouse has chosen it. */
export function useReveal(): (id: string, places: Record<string, Point>) => void {
  const { setCenter, getZoom } = useReactFlow();
  const calm = useMemoMedia("(prefers-reduced-motion: reduce)");
  return (id, places) => {
    const at = places[id];
    if (at) void setCenter(at[0] + WIDTH / 2, at[1] + HEIGHT / 2, { zoom: Math.max(getZoom(), 0.6), duration: calm ? 0 : 150 });
  };
}

export function useMemoMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const change = () => setMatches(media.matches);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, [query]);
  return matches;
}
