/** What is selected, in full: a node, an edge, several nodes, or the workflow itself. */

import { useId, useState } from "react";
import { align, duplicate, extractSelected, group, removeSelected, rename, setField, setNodeField, togglePin } from "./acts.ts";
import { inputSchemaOf, providerOf, resolved } from "./catalogue.ts";
import { withEdgeField, type Edge } from "./definition.ts";
import { only, useEditor } from "./editor.tsx";
import { ExpressionField } from "./expression_field.tsx";
import { Icon } from "./icons.tsx";
import { brief, fieldsOf, isFields, pointer, textOf, withKey, type Fields, type Json } from "./json.ts";
import { RunPart } from "./run_part.tsx";
import { AnyBox, Field, Labelled, ObjectFields, Pairs, TextBox, labelOf } from "./schema_form.tsx";
import { StepsField } from "./steps_field.tsx";
import type { Scope } from "./variables.ts";

const COMMON = ["input", "save", "retry", "degrade", "timeout", "join", "on_error", "idempotent", "description"];
const HIDDEN = new Set(["type", "title", "needs", "when", "node", ...COMMON]);
const REST = ["save", "retry", "degrade", "timeout", "join", "on_error", "idempotent", "description"];

export function Inspector() {
  const { selection, edges, nodes } = useEditor();
  const edge = edges.find((one) => one.id === selection.edge);
  const id = only(selection);
  const [label, part] = edge
    ? ["Edge", <EdgePart key={edge.id} edge={edge} />] as const
    : id && nodes[id]
      ? ["Node", <NodePart key="node" id={id} node={nodes[id]} />] as const
      : selection.nodes.size > 1
        ? ["Selection", <ManyPart key="many" />] as const
        : ["Workflow", <WorkflowPart key="workflow" />] as const;
  return <aside className="b-inspector" aria-label={label} id="inspector">{part}</aside>;
}

// ---- a node ---------------------------------------------------------------------------------------

function NodePart({ id, node }: { id: string; node: Fields }) {
  const editor = useEditor();
  const title = textOf(node.title) || id;
  return (
    <>
      <header className="b-inspector-head">
        <Icon name={textOf(node.type)} />
        <h2 title={title}>{title}</h2>
        <span className="b-tag">{textOf(node.type)}</span>
      </header>
      <div className="b-tabs" role="tablist" aria-label="About the node">
        {(["setup", "run"] as const).map((one) => (
          <button key={one} type="button" role="tab" aria-selected={editor.face === one} onClick={() => editor.turn(one)}>{one === "setup" ? "Setup" : "Last run"}</button>
        ))}
      </div>
      <div className="b-inspector-body" role="tabpanel">
        {editor.face === "setup" ? <Setup id={id} node={node} /> : <RunPart id={id} />}
      </div>
      {!editor.isReadOnly && (
        <footer className="b-inspector-foot">
          <button type="button" className="b-button" onClick={() => editor.show({ kind: "connect", source: id })}>Connect to…</button>
          <button type="button" className="b-button" onClick={() => editor.show({ kind: "replace", node: id })}>Replace…</button>
          <span className="b-space" />
          <button type="button" className="b-icon-button" aria-label="Duplicate" title="Duplicate (Ctrl+D)" onClick={() => duplicate(editor)}><Icon name="copy" /></button>
          <button type="button" className="b-icon-button" aria-label="Delete" title="Delete (Del)" onClick={() => removeSelected(editor)}><Icon name="trash" /></button>
        </footer>
      )}
    </>
  );
}

function Setup({ id, node }: { id: string; node: Fields }) {
  const editor = useEditor();
  const set = (field: string, value: Json | undefined) => setNodeField(editor, id, field, value);
  const at = pointer("nodes", id);
  const [field, titleField] = [useId(), useId()];
  const pinned = editor.layout.pins[id];
  return (
    <>
      {pinned && (
        <div className="b-banner" role="note">
          <Icon name="pin" /> Runs of the draft use the pinned output instead of running this node.
          <button type="button" className="b-button" onClick={() => togglePin(editor, id, undefined)}>Unpin</button>
        </div>
      )}
      <Labelled id={field} at={at} label="Id" isExact><NameBox id={field} name={id} key={id} /></Labelled>
      <Labelled id={titleField} at={`${at}/title`} label="Title">
        <TextBox id={titleField} value={textOf(node.title)} hint={id} onChange={(text) => set("title", text || undefined)} />
      </Labelled>
      <NodeFields at={at} node={node} set={set} scope={{ node: id }} ending={{ node: id, ending: true }} />
      <LeadsTo id={id} />
    </>
  );
}

function NameBox({ id, name }: { id: string; name: string }) {
  const editor = useEditor();
  const [typed, setTyped] = useState(name);
  return (
    <input
      id={id} className="b-mono" data-name-of={name} value={typed} readOnly={editor.isReadOnly} maxLength={128}
      onChange={(event) => setTyped(event.target.value)} onBlur={() => rename(editor, name, typed)}
      onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
    />
  );
}

/** The fields of a node, or of the inner node of a map. */
function NodeFields({ at, node, set, scope, ending }: {
  at: string; node: Fields; set: (field: string, value: Json | undefined) => void; scope: Scope; ending: Scope;
}) {
  const { catalogue } = useEditor();
  const type = catalogue.types.find((one) => one.type === node.type);
  const root = type?.fields ?? {};
  const properties = fieldsOf(root.properties);
  const required = new Set(Array.isArray(root.required) ? root.required.map(String) : []);
  const own = Object.keys(properties).filter((name) => !HIDDEN.has(name));
  const expressions = new Set(type?.expressions);
  const field = (name: string, within: Scope | null) => (
    <Field
      key={name} name={name} at={at + pointer(name)} schema={schemaOf(name, root)} root={root} value={node[name]} scope={within}
      isRequired={required.has(name)} onChange={(value) => set(name, value)}
    />
  );
  return (
    <>
      {own.map((name) => <OwnField key={name} name={name} node={node} at={at} set={set} other={() => field(name, expressions.has(name) ? scope : null)} />)}
      {node.type === "map" && <Inner at={at} node={node} set={set} scope={scope} ending={ending} />}
      {expressions.has("input") && node.type !== "map" && <InputFields at={at} node={node} set={set} scope={scope} />}
      <details className="b-more" open={REST.some((name) => node[name] !== undefined && name !== "description") || undefined}>
        <summary>More</summary>
        {REST.filter((name) => name in properties).map((name) => name === "degrade"
          ? <StepsField key={name} at={at + pointer(name)} value={node.degrade} root={root} onChange={(steps) => set("degrade", steps)} />
          : field(name, name === "save" ? ending : null))}
      </details>
    </>
  );
}

function schemaOf(name: string, root: Fields): Fields {
  const schema = resolved(fieldsOf(root.properties)[name], root);
  return name === "save" ? { ...schema, type: "object", properties: {} } : schema;
}

/** Fields that name something which exists are chosen from a list. */
function OwnField({ name, node, at, set, other }: { name: string; node: Fields; at: string; set: (field: string, value: Json | undefined) => void; other: () => React.ReactNode }) {
  const { catalogue } = useEditor();
  const id = useId();
  const lists: Record<string, string[]> = {
    agent: node.type === "agent" ? catalogue.agents.map((agent) => agent.name) : [],
    capability: node.type === "agent" ? [...new Set(catalogue.agents.flatMap((agent) => agent.capabilities))].sort() : [],
    tool: node.type === "tool" ? catalogue.tools.map((tool) => tool.name) : [],
    workflow: node.type === "workflow" || node.type === "map" ? catalogue.workflows : [],
  };
  const options = lists[name] ?? [];
  const value = textOf(node[name]);
  if (!options.length) return other();
  const isHidden = (name === "capability" && !value && node.agent !== undefined) || (name === "agent" && !value && node.capability !== undefined);
  if (isHidden || (name === "workflow" && node.type === "map" && node.node !== undefined)) return null;
  const help = name === "agent" || name === "tool" ? providerOf(catalogue, node)?.description.split("\n")[0] ?? "" : "";
  return (
    <Labelled id={id} at={`${at}/${name}`} label={labelOf(name)} help={help} isRequired>
      <Select id={id} options={options} value={value} onChange={(next) => set(name, next)} />
    </Labelled>
  );
}

function Select({ id, options, value, onChange }: { id: string; options: string[]; value: string; onChange: (value: string) => void }) {
  const { isReadOnly } = useEditor();
  return (
    <select id={id} value={value} disabled={isReadOnly} onChange={(event) => onChange(event.target.value)}>
      {!options.includes(value) && <option value={value}>{value ? `${value} (does not exist)` : "Choose…"}</option>}
      {options.map((one) => <option key={one}>{one}</option>)}
    </select>
  );
}

function InputFields({ at, node, set, scope }: { at: string; node: Fields; set: (field: string, value: Json | undefined) => void; scope: Scope }) {
  const { catalogue } = useEditor();
  const id = useId();
  const schema = inputSchemaOf(catalogue, node);
  const isForm = schema !== null && (node.input === undefined || isFields(node.input));
  return (
    <Labelled id={id} at={`${at}/input`} label="Input" isBlock={isForm}>
      {isForm
        ? <div className="b-nested"><ObjectFields schema={schema} root={schema} value={fieldsOf(node.input)} at={`${at}/input`} scope={scope} onChange={(next) => set("input", next)} /></div>
        : <AnyBox id={id} label="Input" value={node.input} scope={scope} onChange={(next) => set("input", next)} />}
    </Labelled>
  );
}

function Inner({ at, node, set, scope, ending }: { at: string; node: Fields; set: (field: string, value: Json | undefined) => void; scope: Scope; ending: Scope }) {
  const { catalogue } = useEditor();
  const id = useId();
  if (!isFields(node.node)) return null;
  const inner = node.node;
  const item = textOf(node.as) || "item";
  const kinds = catalogue.types.map((type) => type.type).filter((type) => type !== "map");
  return (
    <fieldset className="b-inner">
      <legend>For each {item}</legend>
      <Labelled id={id} at={`${at}/node/type`} label="Type"><Select id={id} options={kinds} value={textOf(inner.type)} onChange={(type) => set("node", { type })} /></Labelled>
      <NodeFields
        at={`${at}/node`} node={inner} set={(field, value) => set("node", withKey(inner, field, value))}
        scope={{ ...scope, item }} ending={{ ...ending, item }}
      />
    </fieldset>
  );
}

function LeadsTo({ id }: { id: string }) {
  const editor = useEditor();
  const rows = editor.edges.filter((edge) => edge.source === id || edge.target === id);
  if (!rows.length) return <p className="b-dim">It is connected to nothing yet.</p>;
  return (
    <div className="b-ways" role="group" aria-label="Edges">
      {rows.map((edge) => (
        <button type="button" key={edge.id} onClick={() => editor.select({ edge: edge.id })}>
          <span>{edge.source === id ? "→" : "←"}</span>
          <b>{edge.source === id ? edge.target : edge.source}</b>
          <small>{[edge.spec.on, edge.spec.route, edge.spec.when].filter(Boolean).map((one) => brief(one, 40)).join(" · ")}</small>
        </button>
      ))}
    </div>
  );
}

// ---- an edge --------------------------------------------------------------------------------------

const EDGE_SCHEMAS: Record<string, Fields> = {
  on: { enum: ["success", "error", "always"], default: "success", description: "Taken after success, after the last attempt has failed, or both." },
  route: { type: "string", description: "Taken when the node's result names this route." },
  max: { type: "integer", minimum: 1, description: "How often a run may take this edge." },
};

function EdgePart({ edge }: { edge: Edge }) {
  const editor = useEditor();
  const id = useId();
  const at = edge.place === null ? pointer("nodes", edge.target) : pointer("edges", edge.place);
  const set = (field: string, value: Json | undefined) => {
    const changed = withEdgeField(editor.definition, edge, field, value);
    editor.work.act("Change the edge", { definition: changed }, `${edge.id}.${field}`);
    if (edge.place === null) editor.select({ edge: `e${(changed.edges as Json[]).length - 1}` });
  };
  return (
    <>
      <header className="b-inspector-head"><h2 title={`${edge.source} → ${edge.target}`}>{edge.source} → {edge.target}</h2><span className="b-tag">edge</span></header>
      <div className="b-inspector-body">
        <Labelled id={id} at={`${at}/when`} label="Condition" help="An expression over what has just ended, such as output.score > 3. Empty: always.">
          <ExpressionField id={id} label="Condition" isBare value={textOf(edge.spec.when)} scope={{ node: edge.source, ending: true }} onChange={(text) => set("when", text || undefined)} />
        </Labelled>
        {Object.entries(EDGE_SCHEMAS).map(([name, schema]) => (
          <Field key={name} name={name === "max" ? "at_most" : name} at={`${at}/${name}`} schema={schema} root={{}} value={edge.spec[name]} scope={null} onChange={(value) => set(name, value)} />
        ))}
        <div className="b-ways">
          {[edge.source, edge.target].map((name) => (
            <button type="button" key={name} onClick={() => editor.select({ nodes: new Set([name]) })}><span>•</span><b>{name}</b></button>
          ))}
        </div>
      </div>
      {!editor.isReadOnly && (
        <footer className="b-inspector-foot">
          <button type="button" className="b-button" onClick={() => editor.show({ kind: "add", spot: { into: edge } })}>Insert a node…</button>
          <span className="b-space" />
          <button type="button" className="b-icon-button" aria-label="Delete the edge" title="Delete (Del)" onClick={() => removeSelected(editor)}><Icon name="trash" /></button>
        </footer>
      )}
    </>
  );
}

// ---- several nodes, and the workflow --------------------------------------------------------------

function ManyPart() {
  const editor = useEditor();
  const ids = [...editor.selection.nodes];
  const buttons = [
    ["Align left", () => align(editor, "left")],
    ["Align top", () => align(editor, "top")],
    ["In a column", () => align(editor, "column")],
    ["In a row", () => align(editor, "row")],
    ["Group", () => group(editor)],
    ["Extract to a workflow…", () => extractSelected(editor)],
    ["Duplicate", () => duplicate(editor)],
    ["Delete", () => removeSelected(editor)],
  ] as const;
  return (
    <>
      <header className="b-inspector-head"><h2>{ids.length} nodes</h2></header>
      <div className="b-inspector-body">
        {!editor.isReadOnly && <div className="b-buttons">{buttons.map(([label, act]) => <button type="button" className="b-button" key={label} onClick={act}>{label}</button>)}</div>}
        <ul className="b-names">{ids.map((id) => <li key={id}><button type="button" onClick={() => editor.select({ nodes: new Set([id]) })}>{id}</button></li>)}</ul>
      </div>
    </>
  );
}

function WorkflowPart() {
  const editor = useEditor();
  const { definition, isReadOnly } = editor;
  const set = (field: string, value: Json | undefined) => setField(editor, field, value);
  const text: Fields = { type: "string" };
  const inputs = fieldsOf(definition.inputs);
  return (
    <>
      <header className="b-inspector-head"><Icon name="workflow" /><h2 title={textOf(definition.name)}>{textOf(definition.title) || textOf(definition.name)}</h2><span className="b-tag">workflow</span></header>
      <div className="b-inspector-body">
        {Object.keys(editor.nodes).length > 0 && <p className="b-dim">Select a node or an edge to set it up.</p>}
        <Field name="title" at="/title" schema={text} root={{}} value={definition.title} scope={null} onChange={(value) => set("title", value)} />
        <Field name="description" at="/description" schema={{}} root={{}} value={definition.description} scope={null} onChange={(value) => set("description", value)} />
        <Inputs inputs={inputs} onChange={(next) => set("inputs", next)} />
        <Labelled id="b-outputs" at="/outputs" label="Outputs" isBlock help="What a run gives. Without any: what the last nodes give.">
          <Pairs value={fieldsOf(definition.outputs)} at="/outputs" scope={{ node: null }} schema={{}} root={{}} isReadOnly={isReadOnly} onChange={(next) => set("outputs", Object.keys(next).length ? next : undefined)} />
        </Labelled>
        <details className="b-more">
          <summary>More</summary>
          <Labelled id="b-context" at="/context" label="Context" isBlock help="Shared keys that nodes save to.">
            <Pairs value={fieldsOf(definition.context)} at="/context" scope={null} schema={CONTEXT_KEY} root={{}} isReadOnly={isReadOnly} onChange={(next) => set("context", Object.keys(next).length ? next : undefined)} />
          </Labelled>
          <Field name="timeout" at="/timeout" schema={{ description: "How long a run may take in all, such as 30m." }} root={{}} value={definition.timeout} scope={null} onChange={(value) => set("timeout", value)} />
          <Field name="inputs_schema" at="/inputs" schema={{ description: "The inputs as a JSON Schema, for what the list above cannot say." }} root={{}} value={definition.inputs} scope={null} onChange={(value) => set("inputs", value)} />
        </details>
      </div>
    </>
  );
}

const CONTEXT_KEY: Fields = {
  type: "object",
  properties: { reducer: { enum: ["overwrite", "append", "merge", "add"], default: "overwrite" }, initial: {}, description: { type: "string" } },
};
const INPUT_TYPES = ["string", "number", "integer", "boolean", "array", "object"];

/** What a run is given: a row for each property of the schema. */
function Inputs({ inputs, onChange }: { inputs: Fields; onChange: (inputs: Json | undefined) => void }) {
  const { isReadOnly } = useEditor();
  const properties = fieldsOf(inputs.properties);
  const required = Array.isArray(inputs.required) ? inputs.required.map(String) : [];
  const write = (next: Fields, needed: string[]) => {
    const { properties: _old, required: _needed, ...rest } = inputs;
    const kept = needed.filter((name) => name in next);
    if (!Object.keys(next).length && Object.keys(rest).every((key) => key === "type")) return onChange(undefined);
    onChange({ type: "object", ...rest, properties: next, ...(kept.length ? { required: kept } : {}) });
  };
  const add = () => {
    let number = 1;
    while (`input_${number}` in properties) number += 1;
    write({ ...properties, [`input_${number}`]: { type: "string" } }, required);
  };
  const rename = (before: string, after: string) => {
    if (!after || after in properties) return;
    const swap = (name: string) => (name === before ? after : name);
    write(Object.fromEntries(Object.entries(properties).map(([name, part]) => [swap(name), part])), required.map(swap));
  };
  return (
    <Labelled id="b-inputs" at="/inputs" label="Inputs" isBlock help="What a run is given; nodes read it as inputs.name.">
      <div className="b-pairs">
        {Object.entries(properties).map(([name, part]) => (
          <div className="b-pair b-pair-input" key={name} data-pointer={`/inputs/properties/${name}`}>
            <InputName name={name} onRename={(after) => rename(name, after)} />
            <select aria-label={`Type of ${name}`} disabled={isReadOnly} value={textOf(fieldsOf(part).type) || "string"} onChange={(event) => write({ ...properties, [name]: { ...fieldsOf(part), type: event.target.value } }, required)}>
              {INPUT_TYPES.map((type) => <option key={type}>{type}</option>)}
            </select>
            <label className="b-check"><input type="checkbox" disabled={isReadOnly} checked={required.includes(name)} onChange={(event) => write(properties, event.target.checked ? [...required, name] : required.filter((one) => one !== name))} />required</label>
            {!isReadOnly && <button type="button" className="b-icon-button" aria-label={`Remove ${name}`} onClick={() => write(withKey(properties, name, undefined), required)}><Icon name="close" size={14} /></button>}
          </div>
        ))}
        {!isReadOnly && <button type="button" className="b-add" onClick={add}><Icon name="plus" size={14} />Add an input</button>}
      </div>
    </Labelled>
  );
}

function InputName({ name, onRename }: { name: string; onRename: (name: string) => void }) {
  const { isReadOnly } = useEditor();
  const [typed, setTyped] = useState(name);
  return <input className="b-key" aria-label={`Name of ${name}`} value={typed} readOnly={isReadOnly} onChange={(event) => setTyped(event.target.value)} onBlur={() => (typed.trim() ? onRename(typed.trim()) : setTyped(name))} />;
}

