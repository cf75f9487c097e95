/** What every part of the builder shares. */

import { createContext, useContext } from "react";
import type { Api, Issue } from "./api.ts";
import type { Catalogue, Entry } from "./catalogue.ts";
import type { Edge } from "./definition.ts";
import type { Fields } from "./json.ts";
import type { Layout, Point } from "./layout.ts";
import type { Following, Runner } from "./running.ts";
import type { Saver } from "./saving.ts";
import type { Content, Work } from "./work.ts";

export interface Selection {
  nodes: ReadonlySet<string>;
  edge: string | null;
  note: string | null;
}

export const NO_SELECTION: Selection = { nodes: new Set(), edge: null, note: null };

/** Where a new node goes. */
export interface Spot {
  at?: Point | undefined;
  from?: { source: string; spec: Fields } | undefined;
  into?: Edge | undefined;
}

export type Dialog =
  | { kind: "add"; spot: Spot }
  | { kind: "replace"; node: string }
  | { kind: "connect"; source: string }
  | { kind: "find" }
  | { kind: "extract" }
  | { kind: "publish" }
  | { kind: "run"; label: string; definition: Fields }
  | { kind: "keys" };

/** What is shown of a node: how it is set up, or what it did. */
export type Face = "setup" | "run";

export type Tab = "outline" | "problems" | "yaml" | "versions";

export interface Problems {
  errors: Issue[];
  warnings: Issue[];
  isChecked: boolean;
}

export interface Comparison {
  title: string;
  definition: Fields;
}

export interface Editor {
  api: Api;
  catalogue: Catalogue;
  entries: Entry[];
  know: (workflow: string) => void; // that there is a further one
  work: Work;
  saver: Saver;
  runner: Runner;
  isReadOnly: boolean;
  content: Content;
  definition: Fields;
  layout: Layout;
  nodes: Record<string, Fields>;
  edges: Edge[];
  places: Record<string, Point>;
  following: Following;
  problems: Problems;
  selection: Selection;
  select: (selection: Partial<Selection>) => void;
  selectBy: (change: (before: Selection) => Selection) => void;
  dialog: Dialog | null;
  show: (dialog: Dialog | null) => void;
  tab: Tab | null;
  setTab: (tab: Tab | null) => void;
  face: Face;
  turn: (face: Face) => void;
  comparison: Comparison | null;
  compare: (comparison: Comparison | null) => void;
  tell: (message: string) => void;
  goTo: (pointer: string) => void;
  reveal: (id: string) => void;
  fit: () => void;
  middle: () => Point;
}

const EditorContext = createContext<Editor | null>(null);

export const EditorProvider = EditorContext.Provider;

export function useEditor(): Editor {
  const editor = useContext(EditorContext);
  if (!editor) throw new Error("This stands outside of the builder.");
  return editor;
}

export function only(selection: Selection): string | null {
  return selection.nodes.size === 1 ? [...selection.nodes][0]! : null;
}
