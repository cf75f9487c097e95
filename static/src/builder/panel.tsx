/** The lists below the canvas: every node and edge, what is wrong, the text, and the versions. */

import { useEffect, useRef, useState } from "react";
import { Problem, type Version } from "./api.ts";
import { subtitleOf } from "./catalogue.ts";
import { edgesOf, nodesOf } from "./definition.ts";
import { useEditor, type Tab } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { brief, fieldsOf, isFields, pointer, pointerParts, same, textOf, type Fields, type Json } from "./json.ts";
import { layoutFrom, tidied } from "./layout.ts";
import { personOf } from "./saving.ts";
import { ago } from "./top_bar.tsx";
import { readYaml, sourceOf } from "./yaml_text.ts";

const TABS: [Tab, string][] = [["outline", "Outline"], ["problems", "Problems"], ["yaml", "YAML"], ["versions", "Versions"]];

export function Panel() {
  const { tab, setTab, problems } = useEditor();
  const count = problems.errors.length + problems.warnings.length;
  return (
    <section className="b-panel" data-open={tab !== null} aria-label="Lists">
      <div className="b-panel-tabs">
        <div className="b-tabs" role="tablist" aria-label="Lists">
          {TABS.map(([name, label]) => (
            <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(tab === name ? null : name)}>
              {label}{name === "problems" && count > 0 && <span className="b-count" data-errors={problems.errors.length > 0}>{count}</span>}
            </button>
          ))}
        </div>
        <span className="b-space" />
        {tab && <button type="button" className="b-icon-button" aria-label="Close the list" title="L" onClick={() => setTab(null)}><Icon name="close" size={14} /></button>}
      </div>
      {tab && (
        <div className="b-panel-body" role="tabpanel" aria-label={tab}>
          {tab === "outline" && <Outline />}
          {tab === "problems" && <ProblemList />}
          {tab === "yaml" && <YamlTab />}
          {tab === "versions" && <Versions />}
        </div>
      )}
    </section>
  );
}

// ---- outline --------------------------------------------------------------------------------------

function Outline() {
  const editor = useEditor();
  const { nodes, edges, following, problems, selection } = editor;
  const wrong = (id: string) => problems.errors.filter((issue) => issue.pointer.startsWith(`/nodes/${id}/`) || issue.pointer === `/nodes/${id}`).length;
  return (
    <ol className="b-outline" aria-label="Nodes">
      {Object.entries(nodes).map(([id, node]) => {
        const after = edges.filter((edge) => edge.source === id);
        const status = following.badges[id]?.status;
        return (
          <li key={id} data-selected={selection.nodes.has(id) || undefined}>
            <button type="button" aria-pressed={selection.nodes.has(id)} onClick={() => { editor.select({ nodes: new Set([id]) }); editor.reveal(id); }}>
              <Icon name={textOf(node.type)} size={14} /><b>{textOf(node.title) || id}</b>
              <small>{subtitleOf(node)}{status ? `, ${status}` : ""}{wrong(id) ? `, ${wrong(id)} problems` : ""}</small>
            </button>
            {after.map((edge) => (
              <button type="button" key={edge.id} className="b-outline-edge" aria-pressed={selection.edge === edge.id} onClick={() => editor.select({ edge: edge.id })}>
                → {edge.target}<small>{[edge.spec.on, edge.spec.route, edge.spec.when].filter(Boolean).map((one) => brief(one, 40)).join(" · ")}</small>
              </button>
            ))}
          </li>
        );
      })}
      {!Object.keys(nodes).length && <li className="b-dim">There is no node yet.</li>}
    </ol>
  );
}

// ---- problems -------------------------------------------------------------------------------------

function ProblemList() {
  const { problems, goTo } = useEditor();
  const rows = [...problems.errors.map((issue) => ({ issue, kind: "error" })), ...problems.warnings.map((issue) => ({ issue, kind: "warning" }))];
  if (!rows.length) return <p className="b-dim">{problems.isChecked ? "Nothing is wrong. It can be published." : "Checking…"}</p>;
  return (
    <ul className="b-problem-list">
      {rows.map(({ issue, kind }) => (
        <li key={`${issue.pointer} ${issue.message}`} data-kind={kind}>
          <button type="button" onClick={() => goTo(issue.pointer)}>
            <Icon name="alert" size={14} /><code>{placeName(issue.pointer)}</code><span>{issue.message} {issue.fix}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function placeName(path: string): string {
  const [first, ...rest] = pointerParts(path);
  if (!first) return "workflow";
  return first === "nodes" ? rest.join(" › ") : [first, ...rest].join(" › ");
}

// ---- the text -------------------------------------------------------------------------------------

function YamlTab() {
  const { content, isReadOnly, work } = useEditor();
  const [typed, setTyped] = useState<string | null>(null);
  const [problems, setProblems] = useState<{ line: number; message: string }[]>([]);
  const timer = useRef(0);
  const written = useRef<Fields | null>(null);
  useEffect(() => {
    // What was changed elsewhere, by undo too, stands in the text; what was typed here stays as it was typed.
    if (typed !== null && !problems.length && written.current !== content.definition) setTyped(null);
  }, [content.definition]);

  const change = (text: string) => {
    setTyped(text);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      const read = readYaml(text);
      setProblems(read.problems);
      if (!read.definition) return;
      written.current = read.definition;
      if (!same(read.definition, content.definition) || text !== content.source) work.act("Edit the text", { definition: read.definition, source: text }, "yaml");
    }, 350);
  };
  const text = typed ?? sourceOf(content.source, content.definition);
  return (
    <div className="b-yaml">
      <textarea className="b-mono" aria-label="The workflow as YAML" spellCheck={false} value={text} readOnly={isReadOnly} onChange={(event) => change(event.target.value)} />
      <div role="status">{problems.map((one) => <p className="b-wrong" key={one.message}>Line {one.line}: {one.message}</p>)}</div>
    </div>
  );
}

// ---- versions -------------------------------------------------------------------------------------

function Versions() {
  const editor = useEditor();
  const { api, saver, comparison, definition } = editor;
  const [versions, setVersions] = useState<Version[] | null>(null);
  const newest = saver.draft.latest_version;
  useEffect(() => {
    void api.versions().then(setVersions, (error: Error) => editor.tell(error.message));
  }, [api, newest]);

  const compare = async (number: number) => {
    const version = await api.version(number);
    editor.compare({ title: `version ${number}`, definition: version.definition });
  };
  const restore = async (number: number) => {
    const version = await api.version(number);
    const source = version.source_format === "yaml" && version.dialect === "canonical" ? version.source : "";
    const known = Object.keys(nodesOf(version.definition)).every((id) => id in editor.places);
    const layout = known ? editor.layout : layoutFrom({ ...editor.layout, positions: tidied(version.definition) } as unknown as Json);
    editor.work.act(`Restore version ${number}`, { definition: version.definition, source, layout });
    editor.compare(null);
    editor.tell(`The draft is version ${number} now. Publish it to make it run.`);
  };
  const failed = (error: unknown) => {
    if (!(error instanceof Problem)) throw error;
    editor.tell(error.message);
  };
  if (!versions) return <p className="b-dim">Loading…</p>;
  return (
    <div className="b-versions">
      <ul>
        {versions.map((version) => (
          <li key={version.number}>
            <b>v{version.number}</b>
            <span className="b-version-message" title={version.message}>{version.message || "no message"}</span>
            <small>{personOf(version.created_by)}, <time dateTime={version.created_at}>{ago(Date.now() - Date.parse(version.created_at))}</time></small>
            {version.published && <span className="b-tag">published</span>}
            <span className="b-space" />
            <button type="button" className="b-button" onClick={() => void compare(version.number).catch(failed)}>Compare</button>
            {!editor.isReadOnly && <button type="button" className="b-button" onClick={() => void restore(version.number).catch(failed)}>Restore</button>}
          </li>
        ))}
      </ul>
      {comparison && (
        <section aria-label="What changed">
          <header><b>The draft beside {comparison.title}</b><span className="b-space" /><button type="button" className="b-button" onClick={() => editor.compare(null)}>Close</button></header>
          <Changes before={comparison.definition} after={definition} />
        </section>
      )}
    </div>
  );
}

interface Difference { at: string; before: Json | undefined; after: Json | undefined }

export function Changes({ before, after }: { before: Fields; after: Fields }) {
  const found = differences(before, after);
  if (!found.length) return <p className="b-dim">There is no difference.</p>;
  return (
    <ul className="b-changes">
      {found.map(({ at, before: old, after: now }) => (
        <li key={at} data-change={old === undefined ? "added" : now === undefined ? "removed" : "changed"}>
          <code>{placeName(at)}</code>
          {old !== undefined && <del>{brief(old, 160)}</del>}
          {now !== undefined && <ins>{brief(now, 160)}</ins>}
        </li>
      ))}
    </ul>
  );
}

/** What is different, each with its place; edges are compared by what they say and not by where they stand. */
function differences(before: Fields, after: Fields): Difference[] {
  const [{ edges: _a, ...old }, { edges: _b, ...now }] = [before, after];
  return [...below(old, now, ""), ...edgeDifferences(before, after)];
}

function below(before: Fields, after: Fields, at: string): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => {
    const [old, now] = [before[key], after[key]];
    if (same(old, now)) return [];
    return isFields(old) && isFields(now) ? below(old, now, at + pointer(key)) : [{ at: at + pointer(key), before: old, after: now }];
  });
}

function edgeDifferences(before: Fields, after: Fields): Difference[] {
  const sayings = (definition: Fields) => new Map(edgesOf(definition).filter((edge) => edge.place !== null).map((edge) => [JSON.stringify(fieldsOf(edge.spec)), edge] as const));
  const [old, now] = [sayings(before), sayings(after)];
  const named = ({ source, target }: { source: string; target: string }) => pointer("edges", `${source} → ${target}`);
  return [
    ...[...old].filter(([key]) => !now.has(key)).map(([key, edge]) => ({ at: named(edge), before: JSON.parse(key) as Json, after: undefined })),
    ...[...now].filter(([key]) => !old.has(key)).map(([key, edge]) => ({ at: named(edge), before: undefined, after: JSON.parse(key) as Json })),
  ];
}
