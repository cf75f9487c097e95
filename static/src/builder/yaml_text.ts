/** The definition as YAML, both ways; comments stay where a change does not touch them. */

import { isMap, parseDocument, stringify, type Document } from "yaml";
import { isFields, same, type Fields, type Json } from "./json.ts";

const STYLE = { lineWidth: 0 } as const;

export interface Read {
  definition: Fields | null;
  problems: { line: number; message: string }[];
}

export function readYaml(text: string): Read {
  const document = parse(text);
  const problems = document.errors.map((error) => ({
    line: error.linePos?.[0].line ?? 1,
    message: error.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, ""),
  }));
  if (problems.length) return { definition: null, problems };
  const value = valueOf(document);
  if (isFields(value)) return { definition: value, problems: [] };
  return { definition: null, problems: [{ line: 1, message: "A workflow is an object." }] };
}

/** The definition as YAML: the text it came from, with as little of it changed as can be. */
export function sourceOf(source: string, definition: Fields): string {
  if (!source) return stringify(definition, STYLE);
  const document = parse(source);
  const before = document.errors.length ? null : valueOf(document);
  if (!isFields(before)) return stringify(definition, STYLE);
  if (same(before, definition)) return source;
  patch(document, [], before, definition);
  return document.toString(STYLE);
}

function parse(text: string): Document.Parsed {
  return parseDocument(text, { uniqueKeys: true, version: "1.2", merge: false });
}

function valueOf(document: Document): Json {
  try {
    return document.toJS({ maxAliasCount: 100 }) as Json;
  } catch {
    return null;
  }
}

function patch(document: Document, path: (string | number)[], before: Fields, after: Fields): void {
  for (const key of Object.keys(before)) if (!(key in after)) document.deleteIn([...path, key]);
  for (const [key, value] of Object.entries(after)) {
    const place = [...path, key];
    const old = before[key];
    if (same(old, value)) continue;
    if (isFields(old) && isFields(value) && isMap(document.getIn(place))) patch(document, place, old, value);
    else document.setIn(place, document.createNode(value));
  }
}
