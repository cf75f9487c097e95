/** Questions that have to be answered before it goes on. */

import { useEffect, useId, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { addNode, connect, extract, replace, unfold } from "./acts.ts";
import { Problem } from "./api.ts";
import { subtitleOf } from "./catalogue.ts";
import { useEditor, type Dialog as Question } from "./editor.tsx";
import { extracted } from "./extraction.ts";
import { Icon } from "./icons.tsx";
import { fieldsOf, textOf, type Fields } from "./json.ts";
import { KEYS } from "./keyboard.ts";
import { Changes } from "./panel.tsx";
import { Chooser, EntryChooser } from "./palette.tsx";
import { bodyOf, contentOf, personOf } from "./saving.ts";
import { AnyBox, ObjectFields } from "./schema_form.tsx";

export function Dialogs() {
  const { dialog, saver } = useEditor();
  const saving = useSyncExternalStore(saver.subscribe, saver.current);
  if (saving.state === "conflict") return <Conflict />;
  return dialog && <Asked dialog={dialog} />;
}

function Asked({ dialog }: { dialog: Question }) {
  const editor = useEditor();
  const nodes = Object.entries(editor.nodes);
  const drawNode = ([id, node]: [string, Fields]) => <><Icon name={textOf(node.type)} /><b>{textOf(node.title) || id}</b><small>{subtitleOf(node)}</small></>;
  switch (dialog.kind) {
    case "add":
      return <Dialog title={dialog.spot.from ? `Add after ${dialog.spot.from.source}` : dialog.spot.into ? "Insert a node" : "Add a node"}><EntryChooser onChoose={(entry) => addNode(editor, entry, dialog.spot)} /></Dialog>;
    case "replace":
      return <Dialog title={`Replace ${dialog.node}`}><EntryChooser onChoose={(entry) => replace(editor, dialog.node, entry)} /></Dialog>;
    case "connect":
      return <Dialog title={`Connect ${dialog.source} to`}><Chooser label="Node" items={nodes} textOf={([id]) => id} draw={drawNode} onChoose={([id]) => connect(editor, dialog.source, id)} /></Dialog>;
    case "find":
      return (
        <Dialog title="Find a node">
          <Chooser label="Node" items={nodes} textOf={([id, node]) => `${id} ${textOf(node.title)} ${subtitleOf(node)}`} draw={drawNode} onChoose={([id]) => { editor.show(null); unfold(editor, id); editor.select({ nodes: new Set([id]) }); editor.reveal(id); }} />
        </Dialog>
      );
    case "extract":
      return <Extract />;
    case "publish":
      return <Publish />;
    case "run":
      return <RunDialog label={dialog.label} definition={dialog.definition} />;
    case "keys":
      return <Dialog title="Keys"><dl className="b-keys">{KEYS.map(([keys, what]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div>)}</dl></Dialog>;
  }
}

function Dialog({ title, children, onClose }: { title: string; children: ReactNode; onClose?: () => void }) {
  const editor = useEditor();
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const close = onClose ?? (() => editor.show(null));
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    const first = ["[data-focus]", ".b-dialog-body :is(input, textarea, select)", ".b-dialog-body button"];
    first.map((one) => box.current?.querySelector<HTMLElement>(one)).find((found) => found)?.focus();
    return () => { if (before instanceof HTMLElement && before.isConnected && before !== document.body) before.focus(); else document.getElementById("canvas")?.focus(); };
  }, []);
  return (
    <dialog ref={box} className="b-dialog" aria-labelledby={heading} onCancel={(event) => { event.preventDefault(); close(); }} onMouseDown={(event) => event.target === box.current && close()}>
      <header><h2 id={heading}>{title}</h2><span className="b-space" /><button type="button" className="b-icon-button" aria-label="Close" onClick={close}><Icon name="close" /></button></header>
      <div className="b-dialog-body">{children}</div>
    </dialog>
  );
}

function Extract() {
  const editor = useEditor();
  const { definition, selection } = editor;
  const [name, setName] = useState(() => `${textOf(definition.name)}-part`);
  const [state, setState] = useState({ isBusy: false, why: "" });
  const found = useMemo(() => extracted(definition, selection.nodes, name.trim()), [definition, selection, name]);
  const inputs = typeof found === "string" ? [] : Object.keys(fieldsOf(fieldsOf(found.part.inputs).properties));
  const make = async (event: React.FormEvent) => {
    event.preventDefault();
    setState({ isBusy: true, why: "" });
    try {
      await extract(editor, name.trim());
    } catch (error) {
      setState({ isBusy: false, why: whyNot(error as Error, name.trim()) });
    }
  };
  return (
    <Dialog title={`A workflow of ${selection.nodes.size} node${selection.nodes.size > 1 ? "s" : ""}`}>
      <form onSubmit={(event) => void make(event)}>
        <label className="b-label" htmlFor="b-part">Name</label>
        <input id="b-part" type="text" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        <p className="b-help">{inputs.length ? `It reads of the rest, as its inputs: ${inputs.join(", ")}.` : "It reads nothing of the rest."} One node calls it in their place.</p>
        {state.why && <p className="b-wrong" role="alert">{state.why}</p>}
        <footer><button type="button" className="b-button" onClick={() => editor.show(null)}>Cancel</button><button type="submit" className="b-button b-primary" disabled={state.isBusy || !name.trim()}>Extract</button></footer>
      </form>
    </Dialog>
  );
}

function whyNot(error: Error, name: string): string {
  if (!(error instanceof Problem)) return error.message;
  if (error.status === 412) return `There is a workflow '${name}' already. Choose another name.`;
  const issues = error.errors.map((issue) => `${issue.pointer}: ${issue.message}`);
  return issues.length ? issues.join(" ") : error.message;
}

function Publish() {
  const editor = useEditor();
  const { saver, definition } = editor;
  const [message, setMessage] = useState("");
  const [state, setState] = useState({ isBusy: false, why: "" });
  const [before, setBefore] = useState<Fields | null>(null);
  const [newest, setNewest] = useState(saver.draft.latest_version);
  const isBehind = newest > saver.draft.based_on;
  const beside = isBehind ? newest : saver.draft.published_version;
  useEffect(() => void saver.newest().then(setNewest, () => undefined), [saver]);
  useEffect(() => {
    if (beside) void editor.api.version(beside).then((version) => setBefore(version.definition), () => setBefore(null));
  }, [beside]);
  const publish = async (event: React.FormEvent) => {
    event.preventDefault();
    setState({ isBusy: true, why: "" });
    try {
      await saver.publish(message, newest);
      editor.show(null);
      editor.tell(`Version ${saver.draft.latest_version} is published.`);
    } catch (error) {
      if (error instanceof Problem && error.code === "newer_version") setNewest(await saver.newest());
      setState({ isBusy: false, why: error instanceof Problem && error.status === 412 ? "Somebody has saved another draft meanwhile. Look at it first." : (error as Error).message });
    }
  };
  return (
    <Dialog title="Publish the draft">
      <form onSubmit={(event) => void publish(event)}>
        <label className="b-label" htmlFor="b-message">What changed</label>
        <input id="b-message" type="text" maxLength={500} value={message} placeholder="For those who read the versions later" onChange={(event) => setMessage(event.target.value)} />
        {isBehind && <p className="b-wrong" role="alert">Version {newest} was made since you began from version {saver.draft.based_on}. Publishing puts yours in its place; what differs stands below.</p>}
        {before && <details className="b-more" open><summary>Beside version {beside}</summary><Changes before={before} after={definition} /></details>}
        {state.why && <p className="b-wrong" role="alert">{state.why}</p>}
        <footer><button type="button" className="b-button" onClick={() => editor.show(null)}>Cancel</button><button type="submit" className="b-button b-primary" disabled={state.isBusy}>{isBehind ? `Publish over version ${newest}` : "Publish"}</button></footer>
      </form>
    </Dialog>
  );
}

const INPUTS = "orchestra.builder.input.";

function RunDialog({ label, definition }: { label: string; definition: Fields }) {
  const editor = useEditor();
  const { api, runner, following } = editor;
  const schema = fieldsOf(definition.inputs);
  const hasForm = Object.keys(fieldsOf(schema.properties)).length > 0;
  const [input, setInput] = useState<Fields>(() => remembered(api.place.id) ?? fieldsOf(following.run?.input));
  const [state, setState] = useState<{ isBusy: boolean; why: string[] }>({ isBusy: false, why: [] });
  const start = async (event?: React.FormEvent) => {
    event?.preventDefault();
    setState({ isBusy: true, why: [] });
    try {
      sessionStorage.setItem(INPUTS + api.place.id, JSON.stringify(input));
      await runner.start(definition, input, api.place.id);
      editor.show(null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const why = error.errors.map((issue) => `${issue.pointer.replace(/^\/definition/, "")}: ${issue.message}`);
      setState({ isBusy: false, why: why.length ? why : [error.message] });
    }
  };
  const send = (event: React.KeyboardEvent) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && void start();
  return (
    <Dialog title={label}>
      <form onSubmit={(event) => void start(event)} onKeyDown={send}>
        {hasForm
          ? <ObjectFields schema={schema} root={schema} value={input} at="/input" scope={null} onChange={setInput} />
          : <><label className="b-label" htmlFor="b-input">Input, as JSON</label><AnyBox id="b-input" label="Input" value={input} scope={null} onChange={(value) => setInput(fieldsOf(value))} /></>}
        {state.why.map((one) => <p className="b-wrong" role="alert" key={one}>{one}</p>)}
        <footer><button type="button" className="b-button" onClick={() => editor.show(null)}>Cancel</button><button type="submit" className="b-button b-primary" data-focus={!hasForm || undefined} disabled={state.isBusy}><Icon name="play" size={14} />Run</button></footer>
      </form>
    </Dialog>
  );
}

function remembered(workflow: string): Fields | null {
  try {
    return JSON.parse(sessionStorage.getItem(INPUTS + workflow) ?? "null") as Fields | null;
  } catch {
    return null;
  }
}

/** Two people changed the definition: nothing is overwritten before somebody has seen what. */
function Conflict() {
  const editor = useEditor();
  const { api, saver, work, definition } = editor;
  const saving = saver.current();
  const [isBusy, setBusy] = useState(false);
  if (saving.state !== "conflict") return null;
  const { theirs } = saving;
  const who = personOf(theirs.updated_by);
  const keep = async () => {
    setBusy(true);
    try {
      const version = await api.version(theirs.latest_version);
      const id = await api.keepAsCopy(copyName(theirs.workflow), bodyOf(work.content), version.definition);
      saver.takeTheirs();
      window.location.assign(`/workflows/${id}/edit`);
    } catch (error) {
      setBusy(false);
      editor.tell((error as Error).message);
    }
  };
  return (
    <Dialog title={`${who} has changed this workflow too`} onClose={() => editor.tell("Choose one; nothing is saved until then.")}>
      <p>Your changes are not saved, and theirs are not overwritten. This is what differs, yours first:</p>
      <Changes before={definition} after={contentOf(theirs).definition} />
      <footer>
        <button type="button" className="b-button" disabled={isBusy} onClick={() => saver.takeTheirs()} title="Yours can be brought back by Undo">Take theirs</button>
        <button type="button" className="b-button" disabled={isBusy} onClick={() => void keep()}>Keep mine as a copy</button>
        <button type="button" className="b-button b-danger" disabled={isBusy} onClick={() => void saver.overwrite()}>Overwrite theirs</button>
      </footer>
    </Dialog>
  );
}

function copyName(name: string): string {
  return `${name.slice(0, 170)}-copy-${new Date().toISOString().slice(5, 19).replace(/\D/g, "")}`;
}
