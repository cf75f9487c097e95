/** The builder: its state, and how its parts stand together. */

import { ReactFlowProvider, useReactFlow } from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { clipText, paste, removeSelected, takeDocument, unfold } from "./acts.ts";
import { Problem, type Api, type Draft } from "./api.ts";
import { Canvas, WHOLE, useMemoMedia, useReveal } from "./canvas.tsx";
import { entriesOf, type Catalogue } from "./catalogue.ts";
import { edgesOf, nodesOf } from "./definition.ts";
import { Dialogs } from "./dialogs.tsx";
import { EditorProvider, NO_SELECTION, type Comparison, type Dialog, type Editor, type Face, type Problems, type Selection, type Tab } from "./editor.tsx";
import { Inspector } from "./inspector.tsx";
import { pointerParts, same, textOf, type Fields } from "./json.ts";
import { isWriting, press } from "./keyboard.ts";
import { placesOf, snapped, type Point } from "./layout.ts";
import { Palette } from "./palette.tsx";
import { Panel } from "./panel.tsx";
import { Runner } from "./running.ts";
import { Saver, contentOf } from "./saving.ts";
import { TopBar } from "./top_bar.tsx";
import { Work } from "./work.ts";

interface Props {
  api: Api;
  catalogue: Catalogue;
  draft: Draft;
  tag: string;
}

export function Builder(props: Props) {
  return <ReactFlowProvider><Editing {...props} /></ReactFlowProvider>;
}

function Editing({ api, draft, tag, ...given }: Props) {
  const [message, setMessage] = useState("");
  const [catalogue, setCatalogue] = useState(given.catalogue);
  const { work, saver, runner } = useOnce(() => opened(api, draft, tag, setMessage));
  const isNarrow = useMemoMedia("(max-width: 760px)");
  const isReadOnly = isNarrow || !api.place.canEdit;
  const content = useSyncExternalStore(work.subscribe, work.current);
  const following = useSyncExternalStore(runner.subscribe, runner.current);
  const problems = useProblems(api, content.definition);
  const [selection, setSelection] = useState<Selection>(NO_SELECTION);
  const [dialog, show] = useState<Dialog | null>(null);
  const [tab, setTab] = useState<Tab | null>(null);
  const [face, turn] = useState<Face>("setup");
  const [comparison, compare] = useState<Comparison | null>(null);
  const flow = useReactFlow();
  const reveal = useReveal();
  const { definition, layout } = content;
  const derived = useMemo(
    () => ({ nodes: nodesOf(definition), edges: edgesOf(definition), places: placesOf(definition, layout) }),
    [definition, layout],
  );
  const entries = useMemo(() => entriesOf(catalogue), [catalogue]);
  const select = useCallback((change: Partial<Selection>) => setSelection({ ...NO_SELECTION, ...change }), []);
  const places = useRef(derived.places);
  places.current = derived.places;

  const newest = useRef<Editor>(null!);
  const editor: Editor = useMemo(
    () => ({
      know: (workflow) => setCatalogue((before) => ({ ...before, workflows: [...before.workflows, workflow].sort() })),
      api, catalogue, entries, work, saver, runner, isReadOnly, content, definition, layout, ...derived, following, problems,
      selection, select, selectBy: setSelection, dialog, show, tab, setTab, face, turn, comparison, compare, tell: setMessage,
      reveal: (id) => reveal(id, places.current),
      fit: () => void flow.fitView(WHOLE),
      goTo: (pointer) => {
        turn("setup");
        const [kind, node] = pointerParts(pointer);
        if (kind === "nodes" && node) unfold(newest.current, node);
        goTo(pointer, derived.edges, select, (id) => reveal(id, places.current));
      },
      middle: () => middleOf(flow),
    }),
    [api, catalogue, entries, work, saver, runner, isReadOnly, content, definition, layout, derived, following, problems, selection, dialog, tab, face, comparison],
  );
  newest.current = editor;

  useEffect(() => (isReadOnly && !api.place.canEdit ? undefined : saver.start()), [saver]);
  useEffect(() => void runner.showLast(), [runner]);
  useEffect(() => listen(() => newest.current, flow), [flow]);

  return (
    <EditorProvider value={editor}>
      <div className="b-builder" data-readonly={isReadOnly || undefined}>
        <TopBar />
        {isReadOnly && <p className="b-hint" role="note">{api.place.canEdit ? "Editing needs a wider window; here you can look around." : "You may look at this workflow; changing it needs the role of an editor."}</p>}
        <div className="b-main">
          {!isReadOnly && <Palette />}
          <div className="b-center"><Canvas /><Panel /></div>
          <Inspector />
        </div>
        <Dialogs />
        <Toast message={message} onGone={() => setMessage("")} />
        <p className="b-hidden" role="status">{said(editor)}</p>
      </div>
    </EditorProvider>
  );
}

function useOnce<T>(make: () => T): T {
  const made = useRef<T | null>(null);
  made.current ??= make();
  return made.current;
}

/** What was worked on in this tab before a reload goes on where it was; else the draft as it is saved. */
function opened(api: Api, draft: Draft, tag: string, tell: (message: string) => void) {
  const key = `orchestra.builder.${api.place.id}`;
  const kept = Work.kept(key);
  // What was not saved before somebody else saved is not lost: saving it meets theirs.
  const goesOn = kept !== null && (kept.tag === tag || !same(kept.content, kept.saved));
  const base = goesOn ? { tag: kept.tag, saved: kept.saved } : { tag, saved: contentOf(draft) };
  const work = new Work(goesOn ? kept.content : base.saved);
  if (goesOn) [work.past, work.future] = [kept.past, kept.future];
  return { work, saver: new Saver(api, work, draft, base, key, tell), runner: new Runner(api) };
}

const CHECK_REST_MS = 350;

function useProblems(api: Api, definition: Fields): Problems {
  const [problems, setProblems] = useState<Problems>({ errors: [], warnings: [], isChecked: false });
  useEffect(() => {
    let isOld = false;
    const timer = window.setTimeout(() => {
      api.validate(definition).then(
        ({ errors, warnings }) => isOld || setProblems({ errors, warnings, isChecked: true }),
        (error: unknown) => {
          if (!(error instanceof Problem)) throw error;
          if (!isOld) setProblems({ errors: error.errors, warnings: [], isChecked: error.errors.length > 0 });
        },
      );
    }, CHECK_REST_MS);
    return () => {
      isOld = true;
      window.clearTimeout(timer);
    };
  }, [api, definition]);
  return problems;
}

function middleOf(flow: ReturnType<typeof useReactFlow>): Point {
  const box = document.getElementById("canvas")?.getBoundingClientRect();
  if (!box) return [0, 0];
  const { x, y } = flow.screenToFlowPosition({ x: box.left + box.width / 2, y: box.top + box.height / 2 });
  return [snapped(x - 86), snapped(y - 27)];
}

/** Selects what a problem is about, and puts the cursor into its field. */
function goTo(pointer: string, edges: Editor["edges"], select: Editor["select"], reveal: (id: string) => void): void {
  const [first, second] = pointerParts(pointer);
  if (first === "nodes" && second) {
    select({ nodes: new Set([second]) });
    reveal(second);
  } else if (first === "edges" && second) select({ edge: edges.find((edge) => edge.place === Number(second))?.id ?? null });
  else select({});
  window.setTimeout(() => focusField(pointer), 60);
}

function focusField(pointer: string): void {
  const fields = [...document.querySelectorAll<HTMLElement>("#inspector [data-pointer]")].filter(({ dataset }) => {
    const at = dataset.pointer ?? "";
    return pointer === at || pointer.startsWith(`${at}/`);
  });
  const nearest = fields.sort((a, b) => b.dataset.pointer!.length - a.dataset.pointer!.length)[0];
  nearest?.closest("details")?.setAttribute("open", "");
  nearest?.scrollIntoView({ block: "center" });
  nearest?.querySelector<HTMLElement>("input, textarea, select")?.focus();
}

/** Keys, the clipboard and files, wherever on the page. */
function listen(current: () => Editor, flow: ReturnType<typeof useReactFlow>): () => void {
  const view = {
    fit: () => void flow.fitView(WHOLE),
    full: () => void flow.zoomTo(1),
    zoom: (closer: boolean) => void (closer ? flow.zoomIn() : flow.zoomOut()),
  };
  const stop = new AbortController();
  const on = <K extends keyof DocumentEventMap>(type: K, act: (event: DocumentEventMap[K]) => void) => document.addEventListener(type, act, { signal: stop.signal });
  const take = (act: Promise<void>) => void act.catch((error: Error) => current().tell(error.message));
  // Before the keys that every page has; what follows their `g` is theirs.
  let chordUntil = 0;
  const key = (event: KeyboardEvent) => {
    const isChord = event.timeStamp < chordUntil;
    chordUntil = event.key === "g" && !event.ctrlKey && !event.metaKey && !isWriting(event.target) ? event.timeStamp + 1200 : 0;
    if (!isChord && press(current(), view, event)) event.preventDefault();
  };
  document.addEventListener("keydown", key, { signal: stop.signal, capture: true });
  const copy = (event: ClipboardEvent): boolean => {
    const text = isWriting(event.target) || window.getSelection()?.toString() ? null : clipText(current());
    if (!text) return false;
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    return true;
  };
  on("copy", (event) => copy(event) && current().tell("Copied as JSON."));
  on("cut", (event) => { if (!current().isReadOnly && copy(event)) removeSelected(current()); });
  on("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain").trim();
    if (!text || isWriting(event.target) || current().isReadOnly) return;
    event.preventDefault();
    take(paste(current(), text));
  });
  on("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
  on("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    if (!current().isReadOnly) take(file.text().then((text) => takeDocument(current(), text, `Import ${file.name}`)));
  });
  return () => stop.abort();
}

const SHOWN_MS = 6000;

function Toast({ message, onGone }: { message: string; onGone: () => void }) {
  useEffect(() => {
    if (!message) return;
    const timer = window.setTimeout(onGone, SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [message]);
  return <div className="b-toasts" role="status">{message && <p className="b-toast">{message}</p>}</div>;
}

/** What a screen reader is told of the selection. */
function said({ selection, nodes, following, problems }: Editor): string {
  if (selection.nodes.size > 1) return `${selection.nodes.size} nodes selected`;
  const [id] = selection.nodes;
  const node = id ? nodes[id] : undefined;
  if (!id || !node) return "";
  const wrong = problems.errors.filter(({ pointer }) => pointer.startsWith(`/nodes/${id}/`)).length;
  return [`${textOf(node.title) || id}, ${textOf(node.type)}`, following.badges[id]?.status, wrong && `${wrong} problems`].filter(Boolean).join(", ");
}
