/** What a node was given and gave in the last run, and running it again. */

import { togglePin } from "./acts.ts";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { fieldsOf, isFields, textOf, type Json } from "./json.ts";
import { alone, upTo, waits, withPins } from "./running.ts";
import { outputIn } from "./variables.ts";

export function RunPart({ id }: { id: string }) {
  const editor = useEditor();
  const { following, layout } = editor;
  const visits = following.run?.nodes.filter((one) => one.node === id && one.index === null) ?? [];
  const last = visits.at(-1);
  const pinned = layout.pins[id];
  const badge = following.badges[id];
  return (
    <>
      <RunButtons id={id} hasRun={last !== undefined && last.status !== "skipped"} />
      {pinned && <Value label="Pinned output" value={pinned} />}
      {!last && badge && <p className="b-dim" role="status">{waits(badge) ? "The run waits here." : `It is ${badge.status}.`} What it was given and gave stands here when the run has ended.</p>}
      {!last && !badge && <p className="b-dim">The last run did not come here{following.run ? "." : ": there was none yet."}</p>}
      {last && (
        <>
          <dl className="b-facts">
            <div><dt>Status</dt><dd><span className="b-status b-pill" data-status={last.status}><Icon name={last.status} size={12} />{last.status}</span></dd></div>
            {last.duration_ms !== null && <div><dt>Took</dt><dd>{took(last.duration_ms)}</dd></div>}
            {last.visit > 1 && <div><dt>Visit</dt><dd>{last.visit}</dd></div>}
            {last.attempt > 1 && <div><dt>Attempts</dt><dd>{last.attempt}</dd></div>}
          </dl>
          {last.error !== null && <p className="b-wrong">{textOf(fieldsOf(last.error).message) || JSON.stringify(last.error)}</p>}
          <Value label="Output" value={last.output} />
          <Value label="Input" value={last.input} />
        </>
      )}
      {following.url && <p><a href={`${pageOf(following.url)}?node=${encodeURIComponent(id)}`}>Open the run</a></p>}
    </>
  );
}

/** The page of a run, whose address in the API is another. */
export function pageOf(url: string): string {
  return new URL(url, location.href).pathname.replace(/^\/v1/, "");
}

function RunButtons({ id, hasRun }: { id: string; hasRun: boolean }) {
  const editor = useEditor();
  const { api, definition, layout, runner, following } = editor;
  const output = outputIn(following.run, id);
  if (!api.place.canRun || editor.isReadOnly) return null;
  const single = alone(definition, layout, id, following.run);
  const pinned = withPins(definition, layout);
  const fromHere = () => void runner.startFrom(id, pinned).catch((error: Error) => editor.tell(error.message));
  return (
    <div className="b-buttons">
      <button type="button" className="b-button" onClick={() => editor.show({ kind: "run", label: `Run to ${id}`, definition: upTo(pinned, id) })}>Run to here</button>
      <button type="button" className="b-button" disabled={!hasRun} title={hasRun ? "Takes over what the last run had finished before" : "The last run did not come here"} onClick={fromHere}>Run from here</button>
      <button type="button" className="b-button" disabled={typeof single === "string"} title={typeof single === "string" ? single : "On what the nodes before it gave"} onClick={() => typeof single !== "string" && editor.show({ kind: "run", label: `Run only ${id}`, definition: single })}>Run only this</button>
      <button type="button" className="b-button" disabled={!layout.pins[id] && !isFields(output)} title="Runs of the draft use this output instead of running the node (P)" onClick={() => togglePin(editor, id, output)}>
        <Icon name="pin" size={14} />{layout.pins[id] ? "Unpin" : "Pin output"}
      </button>
    </div>
  );
}

export function took(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const LONGEST = 20_000;

function Value({ label, value }: { label: string; value: Json }) {
  if (value === null || value === undefined) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <section className="b-value">
      <header><h3>{label}</h3><span className="b-space" /><button type="button" className="b-icon-button" aria-label={`Copy ${label}`} onClick={() => void navigator.clipboard.writeText(text)}><Icon name="copy" size={14} /></button></header>
      <pre tabIndex={0}>{text.length > LONGEST ? `${text.slice(0, LONGEST)}\n…` : text}</pre>
    </section>
  );
}
