/** Making a workflow of their own of some nodes, which the old one calls in their place. */

import { clipOf, edgesOf, freeId, neighbours, nodesOf, reference, withEdge, withNode, withoutNodes, type Edge } from "./definition.ts";
import { fieldsOf, isFields, textOf, without, withKey, type Fields, type Json } from "./json.ts";

export interface Extraction {
  id: string; // of the node that calls it
  part: Fields; // the new workflow
  rest: Fields; // the old one
}

/** The two workflows, or a sentence that says why these nodes cannot be one. */
export function extracted(definition: Fields, ids: ReadonlySet<string>, name: string): Extraction | string {
  const ways = waysOf(definition, ids);
  const reason = ways.entries.length === 1 && ways.exits.length === 1 ? reasonAgainst(definition, ids, ways) : ambiguous(ways);
  if (reason) return reason;
  const id = freeId(withoutNodes(definition, ids), name);
  const reads = new Reads();
  const part = partOf(definition, ids, name, ways, reads);
  return { id, part: { ...part, inputs: reads.schema() }, rest: restOf(definition, ids, id, ways, name, reads.input(sureOf(definition, ways))) };
}

/** Of a node that alone leads there, or where nothing is ever left out. */
function sureOf(definition: Fields, { entering }: Ways): (expression: string) => boolean {
  const isSure = !isConditional(edgesOf(definition));
  const before = entering.length === 1 && entering[0]!.spec.on === undefined ? `${reference("nodes", entering[0]!.source)}.output` : "";
  return (expression) => isSure || expression === before;
}

interface Ways {
  entering: Edge[];
  leaving: Edge[];
  within: Edge[];
  entries: string[]; // where it begins: edges from outside lead there, or nothing does
  exits: string[];
}

function waysOf(definition: Fields, ids: ReadonlySet<string>): Ways {
  const edges = edgesOf(definition);
  const entering = edges.filter(({ source, target }) => !ids.has(source) && ids.has(target));
  const leaving = edges.filter(({ source, target }) => ids.has(source) && !ids.has(target));
  const first = [...ids].filter((id) => !neighbours(definition, id, "before").length);
  const last = [...ids].filter((id) => !neighbours(definition, id, "after").length);
  return {
    entering, leaving, within: edges.filter(({ source, target }) => ids.has(source) && ids.has(target)),
    entries: [...new Set([...entering.map((edge) => edge.target), ...first])],
    exits: [...new Set([...leaving.map((edge) => edge.source), ...last])],
  };
}

function ambiguous({ entries, exits }: Ways): string {
  const many = (what: string, names: string[]) => `There ${names.length ? `are ${names.length} ways` : "is no way"} ${what}${names.length ? `: ${names.map((one) => `'${one}'`).join(", ")}` : ""}.`;
  const [what, names] = entries.length === 1 ? (["out", exits] as const) : (["in", entries] as const);
  return `${many(what, names)} Select nodes with one way in and one way out.`;
}

function reasonAgainst(definition: Fields, ids: ReadonlySet<string>, { leaving, exits }: Ways): string {
  const nodes = nodesOf(definition);
  const saving = [...ids].find((id) => (nodes[id]?.save ?? fieldsOf(nodes[id]?.node).save) !== undefined);
  if (saving) return `'${saving}' saves to the context, which another workflow cannot do.`;
  const special = leaving.find(({ spec }) => spec.route !== undefined || (spec.on !== undefined && spec.on !== "success"));
  if (special) return `The way from '${special.source}' to '${special.target}' is taken by a route or after an error, which is known only inside. Select '${special.target}' too.`;
  const whole = [...ids].find((id) => /(?<![\w.'"])(nodes|inputs|context)\b(?!\s*(\.\s*\w|\[\s*["']))/.test(expressionsOf(nodes[id]!)));
  if (whole) return `'${whole}' reads everything there is and not one value by its name.`;
  const outside = Object.entries(nodes).filter(([id]) => !ids.has(id)).map(([id, node]) => [`'${id}'`, node] as const);
  const between = edgesOf(definition).filter(({ source, target }) => !ids.has(source) || !ids.has(target)).map(({ source, target, spec }) => [`The way from '${source}' to '${target}'`, spec] as const);
  for (const [who, value] of [...outside, ...between, ["An output of the workflow", definition.outputs ?? {}] as const]) {
    const read = [...expressionsOf(value).matchAll(READ)].find((one) => one[1] === "nodes" && ids.has(nameIn(one)) && one[4] !== "output");
    if (read) return `${who} reads how '${nameIn(read)}' went, which is known only inside. Only outputs come out.`;
  }
  return exits.every((id) => id in nodes) ? "" : "There is no such node.";
}

// ---- the new workflow -----------------------------------------------------------------------------

function partOf(definition: Fields, ids: ReadonlySet<string>, name: string, ways: Ways, reads: Reads): Fields {
  const [entry, exit] = [ways.entries[0]!, ways.exits[0]!];
  const clip = clipOf(definition, ids, () => [0, 0]);
  if (ways.entering.length) clip.nodes[entry] = without(clip.nodes[entry]!, "join");
  const own = (text: string) => text.replace(READ, (found, root: string, ...rest) => (root === "nodes" && ids.has(rest[0] ?? rest[1]) ? found : reads.inputFor(found, root, rest)));
  const outputs: Fields = Object.fromEntries([...ids].filter((id) => id === exit || isReadOutside(definition, ids, id)).map((id) => [id, valueOf(`${reference("nodes", id)}.output`, isConditional(ways.within))]));
  if (isConditional(ways.within)) outputs[doneIn(ids)] = `{{ ${reference("nodes", exit)}.status == 'completed' }}`;
  return { name, nodes: inExpressions(clip.nodes, own), edges: inExpressions(clip.edges, own), outputs };
}

/** Whether a node may be left out, so that it has no output and what follows must not go on. */
function isConditional(edges: readonly Edge[]): boolean {
  return edges.some(({ spec }) => ["when", "route", "on"].some((key) => spec[key] !== undefined));
}

function valueOf(expression: string, isUnsure: boolean): string {
  return isUnsure && expression.endsWith(".output") ? `{{ has(${expression}) ? ${expression} : null }}` : `{{ ${expression} }}`;
}

function doneIn(ids: ReadonlySet<string>): string {
  return freeId({ nodes: Object.fromEntries([...ids].map((id) => [id, {}])) }, "done");
}

function isReadOutside(definition: Fields, ids: ReadonlySet<string>, id: string): boolean {
  const { nodes: _nodes, ...rest } = definition;
  const others = Object.entries(nodesOf(definition)).filter(([one]) => !ids.has(one)).map(([, node]) => node);
  return [...expressionsOf([rest, ...others]).matchAll(READ)].some((read) => read[1] === "nodes" && nameIn(read) === id);
}

/** What it reads of the rest, each as an input with a name. */
class Reads {
  private readonly names = new Map<string, string>(); // by the expression

  inputFor(found: string, root: string, [dotted, quoted, field]: (string | undefined)[]): string {
    const name = dotted ?? quoted ?? "value";
    const wanted = root === "run" ? `run_${name}` : root === "nodes" && field && field !== "output" ? `${name}_${field}` : name;
    // `inputs.text.words` is the input `text`, and the rest stays; of a node its output is what is read.
    const taken = root === "nodes" ? found : reference(root, name);
    const rest = root === "nodes" || !field ? "" : `.${field}`;
    const known = this.names.get(taken) ?? freeId({ nodes: Object.fromEntries([...this.names.values()].map((one) => [one, {}])) }, wanted);
    this.names.set(taken, known);
    return reference("inputs", known) + rest;
  }

  /** What the call gives; `sure` are the expressions that have a value whenever it is called. */
  input(sure: (expression: string) => boolean): Fields {
    return Object.fromEntries([...this.names].map(([expression, name]) => [name, valueOf(expression, !sure(expression))]));
  }

  schema(): Fields {
    return { type: "object", properties: Object.fromEntries([...this.names.values()].map((name) => [name, {}])) };
  }
}

// ---- the old workflow -----------------------------------------------------------------------------

function restOf(definition: Fields, ids: ReadonlySet<string>, id: string, ways: Ways, name: string, input: Fields): Fields {
  const [entry, exit] = [ways.entries[0]!, ways.exits[0]!];
  const outer = (text: string) => text.replace(READ, (found, root: string, dotted?: string, quoted?: string) =>
    root === "nodes" && ids.has(dotted ?? quoted ?? "") ? reference(`${reference("nodes", id)}.output`, (dotted ?? quoted)!) : found);
  const join = nodesOf(definition)[entry]?.join;
  const call: Fields = { type: "workflow", workflow: name, ...(Object.keys(input).length ? { input } : {}), ...(join === undefined ? {} : { join }) };
  let rest = withNode(fieldsOf(inExpressions(withoutNodes(definition, ids), outer)), id, call);
  for (const { source, spec } of ways.entering) rest = withEdge(rest, source, id, bare(fieldsOf(inExpressions(spec, outer))));
  for (const { target, spec } of ways.leaving) {
    const condition = conditionOf(textOf(spec.when), exit, isConditional(ways.within) ? doneIn(ids) : "", outer);
    rest = withEdge(rest, id, target, withKey(bare(spec), "when", condition || undefined));
  }
  const isLast = !ways.leaving.length && definition.outputs === undefined;
  const isOnly = isLast && Object.keys(nodesOf(rest)).filter((one) => !neighbours(rest, one, "after").length).length === 1;
  return isOnly ? { ...rest, outputs: { [exit]: `{{ ${reference(`${reference("nodes", id)}.output`, exit)} }}` } } : rest;
}

/** What decided about a way out says it of the part's output, where the node's own is one of several. */
function conditionOf(when: string, exit: string, done: string, outer: (text: string) => string): string {
  const said = outer(when).replace(/(?<![\w.'"])output\b/g, reference("output", exit));
  return [done && reference("output", done), done && said ? `(${said})` : said].filter(Boolean).join(" && ");
}

function bare({ from: _from, to: _to, ...spec }: Fields): Fields {
  return spec;
}

// ---- expressions ----------------------------------------------------------------------------------

/** A value that is read: its root, its name (with a dot or in brackets), and the field of that. */
const READ = /(?<![\w.'"])(nodes|inputs|context|run)\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*["']([^"']+)["']\s*\])(?:\.([A-Za-z_]\w*))?/g;

function nameIn(read: RegExpMatchArray): string {
  return read[2] ?? read[3] ?? "";
}

function inExpressions<T extends Json>(value: T, change: (text: string) => string, isExpression = false): T {
  const changed = (text: string) => (isExpression ? change(text) : text.replace(/\{\{[\s\S]*?\}\}/g, change));
  if (typeof value === "string") return changed(value) as T;
  if (Array.isArray(value)) return value.map((item) => inExpressions(item, change)) as T;
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inExpressions(item, change, key === "when")])) as T;
}

/** All expressions that stand anywhere in a value. */
function expressionsOf(value: Json): string {
  const found: string[] = [];
  inExpressions(value, (text) => {
    found.push(text);
    return text;
  });
  return found.join("\n");
}
