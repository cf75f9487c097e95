/** Forms from JSON Schemas, small: what they do not know is edited as text or JSON, and nothing gets lost. */

import { useId, useState, type ReactNode } from "react";
import { beginning, resolved } from "./catalogue.ts";
import { useEditor } from "./editor.tsx";
import { ExpressionField } from "./expression_field.tsx";
import { Icon } from "./icons.tsx";
import { fieldsOf, isFields, pointer, read, same, shown, textOf, withKey, type Fields, type Json } from "./json.ts";
import type { Scope } from "./variables.ts";

type Change = (value: Json | undefined) => void;

interface FieldProps {
  name: string;
  at: string; // JSON Pointer
  schema: Fields;
  root: Fields;
  value: Json | undefined;
  onChange: Change;
  scope: Scope | null; // null: no expressions here
  isRequired?: boolean;
  onRemove?: (() => void) | undefined;
}

/** The fields of an object: those of its schema, then those it has besides. */
export function ObjectFields({ schema, root, value, at, onChange, scope, leaveOut }: Omit<FieldProps, "name" | "value" | "onChange"> & {
  value: Fields; onChange: (value: Fields) => void; leaveOut?: ReadonlySet<string>;
}) {
  const { isReadOnly } = useEditor();
  const properties = Object.entries(fieldsOf(schema.properties)).filter(([name]) => !leaveOut?.has(name));
  const required = new Set(Array.isArray(schema.required) ? schema.required.map(String) : []);
  const known = new Set(Object.keys(fieldsOf(schema.properties)));
  const others = Object.keys(value).filter((name) => !known.has(name) && !leaveOut?.has(name));
  const set = (name: string, item: Json | undefined) => onChange(withKey(value, name, item));
  return (
    <>
      {properties.map(([name, part]) => (
        <Field
          key={name} name={name} at={at + pointer(name)} schema={resolved(part, root)} root={root} value={value[name]}
          onChange={(item) => set(name, item)} scope={scope} isRequired={required.has(name)}
        />
      ))}
      {others.map((name) => (
        <Field
          key={name} name={name} at={at + pointer(name)} schema={{}} root={root} value={value[name]} onChange={(item) => set(name, item)}
          scope={scope} onRemove={isReadOnly ? undefined : () => set(name, undefined)}
        />
      ))}
    </>
  );
}

export function Field(props: FieldProps) {
  const id = useId();
  const { name, at, schema, value, isRequired, onRemove } = props;
  const label = labelOf(name);
  const kind = kindOf(schema, value);
  const control = <Control {...props} kind={kind} id={id} label={label} />;
  const isBlock = kind === "object" || kind === "pairs" || kind === "list";
  return (
    <Labelled
      id={id} at={at} label={label} help={textOf(schema.description)} isRequired={isRequired ?? false} isBlock={isBlock}
      {...(onRemove ? { onRemove } : {})} toggle={<Toggle {...props} kind={kind} label={label} />}
    >
      {control}
    </Labelled>
  );
}

export function Labelled({ id, at, label, help, isRequired = false, isBlock = false, isExact = false, onRemove, toggle, children }: {
  id: string; at: string; label: string; help?: string; isRequired?: boolean; isBlock?: boolean; isExact?: boolean; onRemove?: () => void; toggle?: ReactNode; children: ReactNode;
}) {
  const { problems } = useEditor();
  const own = problems.errors.filter((issue) => issue.pointer === at || (!isBlock && !isExact && issue.pointer.startsWith(`${at}/`)));
  const head = (
    <>
      {isBlock ? <span className="b-label" id={id}>{label}</span> : <label className="b-label" htmlFor={id}>{label}</label>}
      {isRequired && <span className="b-required" title="Required" aria-hidden="true">*</span>}
      <span className="b-space" />
      {toggle}
      {onRemove && <button type="button" className="b-icon-button" aria-label={`Remove ${label}`} onClick={onRemove}><Icon name="close" size={14} /></button>}
    </>
  );
  return (
    <div className="b-field" data-pointer={at} data-wrong={own.length > 0 || undefined} {...(isBlock ? { role: "group", "aria-labelledby": id } : {})}>
      <div className="b-field-head">{head}</div>
      {children}
      {own.map((issue) => <p className="b-wrong" key={issue.pointer + issue.message}>{issue.message} {issue.fix}</p>)}
      {help && <p className="b-help">{help}</p>}
    </div>
  );
}

type Kind = "expression" | "choice" | "boolean" | "number" | "text" | "object" | "pairs" | "list" | "any";

function kindOf(schema: Fields, value: Json | undefined): Kind {
  if (typeof value === "string" && value.includes("{{")) return "expression";
  const type = textOf(schema.type);
  const fits = (kind: Kind, is: boolean): Kind => (value === undefined || value === null || is ? kind : "any");
  if (Array.isArray(schema.enum)) return fits("choice", schema.enum.some((one) => same(one, value)));
  if (type === "boolean") return fits("boolean", typeof value === "boolean");
  if (type === "integer" || type === "number") return fits("number", typeof value === "number");
  if (type === "string") return fits("text", typeof value === "string");
  if (type === "array") return fits("list", Array.isArray(value));
  if (type !== "object") return "any";
  return fits(isFields(schema.properties) && Object.keys(schema.properties).length ? "object" : "pairs", isFields(value));
}

function Toggle({ kind, schema, scope, value, label, onChange }: FieldProps & { kind: Kind; label: string }) {
  const { isReadOnly } = useEditor();
  if (!scope || isReadOnly || kind === "text" || kind === "any") return null;
  const isOn = kind === "expression";
  const plain = kindOf(schema, undefined);
  if (isOn && (plain === "text" || plain === "any")) return null;
  return (
    <button
      type="button" className="b-toggle" aria-pressed={isOn} title={isOn ? "Write a value" : "Write an expression"} aria-label={`${label} as an expression`}
      onClick={() => onChange(isOn ? undefined : `{{ ${value === undefined ? "" : JSON.stringify(value)} }}`)}
    >
      {"{ }"}
    </button>
  );
}

function Control(props: FieldProps & { kind: Kind; id: string; label: string }) {
  const { kind, id, label, value, schema, root, at, scope, onChange, isRequired } = props;
  const { isReadOnly } = useEditor();
  const text = (next: string) => onChange(next === "" && !isRequired ? undefined : next);
  const hint = schema.default === undefined || schema.default === null ? "" : shown(schema.default);
  switch (kind) {
    case "expression":
      return scope ? <ExpressionField id={id} label={label} value={textOf(value)} onChange={text} scope={scope} /> : <TextBox id={id} value={textOf(value)} onChange={text} hint={hint} />;
    case "text":
      return scope ? <ExpressionField id={id} label={label} value={textOf(value)} onChange={text} scope={scope} placeholder={hint} /> : <TextBox id={id} value={textOf(value)} onChange={text} hint={hint} />;
    case "choice":
      return <Choice id={id} options={schema.enum as Json[]} value={value} hint={hint} isRequired={isRequired ?? false} onChange={onChange} />;
    case "boolean":
      return <Choice id={id} options={[true, false]} value={value} hint={hint} isRequired={isRequired ?? false} onChange={onChange} names={{ true: "Yes", false: "No" }} />;
    case "number":
      return <NumberBox id={id} value={value} schema={schema} hint={hint} onChange={onChange} />;
    case "object":
      return (
        <div className="b-nested">
          <ObjectFields schema={schema} root={root} value={fieldsOf(value)} at={at} scope={scope} onChange={(next) => onChange(Object.keys(next).length || isRequired ? next : undefined)} />
        </div>
      );
    case "pairs":
      return <Pairs value={fieldsOf(value)} at={at} scope={scope} schema={resolved(schema.additionalProperties, root)} root={root} onChange={(next) => onChange(Object.keys(next).length || isRequired ? next : undefined)} isReadOnly={isReadOnly} />;
    case "list":
      return <List value={Array.isArray(value) ? value : []} at={at} scope={scope} schema={resolved(schema.items, root)} root={root} onChange={(next) => onChange(next.length || isRequired ? next : undefined)} isReadOnly={isReadOnly} />;
    default:
      return <AnyBox id={id} label={label} value={value} scope={scope} hint={hint} onChange={onChange} />;
  }
}

export function TextBox({ id, label, value, onChange, hint = "" }: { id?: string; label?: string; value: string; onChange: (value: string) => void; hint?: string }) {
  const { isReadOnly } = useEditor();
  return <input id={id} aria-label={label} type="text" value={value} placeholder={hint} readOnly={isReadOnly} onChange={(event) => onChange(event.target.value)} />;
}

function Choice({ id, options, value, hint, isRequired, onChange, names = {} }: {
  id: string; options: Json[]; value: Json | undefined; hint: string; isRequired: boolean; onChange: Change; names?: Record<string, string>;
}) {
  const { isReadOnly } = useEditor();
  const place = options.findIndex((one) => same(one, value));
  const nameOf = (one: Json) => names[String(one)] ?? (one === null ? "none" : String(one));
  return (
    <select id={id} disabled={isReadOnly} value={place} onChange={(event) => onChange(options[Number(event.target.value)])}>
      {(!isRequired || place < 0) && <option value={-1}>{hint ? `default: ${names[hint] ?? hint}` : "not set"}</option>}
      {options.map((one, number) => <option key={String(one)} value={number}>{nameOf(one)}</option>)}
    </select>
  );
}

function NumberBox({ id, value, schema, hint, onChange }: { id: string; value: Json | undefined; schema: Fields; hint: string; onChange: Change }) {
  const { isReadOnly } = useEditor();
  const bound = (name: string) => (typeof schema[name] === "number" ? schema[name] : undefined);
  return (
    <input
      id={id} type="number" step={schema.type === "integer" ? 1 : "any"} min={bound("minimum")} max={bound("maximum")} placeholder={hint} readOnly={isReadOnly}
      value={typeof value === "number" ? value : ""} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.valueAsNumber)}
    />
  );
}

/** Any JSON value: what reads as JSON is that, everything else is text. */
export function AnyBox({ id, label, value, scope, hint = "", onChange }: { id: string; label: string; value: Json | undefined; scope: Scope | null; hint?: string; onChange: Change }) {
  const { isReadOnly } = useEditor();
  const [typed, setTyped] = useState(shown(value));
  const stands = typed !== "" && same(read(typed), value) ? typed : shown(value);
  const change = (text: string) => {
    setTyped(text);
    onChange(text === "" ? undefined : read(text));
  };
  if (scope) return <ExpressionField id={id} label={label} value={stands} onChange={change} scope={scope} placeholder={hint} />;
  return <textarea id={id || undefined} aria-label={id ? undefined : label} className="b-json" rows={Math.min(8, stands.split("\n").length)} value={stands} placeholder={hint} readOnly={isReadOnly} onChange={(event) => change(event.target.value)} />;
}

/** Names that people choose, each with a value. */
export function Pairs({ value, at, scope, schema, root, onChange, isReadOnly }: {
  value: Fields; at: string; scope: Scope | null; schema: Fields; root: Fields; onChange: (value: Fields) => void; isReadOnly: boolean;
}) {
  const rename = (before: string, after: string) => {
    if (!after || after in value) return;
    onChange(Object.fromEntries(Object.entries(value).map(([key, item]) => [key === before ? after : key, item])));
  };
  const add = () => {
    let number = Object.keys(value).length + 1;
    while (`value_${number}` in value) number += 1;
    onChange({ ...value, [`value_${number}`]: beginning(schema) });
  };
  return (
    <div className="b-pairs">
      {Object.entries(value).map(([name, item]) => (
        <div className="b-pair" key={name}>
          <KeyBox name={name} onRename={(after) => rename(name, after)} />
          <PairValue name={name} at={at + pointer(name)} item={item} scope={scope} schema={schema} root={root} onChange={(next) => onChange({ ...value, [name]: next ?? "" })} />
          {!isReadOnly && (
            <button type="button" className="b-icon-button" aria-label={`Remove ${name}`} onClick={() => onChange(withKey(value, name, undefined))}><Icon name="close" size={14} /></button>
          )}
        </div>
      ))}
      {!isReadOnly && <button type="button" className="b-add" onClick={add}><Icon name="plus" size={14} />Add a value</button>}
    </div>
  );
}

function PairValue({ name, at, item, scope, schema, root, onChange }: { name: string; at: string; item: Json; scope: Scope | null; schema: Fields; root: Fields; onChange: Change }) {
  const { problems } = useEditor();
  const own = problems.errors.filter((issue) => issue.pointer === at || issue.pointer.startsWith(`${at}/`));
  const isObject = kindOf(schema, item) === "object";
  return (
    <div className="b-pair-value" data-pointer={at} data-wrong={own.length > 0 || undefined}>
      {isObject
        ? <ObjectFields schema={schema} root={root} value={fieldsOf(item)} at={at} scope={scope} onChange={onChange} />
        : <AnyBox id="" label={name} value={item} scope={scope} onChange={onChange} />}
      {own.map((issue) => <p className="b-wrong" key={issue.message}>{issue.message} {issue.fix}</p>)}
    </div>
  );
}

function KeyBox({ name, onRename }: { name: string; onRename: (name: string) => void }) {
  const { isReadOnly } = useEditor();
  const [typed, setTyped] = useState(name);
  return (
    <input
      className="b-key" aria-label={`Name of ${name}`} value={typed} readOnly={isReadOnly} onChange={(event) => setTyped(event.target.value)}
      onBlur={() => (typed.trim() ? onRename(typed.trim()) : setTyped(name))} onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
    />
  );
}

function List({ value, at, scope, schema, root, onChange, isReadOnly }: {
  value: Json[]; at: string; scope: Scope | null; schema: Fields; root: Fields; onChange: (value: Json[]) => void; isReadOnly: boolean;
}) {
  return (
    <div className="b-list">
      {value.map((item, number) => (
        <Field
          key={number} name={`${number + 1}`} at={at + pointer(number)} schema={schema} root={root} value={item} scope={scope} isRequired
          onChange={(next) => onChange(value.map((one, place) => (place === number ? next ?? "" : one)))}
          onRemove={isReadOnly ? undefined : () => onChange(value.filter((_, place) => place !== number))}
        />
      ))}
      {!isReadOnly && <button type="button" className="b-add" onClick={() => onChange([...value, beginning(schema)])}><Icon name="plus" size={14} />Add one</button>}
    </div>
  );
}

export function labelOf(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
