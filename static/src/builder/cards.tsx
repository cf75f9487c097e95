/** What stands on the canvas. */

import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { memo } from "react";
import { fold, nameGroup, setNote } from "./acts.ts";
import { subtitleOf } from "./catalogue.ts";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { textOf, type Fields } from "./json.ts";
import type { Badge } from "./running.ts";

export type CardNode = Node<
  {
    spec: Fields; diff: string; badge: Badge | null; errors: number; warnings: number;
    isPinned: boolean; isDirty: boolean; isReadOnly: boolean;
  },
  "card"
>;
export type NoteNode = Node<{ text: string; isReadOnly: boolean }, "note">;
export type GroupNode = Node<{ title: string }, "group">;
export type BoxNode = Node<CardNode["data"] & { title: string; nodes: number }, "box">;
export type BuilderNode = CardNode | NoteNode | GroupNode | BoxNode;

export const Card = memo(function Card({ id, data, selected }: NodeProps<CardNode>) {
  const { spec, badge, diff, isReadOnly } = data;
  const name = diff === "removed" ? id.slice("removed:".length) : id;
  const title = textOf(spec.title) || name;
  const type = textOf(spec.type);
  const isApproval = type === "approval";
  return (
    <div
      className="b-card" data-node-id={id} data-type={type} data-status={badge?.status ?? ""} data-diff={diff}
      data-selected={selected || undefined} title={`${title} · ${subtitleOf(spec)}`}
    >
      <Handle id="in" type="target" position={Position.Left} isConnectable={!isReadOnly} title="What leads here" />
      <span className="b-card-icon"><Icon name={type} /></span>
      <span className="b-card-text">
        <b>{title}</b>
        <small>{subtitleOf(spec)}</small>
      </span>
      <Mark {...data} />
      {isApproval && <Handle id="approve" type="source" position={Position.Right} className="b-handle-yes" title="When approved" isConnectable={!isReadOnly} />}
      <Handle id="out" type="source" position={Position.Right} title={isApproval ? "Afterwards" : "When it has completed"} isConnectable={!isReadOnly} />
      {isApproval && <Handle id="reject" type="source" position={Position.Right} className="b-handle-no" title="When rejected" isConnectable={!isReadOnly} />}
      <Handle id="error" type="source" position={Position.Bottom} className="b-handle-error" title="When it has failed" isConnectable={!isReadOnly} />
      {!isReadOnly && <AddAfter id={id} title={title} />}
    </div>
  );
});

/** The one thing about a node that matters most now. */
function Mark({ badge, errors, warnings, isPinned, isDirty }: CardNode["data"]) {
  if (badge && ["queued", "running", "waiting", "retrying"].includes(badge.status)) return <Status badge={badge} />;
  if (badge?.status === "failed" && !isDirty) return <Status badge={badge} />;
  if (errors) return <span className="b-mark b-mark-error" title={`${errors} problem${errors > 1 ? "s" : ""}`}><Icon name="alert" size={14} />{errors > 1 && errors}<span className="b-hidden">problems</span></span>;
  if (isPinned) return <span className="b-mark b-mark-pinned" title="Gives its pinned output instead of running"><Icon name="pin" size={14} /><span className="b-hidden">pinned</span></span>;
  if (isDirty) return <span className="b-mark b-mark-dirty" title="Changed since the last run"><span className="b-dot" /><span className="b-hidden">changed since the last run</span></span>;
  if (badge) return <Status badge={badge} />;
  return warnings ? <span className="b-mark b-mark-warning" title="Worth a second look"><Icon name="alert" size={14} /></span> : null;
}

function Status({ badge }: { badge: Badge }) {
  const text = badge.message ? `${badge.status}: ${badge.message}` : badge.status;
  return (
    <span className="b-mark b-status" data-status={badge.status} title={text}>
      <Icon name={badge.status} size={14} />
      {badge.visits > 1 && <small>×{badge.visits}</small>}
      <span className="b-hidden">{badge.status}</span>
    </span>
  );
}

function AddAfter({ id, title }: { id: string; title: string }) {
  const { show } = useEditor();
  const open = () => show({ kind: "add", spot: { from: { source: id, spec: {} } } });
  return (
    <button type="button" className="b-add-after nodrag nopan" tabIndex={-1} onClick={open} aria-label={`Add a node after ${title}`}>
      <Icon name="plus" size={14} />
    </button>
  );
}

export const NoteCard = memo(function NoteCard({ id, data, selected }: NodeProps<NoteNode>) {
  const editor = useEditor();
  return (
    <div className="b-note" data-selected={selected || undefined}>
      <div className="b-note-grip" aria-hidden="true" />
      <textarea
        className="nowheel nodrag" aria-label="Note" placeholder="A note" value={data.text} readOnly={data.isReadOnly}
        onFocus={() => editor.select({ note: id })} onChange={(event) => setNote(editor, id, event.target.value)}
      />
    </div>
  );
});

export const GroupFrame = memo(function GroupFrame({ id, data }: NodeProps<GroupNode>) {
  const editor = useEditor();
  return (
    <div className="b-group">
      <header>
        <input
          className="nodrag" aria-label="Name of the group" value={data.title} readOnly={editor.isReadOnly}
          onChange={(event) => nameGroup(editor, id, event.target.value)}
        />
        {!editor.isReadOnly && <button type="button" className="b-icon-button nodrag" tabIndex={-1} aria-label={`Fold ${data.title}`} title="Fold to one box (Shift+G)" onClick={() => fold(editor, id)}><Icon name="fold" size={14} /></button>}
      </header>
    </div>
  );
});

/** A folded group: one box for all that is in it. */
export const Box = memo(function Box({ id, data, selected }: NodeProps<BoxNode>) {
  const editor = useEditor();
  const { title, nodes, diff, badge } = data;
  return (
    <div className="b-card b-box" data-group-id={id} data-status={badge?.status ?? ""} data-diff={diff} data-selected={selected || undefined} title={title} onDoubleClick={() => fold(editor, id)}>
      <Handle id="in" type="target" position={Position.Left} isConnectable={false} />
      <span className="b-card-icon"><Icon name="group" /></span>
      <span className="b-card-text"><b>{title}</b><small>{nodes} node{nodes > 1 && "s"}</small></span>
      <Mark {...data} />
      {!editor.isReadOnly && <button type="button" className="b-icon-button nodrag nopan" tabIndex={-1} aria-label={`Open ${title}`} title="Open (Shift+G)" onClick={() => fold(editor, id)}><Icon name="unfold" size={14} /></button>}
      <Handle id="out" type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
});
