/** The steps of an agent node's `degrade`: who answers, one after the other, when the agent cannot work. */

import { useId } from "react";
import { resolved } from "./catalogue.ts";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { fieldsOf, isFields, pointer, shown, textOf, type Fields, type Json } from "./json.ts";
import { AnyBox, Labelled, ObjectFields, TextBox } from "./schema_form.tsx";

const KINDS: Record<string, { label: string; help: string; start: Json }> = {
  other_agent: { label: "Another agent", help: "The best one that can do the same and has not tried it yet.", start: "other_agent" },
  agent: { label: "A certain agent", help: "With the same input, and the settings that it comes with.", start: { agent: "" } },
  model: { label: "Another model", help: "The same agent goes on where it stopped, and asks this model.", start: { model: "" } },
  cached: { label: "The last good answer", help: "Of this node to the same input, no older than this, such as 1d. Empty: any.", start: "cached" },
  person: { label: "A person", help: "Gets the input and fills in a form; that is the answer.", start: "person" },
};
const HELP = "Who answers when the agent cannot work, or its last attempt has failed. They are tried in this order, each once; the run says who answered.";

interface StepsProps {
  at: string;
  value: Json | undefined;
  root: Fields; // the schema of the node
  onChange: (steps: Json | undefined) => void;
}

export function StepsField({ at, value, root, onChange }: StepsProps) {
  const { isReadOnly } = useEditor();
  const id = useId();
  if (value !== undefined && !Array.isArray(value)) {
    return <Labelled id={id} at={at} label="Degrade" help={HELP}><AnyBox id={id} label="Degrade" value={value} scope={null} onChange={onChange} /></Labelled>;
  }
  const steps = value ?? [];
  const write = (next: Json[]) => onChange(next.length ? next : undefined);
  const swap = (place: number) => write(steps.map((step, number) => (number === place - 1 ? steps[place]! : number === place ? steps[place - 1]! : step)));
  const unused = Object.keys(KINDS).find((kind) => !steps.some((step) => kindOf(step) === kind)) ?? "agent";
  return (
    <Labelled id={id} at={at} label="Degrade" isBlock isExact help={HELP}>
      <div className="b-list">
        {steps.map((step, number) => (
          <Step
            key={number} number={number} at={at + pointer(number)} step={step} root={root} onChange={(next) => write(steps.map((one, place) => (place === number ? next : one)))}
            onRemove={() => write(steps.filter((_, place) => place !== number))} onUp={() => swap(number)}
          />
        ))}
        {!isReadOnly && <button type="button" className="b-add" onClick={() => write([...steps, KINDS[unused]!.start])}><Icon name="plus" size={14} />Add a step</button>}
      </div>
    </Labelled>
  );
}

function Step({ number, at, step, root, onChange, onRemove, onUp }: {
  number: number; at: string; step: Json; root: Fields; onChange: (step: Json) => void; onRemove: () => void; onUp: () => void;
}) {
  const { isReadOnly } = useEditor();
  const id = useId();
  const kind = kindOf(step);
  const name = `Step ${number + 1}`;
  const up = !isReadOnly && number > 0 && <button type="button" className="b-icon-button" aria-label={`Move ${name} up`} title="Move up" onClick={onUp}>↑</button>;
  return (
    <Labelled id={id} at={at} label={name} help={KINDS[kind]?.help ?? ""} toggle={up} {...(isReadOnly ? {} : { onRemove })}>
      <select id={id} value={kind} disabled={isReadOnly} onChange={(event) => onChange(KINDS[event.target.value]?.start ?? step)}>
        {!(kind in KINDS) && <option value={kind}>{shown(step)} (no step)</option>}
        {Object.entries(KINDS).map(([one, { label }]) => <option key={one} value={one}>{label}</option>)}
      </select>
      <Detail kind={kind} name={name} at={at} step={step} root={root} onChange={onChange} />
    </Labelled>
  );
}

function Detail({ kind, name, at, step, root, onChange }: { kind: string; name: string; at: string; step: Json; root: Fields; onChange: (step: Json) => void }) {
  const { catalogue, isReadOnly } = useEditor();
  const value = fieldsOf(step)[kind];
  if (kind === "agent") {
    const agents = catalogue.agents.map((agent) => agent.name);
    const chosen = textOf(value);
    return (
      <select aria-label={`Agent of ${name}`} value={chosen} disabled={isReadOnly} onChange={(event) => onChange({ agent: event.target.value })}>
        {!agents.includes(chosen) && <option value={chosen}>{chosen ? `${chosen} (does not exist)` : "Choose…"}</option>}
        {agents.map((one) => <option key={one}>{one}</option>)}
      </select>
    );
  }
  if (kind === "model") return <TextBox label={`Model of ${name}`} value={textOf(value)} hint="its name" onChange={(model) => onChange({ model })} />;
  if (kind === "cached") return <TextBox label={`Age for ${name}`} value={shown(value)} hint="any age" onChange={(cached) => onChange(cached ? { cached } : "cached")} />;
  if (kind !== "person") return null;
  const schema = resolved(fieldsOf(fieldsOf(fieldsOf(root.$defs).NamedStep).properties).person, root);
  return (
    <div className="b-nested">
      <ObjectFields schema={schema} root={root} value={fieldsOf(value)} at={`${at}/person`} scope={null} onChange={(person) => onChange(Object.keys(person).length ? { person } : "person")} />
    </div>
  );
}

function kindOf(step: Json): string {
  if (typeof step === "string") return step;
  return isFields(step) ? Object.keys(step).find((key) => key in KINDS) ?? "" : "";
}
