/** The keys; while somebody writes in a field they mean what they mean there. */

import { flushSync } from "react-dom";
import { addNote, duplicate, extractSelected, fold, group, nudge, removeSelected, selectReach, tidy, togglePin, walk } from "./acts.ts";
import { only, type Editor } from "./editor.tsx";
import { runDraft } from "./top_bar.tsx";
import { outputIn } from "./variables.ts";

export const KEYS: [string, string][] = [
  ["N", "Add a node, after the selected one"],
  ["C", "Connect the selected node to another"],
  ["R", "Replace the selected node"],
  ["Enter", "Set up what is selected"],
  ["F2 or Space", "Rename the selected node"],
  ["P", "Pin or unpin the output of the last run"],
  ["Del", "Delete"],
  ["Esc", "Close, or select nothing"],
  ["Arrows", "Walk from node to node"],
  ["Shift + left or right", "Select all before or after too"],
  ["Alt + arrows", "Move what is selected"],
  ["Ctrl + A", "Select all"],
  ["Ctrl + C, X, V", "Copy, cut, paste as JSON; paste a whole workflow"],
  ["Ctrl + D", "Duplicate"],
  ["Ctrl + Z, Shift + Z", "Undo, redo"],
  ["Ctrl + G", "Group, ungroup"],
  ["Shift + G", "Fold a group to one box, open it"],
  ["Alt + X", "Make a workflow of the selected nodes"],
  ["Ctrl + F", "Find a node"],
  ["Ctrl + S", "Save now"],
  ["Ctrl + Enter", "Run the draft"],
  ["Shift + S", "Add a note"],
  ["Shift + Alt + T", "Tidy up"],
  ["1, 0, + and -", "Fit, full size, zoom"],
  ["Wheel, Ctrl + wheel", "Move about, zoom"],
  ["L", "Show or hide the lists"],
];

export interface View {
  fit: () => void;
  full: () => void;
  zoom: (closer: boolean) => void;
}

type Act = (editor: Editor, view: View, event: KeyboardEvent) => void;

const select = (editor: Editor): string | null => only(editor.selection);
const focus = (selector: string) => {
  const found = document.querySelector<HTMLElement>(selector);
  found?.focus();
  if (found instanceof HTMLInputElement) found.select();
};
const setUp = (selector: string): Act => (editor) => {
  flushSync(() => editor.turn("setup")); // so that the field is there
  focus(selector);
};
const rename = setUp("[data-name-of]");
const zoomIn: Act = (_editor, view) => view.zoom(true);
const step = (x: number, y: number): Act => (editor) => nudge(editor, x * 16, y * 16);
const go: Act = (editor, _view, event) => walk(editor, event.key);
const redo: Act = (editor) => editor.work.redo();

const READING: Record<string, Act> = {
  "ArrowLeft": go, "ArrowRight": go, "ArrowUp": go, "ArrowDown": go,
  "shift+ArrowLeft": (editor) => selectReach(editor, "before"),
  "shift+ArrowRight": (editor) => selectReach(editor, "after"),
  "ctrl+a": (editor) => editor.select({ nodes: new Set(Object.keys(editor.nodes)) }),
  "ctrl+f": (editor) => editor.show({ kind: "find" }),
  "Escape": (editor) => editor.select({}),
  "Enter": setUp("#inspector .b-inspector-body :is(input, textarea, select)"),
  "1": (_editor, view) => view.fit(),
  "0": (_editor, view) => view.full(),
  "+": zoomIn, "shift++": zoomIn, "=": zoomIn,
  "-": (_editor, view) => view.zoom(false),
  "l": (editor) => editor.setTab(editor.tab ? null : "outline"),
  "shift+?": (editor) => editor.show({ kind: "keys" }),
};

const WRITING: Record<string, Act> = {
  "n": (editor) => {
    const source = select(editor);
    editor.show({ kind: "add", spot: source ? { from: { source, spec: {} } } : {} });
  },
  "c": (editor) => { const source = select(editor); if (source) editor.show({ kind: "connect", source }); },
  "r": (editor) => { const node = select(editor); if (node) editor.show({ kind: "replace", node }); },
  "p": (editor) => { const id = select(editor); if (id) togglePin(editor, id, outputIn(editor.following.run, id)); },
  "F2": rename, " ": rename,
  "Delete": removeSelected, "Backspace": removeSelected,
  "alt+ArrowLeft": step(-1, 0), "alt+ArrowRight": step(1, 0), "alt+ArrowUp": step(0, -1), "alt+ArrowDown": step(0, 1),
  "ctrl+d": duplicate,
  "ctrl+g": group,
  "shift+g": (editor) => fold(editor),
  "alt+x": extractSelected,
  "ctrl+z": (editor) => editor.work.undo(),
  "ctrl+shift+z": redo, "ctrl+y": redo,
  "shift+s": (editor) => addNote(editor),
  "shift+alt+t": tidy,
};

const EVERYWHERE: Record<string, Act> = {
  "ctrl+s": (editor) => void editor.saver.now(),
  "ctrl+Enter": (editor) => runDraft(editor),
};

/** Does what the key means; true where it means something. */
export function press(editor: Editor, view: View, event: KeyboardEvent): boolean {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return false;
  const key = nameOf(event);
  const writes = isWriting(event.target);
  if (event.target instanceof Element && event.target.closest(".b-picker")) return false;
  if (writes && key === "Escape") {
    (event.target as HTMLElement).blur();
    document.getElementById("canvas")?.focus();
    return true;
  }
  const act = (!editor.isReadOnly && EVERYWHERE[key]) || (!writes && (READING[key] ?? (editor.isReadOnly ? undefined : WRITING[key])));
  if (!act || (isButton(event.target) && (key === "Enter" || key === " "))) return false;
  act(editor, view, event);
  return true;
}

function nameOf(event: KeyboardEvent): string {
  const key = event.altKey && /^Key[TX]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const held = [(event.ctrlKey || event.metaKey) && "ctrl", event.shiftKey && "shift", event.altKey && "alt"].filter(Boolean);
  return [...held, key].join("+");
}

export function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

function isButton(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a, summary, [role=tab]") !== null;
}
