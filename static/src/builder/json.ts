/** JSON values, and reading them without trusting their shape: a draft may be wrong in any way. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function fieldsOf(value: Json | undefined): Fields {
  return isFields(value) ? value : {};
}

export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

export function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The object without a key, or the same object where it has none. */
export function without(fields: Fields, key: string): Fields {
  if (!(key in fields)) return fields;
  const { [key]: _gone, ...rest } = fields;
  return rest;
}

/** The object with a key, or without it where the value is undefined. */
export function withKey(fields: Fields, key: string, value: Json | undefined): Fields {
  return value === undefined ? without(fields, key) : { ...fields, [key]: value };
}

export function pointer(...parts: (string | number)[]): string {
  return parts.map((part) => "/" + String(part).replaceAll("~", "~0").replaceAll("/", "~1")).join("");
}

export function pointerParts(path: string): string[] {
  return path.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A text as a person types it: text stays text, unless it would be read as something else. */
export function shown(value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  return typeof read(value) === "string" ? value : JSON.stringify(value);
}

export function read(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** One line that says what a value is. */
export function brief(value: Json | undefined, length = 60): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return text.length > length ? text.slice(0, length - 1) + "…" : text;
}
