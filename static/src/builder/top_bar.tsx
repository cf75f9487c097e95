/** The name, how it stands with saving, and what is done with the whole. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { tidy } from "./acts.ts";
import { useEditor, type Editor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { textOf } from "./json.ts";
import { pageOf } from "./run_part.tsx";
import { isOver, withPins } from "./running.ts";
import type { Saving } from "./saving.ts";

export function TopBar() {
  const editor = useEditor();
  const { api, definition, following, isReadOnly, problems, runner, saver, work } = editor;
  const saving = useSyncExternalStore(saver.subscribe, saver.current);
  const count = problems.errors.length;
  const place = api.place;
  const undo = work.past.at(-1)?.label;
  const redo = work.future.at(-1)?.label;
  return (
    <header className="b-bar">
      <nav className="b-crumbs" aria-label="Breadcrumb">
        <a href="/workflows">Workflows</a><span aria-hidden="true">/</span>
        <h1><a href={`/workflows/${encodeURIComponent(place.workflow)}`} title={place.workflow}>{textOf(definition.title) || place.workflow}</a></h1>
      </nav>
      <SavingNote saving={saving} />
      <span className="b-tag" title="What runs when nobody names a version">{saver.draft.published_version ? `v${saver.draft.published_version} published` : "not published"}</span>
      <span className="b-space" />
      {!isReadOnly && (
        <span className="b-tools" role="toolbar" aria-label="Edit">
          <button type="button" className="b-icon-button" disabled={!undo} title={undo ? `Undo: ${undo} (Ctrl+Z)` : "Nothing to undo"} aria-label="Undo" onClick={() => work.undo()}><Icon name="undo" /></button>
          <button type="button" className="b-icon-button" disabled={!redo} title={redo ? `Redo: ${redo} (Ctrl+Shift+Z)` : "Nothing to redo"} aria-label="Redo" onClick={() => work.redo()}><Icon name="redo" /></button>
          <button type="button" className="b-icon-button" title="Tidy up (Shift+Alt+T)" aria-label="Tidy up" onClick={() => tidy(editor)}><Icon name="tidy" /></button>
          <button type="button" className="b-icon-button" title="Keys (?)" aria-label="Keys" onClick={() => editor.show({ kind: "keys" })}><Icon name="keys" /></button>
        </span>
      )}
      <button type="button" className="b-button b-problems" data-count={count} onClick={() => editor.setTab(editor.tab === "problems" ? null : "problems")}>
        <Icon name={count ? "alert" : "check"} size={14} />
        {count ? `${count} problem${count > 1 ? "s" : ""}` : problems.isChecked ? "No problems" : "Checking…"}
      </button>
      {following.status && <RunNote status={following.status} url={following.url} />}
      {place.canRun && !isReadOnly && (isOver(following.status) || !following.status
        ? <button type="button" className="b-button" title="Run the draft (Ctrl+Enter)" onClick={() => runDraft(editor)}><Icon name="play" size={14} />Run</button>
        : <button type="button" className="b-button" onClick={() => void runner.cancel().catch((error: Error) => editor.tell(error.message))}>Cancel the run</button>)}
      {!isReadOnly && (
        <button type="button" className="b-button b-primary" disabled={count > 0 || !problems.isChecked || saving.state === "conflict"} title={count ? "Solve the problems first" : "Make the draft the version that runs"} onClick={() => editor.show({ kind: "publish" })}>Publish</button>
      )}
    </header>
  );
}

export function runDraft(editor: Editor): void {
  if (editor.problems.errors.length) {
    editor.setTab("problems");
    return editor.tell("It cannot run yet: solve the problems first.");
  }
  editor.show({ kind: "run", label: "Run the draft", definition: withPins(editor.definition, editor.layout) });
}

function RunNote({ status, url }: { status: string; url: string }) {
  return (
    <span role="status">
      <a className="b-status b-pill" data-status={status === "pending" ? "queued" : status} href={pageOf(url)} title="Open the run">
        <Icon name={status === "pending" ? "queued" : status} size={12} />{status}
      </a>
    </span>
  );
}

function SavingNote({ saving }: { saving: Saving }) {
  const { saver } = useEditor();
  const now = useNow();
  const text: Record<Saving["state"], string> = {
    saved: saving.state === "saved" && saving.at ? `Draft, saved ${ago(now - saving.at)}` : "No draft yet",
    waiting: "Draft, not saved yet",
    saving: "Saving…",
    failed: "Not saved",
    conflict: "Changed by somebody else",
  };
  return (
    <span className="b-saving" data-state={saving.state} role="status" title={saving.state === "failed" ? saving.why : ""}>
      {text[saving.state]}
      {saving.state === "failed" && <button type="button" className="b-link" onClick={() => void saver.now()}>Try again</button>}
    </span>
  );
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 10_000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

export function ago(ms: number): string {
  if (ms < 15_000) return "just now";
  if (ms < 60_000) return `${Math.round(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min ago`;
  return ms < 86_400_000 ? `${Math.round(ms / 3_600_000)} h ago` : new Date(Date.now() - ms).toLocaleDateString();
}
