/** Edges: what decides about one stands on it, and one that closes a cycle is drawn as a loop. */

import { BaseEdge, EdgeLabelRenderer, getBezierPath, type Edge as FlowEdge, type EdgeProps } from "@xyflow/react";
import { memo } from "react";
import { LABEL_LENGTH, labelOf, type Edge } from "./definition.ts";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { brief } from "./json.ts";

export type WayEdge = FlowEdge<{ edge: Edge; isLoop: boolean; isWrong: boolean; isReadOnly: boolean; diff: string }, "way">;

export const Way = memo(function Way(props: EdgeProps<WayEdge>) {
  const { id, data, selected, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, markerEnd } = props;
  const editor = useEditor();
  if (!data) return null;
  const { edge, isLoop, isWrong, isReadOnly, diff } = data;
  const [path, x, y] = isLoop
    ? loopPath(sourceX, sourceY, targetX, targetY)
    : getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition });
  const label = labelOf(edge, isLoop);
  return (
    <>
      <BaseEdge
        id={id} path={path} interactionWidth={16} {...(markerEnd ? { markerEnd } : {})}
        className={["b-way", selected && "is-selected", isWrong && "is-wrong", edge.spec.on === "error" && "is-error", diff && `is-${diff}`].filter(Boolean).join(" ")}
      />
      <EdgeLabelRenderer>
        <div className="b-way-label nodrag nopan" data-selected={selected || undefined} style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
          {label && <button type="button" tabIndex={-1} className={isWrong ? "is-wrong" : ""} title={label} onClick={() => editor.select({ edge: id })}>{brief(label, LABEL_LENGTH)}</button>}
          {!isReadOnly && (
            <button type="button" tabIndex={-1} className="b-insert" aria-label={`Insert a node between ${edge.source} and ${edge.target}`} onClick={() => editor.show({ kind: "add", spot: { into: edge } })}>
              <Icon name="plus" size={12} />
            </button>
          )}
        </div>
      </EdgeLabelRenderer>
    </>
  );
});

/** Out at the right, back below everything between, and in at the left. */
function loopPath(fromX: number, fromY: number, toX: number, toY: number): [string, number, number] {
  const below = Math.max(fromY, toY) + 66;
  const path = [
    `M ${fromX} ${fromY}`,
    `C ${fromX + 48} ${fromY}, ${fromX + 48} ${below}, ${fromX} ${below}`,
    `L ${toX} ${below}`,
    `C ${toX - 48} ${below}, ${toX - 48} ${toY}, ${toX} ${toY}`,
  ].join(" ");
  return [path, (fromX + toX) / 2, below];
}
