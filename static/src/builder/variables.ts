/** What an expression can read, with the values of the last run. */

import type { Run } from "./api.ts";
import { outputSchemaOf, type Catalogue } from "./catalogue.ts";
import { nodesOf, reach, reference } from "./definition.ts";
import { fieldsOf, isFields, type Fields, type Json } from "./json.ts";

export interface Variable {
  path: string;
  from: string; // the heading it stands under
  value: Json | undefined; // of the last run
}

const DEEPEST = 4;
const MOST = 400;

export function variablesFor(definition: Fields, catalogue: Catalogue, run: Run | null, scope: Scope): Variable[] {
  return [
    ...(scope.ending ? ending(scope, run, definition, catalogue) : []),
    ...itemsOf(scope, run),
    ...fields("inputs", "Inputs", fieldsOf(definition.inputs), run ? run.input : undefined, false),
    ...upstream(definition, scope).flatMap((id) => outputsOf(id, definition, catalogue, run)),
    ...contextOf(definition, run),
    { path: "run.id", from: "Run", value: run?.id },
    { path: "run.started_at", from: "Run", value: undefined },
  ].slice(0, MOST);
}

/** Where an expression stands. */
export interface Scope {
  node: string | null; // null: in the outputs of the workflow
  ending?: boolean; // in `save` and conditions, which see what has just ended
  item?: string; // the name of a map's item
}

function upstream(definition: Fields, scope: Scope): string[] {
  const all = Object.keys(nodesOf(definition));
  if (scope.node === null) return all;
  const before = reach(definition, scope.node, "before");
  return all.filter((id) => before.has(id) && !(scope.ending && id === scope.node));
}

function ending(scope: Scope, run: Run | null, definition: Fields, catalogue: Catalogue): Variable[] {
  const node = nodesOf(definition)[scope.node ?? ""];
  const schema = node ? outputSchemaOf(catalogue, node) : null;
  return fields("output", "This node's output", schema ?? {}, outputIn(run, scope.node), true);
}

function itemsOf(scope: Scope, run: Run | null): Variable[] {
  if (!scope.item) return [];
  const item = run?.nodes.find((one) => one.node === scope.node && one.index === 0);
  return [
    { path: scope.item, from: "Current item", value: item?.input },
    { path: "index", from: "Current item", value: 0 },
  ];
}

function outputsOf(id: string, definition: Fields, catalogue: Catalogue, run: Run | null): Variable[] {
  const schema = outputSchemaOf(catalogue, nodesOf(definition)[id] ?? {});
  return fields(`${reference("nodes", id)}.output`, id, schema ?? {}, outputIn(run, id), true);
}

function contextOf(definition: Fields, run: Run | null): Variable[] {
  const saved = Object.values(nodesOf(definition)).flatMap((node) => Object.keys(fieldsOf(node.save)));
  const keys = new Set([...Object.keys(fieldsOf(definition.context)), ...saved]);
  return [...keys].map((key) => ({ path: `context.${key}`, from: "Context", value: run?.context[key] }));
}

/** A value and what is in it: by what it was in the last run, or else by its schema. */
function fields(path: string, from: string, schema: Fields, value: Json | undefined, whole: boolean, depth = 0): Variable[] {
  const own = whole || depth > 0 ? [{ path, from, value }] : [];
  if (depth >= DEEPEST) return own;
  const properties = fieldsOf(schema.properties);
  const names = new Set([...Object.keys(properties), ...Object.keys(isFields(value) ? value : {})]);
  const below = [...names].flatMap((name) =>
    fields(reference(path, name), from, fieldsOf(properties[name]), isFields(value) ? value[name] : undefined, true, depth + 1),
  );
  return [...own, ...below];
}

/** What a node gave in its latest visit. */
export function outputIn(run: Run | null, node: string | null): Json | undefined {
  const visits = run?.nodes.filter((one) => one.node === node && one.index === null && one.status === "completed");
  return visits?.at(-1)?.output;
}
