/** The graph: cards, edges, notes and groups, and everything the mouse does with them. */

import {
  Background, BackgroundVariant, MarkerType, MiniMap, ReactFlow, SelectionMode, useReactFlow,
  type Connection, type EdgeChange, type FinalConnectionState, type Node, type NodeChange,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent } from "react";
import { addNode, connect, handleOf, move, specOfHandle } from "./acts.ts";
import { Card, GroupFrame, NoteCard, type BuilderNode } from "./cards.tsx";
import { closingEdges, edgesOf, nodesOf } from "./definition.ts";
import { useEditor, type Editor } from "./editor.tsx";
import { same } from "./json.ts";
import { HEIGHT, WIDTH, placesOf, snapped, type Point } from "./layout.ts";
import { changedSince } from "./running.ts";
import { Way, type WayEdge } from "./ways.tsx";

export const ENTRY = "application/x-orchestra-entry";

const NODE_TYPES = { card: Card, note: NoteCard, group: GroupFrame };
const EDGE_TYPES = { way: Way };
/** All of it in view, and nothing larger than it is. */
export const WHOLE = { maxZoom: 1, padding: 0.15 };
const NOTE_SIZE = { width: 208, height: 112 };

export function Canvas() {
  const editor = useEditor();
  const { screenToFlowPosition } = useReactFlow();
  const [dragged, setDragged] = useState<Record<string, Point>>({});
  const nodes = useNodes(editor, dragged);
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
      {Object.keys(editor.nodes).length === 0 && !editor.isReadOnly && <Empty editor={editor} />}
    </div>
  );
}

function Empty({ editor }: { editor: Editor }) {
  return (
    <div className="b-empty">
      <p>There is no node yet.</p>
      <button type="button" className="b-button b-primary" onClick={() => editor.show({ kind: "add", spot: {} })}>Add the first one</button>
      <p className="b-dim">Or press N, drag one from the palette, or drop a file.</p>
    </div>
  );
}

/** Who moves a group moves what is in it. */
function withMembers(editor: Editor, moving: Record<string, Point>): Record<string, Point> {
  const all = { ...moving };
  for (const [id, [x, y]] of Object.entries(moving)) {
    const group = editor.layout.groups[id];
    if (!group) continue;
    const frame = frameOf(group.nodes, editor.places);
    delete all[id];
    for (const node of group.nodes) {
      const at = editor.places[node];
      if (at && frame) all[node] = [at[0] + x - frame.x, at[1] + y - frame.y];
    }
  }
  return all;
}

function selectChanged(editor: Editor, changes: NodeChange<BuilderNode>[]): void {
  const selects = changes.filter((change) => change.type === "select");
  if (!selects.length) return;
  editor.selectBy((before) => {
    const nodes = new Set(before.nodes);
    let { note, edge } = before;
    for (const { id, selected } of selects) {
      if (id in editor.layout.groups) continue;
      if (selected) edge = null;
      if (id in editor.layout.notes) note = selected ? id : null;
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
    for (const [id, group] of Object.entries(layout.groups)) {
      const frame = frameOf(group.nodes, at);
      if (frame) made.push({ id, type: "group", position: { x: frame.x, y: frame.y }, zIndex: -1, ...sized(frame), data: { title: group.title } });
    }
    const before = comparison ? nodesOf(comparison.definition) : null;
    for (const [id, spec] of Object.entries(editor.nodes)) {
      const [x, y] = at[id] ?? [0, 0];
      const own = `/nodes/${id}`;
      const wrong = (issues: { pointer: string }[]) => issues.filter(({ pointer }) => pointer === own || pointer.startsWith(`${own}/`)).length;
      const diff = !before ? "" : !before[id] ? "added" : same(before[id], spec) ? "same" : "changed";
      made.push({
        id, type: "card", position: { x, y }, selected: selection.nodes.has(id), ...sized({ width: WIDTH, height: HEIGHT }),
        data: {
          spec, diff, badge: following.badges[id] ?? null, errors: wrong(problems.errors), warnings: wrong(problems.warnings),
          isPinned: id in layout.pins, isDirty: changedSince(definition, following, id), isReadOnly,
        },
      });
    }
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
  const { comparison, definition, edges, nodes, selection, problems, isReadOnly } = editor;
  return useMemo(() => {
    const closing = closingEdges(definition);
    const before = comparison ? new Set(edgesOf(comparison.definition).map(signature)) : null;
    return edges
      .filter(({ source, target }) => source in nodes && target in nodes)
      .map((edge) => ({
        id: edge.id, type: "way" as const, source: edge.source, target: edge.target,
        sourceHandle: handleOf(edge, nodes[edge.source]), targetHandle: "in", markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 }, selected: selection.edge === edge.id,
        data: {
          edge, isLoop: closing.has(edge.id), isReadOnly,
          isWrong: edge.place !== null && problems.errors.some(({ pointer }) => pointer.startsWith(`/edges/${edge.place}/`)),
          diff: before && !before.has(signature(edge)) ? "added" : "",
        },
      }));
  }, [comparison, definition, edges, nodes, selection, problems, isReadOnly]);
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
