/** A text that may hold expressions, and the list of what it can read. */

import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { brief } from "./json.ts";
import { variablesFor, type Scope, type Variable } from "./variables.ts";

interface Props {
  id?: string;
  value: string;
  onChange: (value: string) => void;
  scope: Scope;
  isBare?: boolean; // a condition: the whole text is one expression
  label: string;
  placeholder?: string;
}

export function ExpressionField({ id, value, onChange, scope, isBare = false, label, placeholder }: Props) {
  const { isReadOnly } = useEditor();
  const area = useRef<HTMLTextAreaElement>(null);
  const [isOpen, setOpen] = useState(false);
  const [isTyped, setTyped] = useState(false); // it opened by itself, while somebody writes
  useLayoutEffect(() => {
    const found = area.current;
    if (!found) return;
    found.style.height = "auto";
    found.style.height = `${Math.min(found.scrollHeight + 2, 220)}px`;
  }, [value]);

  const insert = ({ path }: Variable) => {
    const found = area.current;
    const [from, to] = found ? [found.selectionStart, found.selectionEnd] : [value.length, value.length];
    const open = !isBare && /\{\{\s*$/.exec(value.slice(0, from));
    const text = isBare ? path : open ? `${open[0] === "{{" ? " " : ""}${path} }}` : `{{ ${path} }}`;
    write(from, text, value.slice(to).replace(open ? /^\s*\}\}/ : /^(?!)/, ""));
  };

  /** Writes a text where the cursor is, and goes on behind it. */
  const write = (from: number, text: string, rest: string) => {
    // At once: the next key may come before the next frame, and has to find the cursor there.
    flushSync(() => {
      onChange(value.slice(0, from) + text + rest);
      setOpen(false);
    });
    area.current?.focus();
    area.current?.setSelectionRange(from + text.length, from + text.length);
  };

  /** What somebody has written on their own goes where they meant it to. */
  const goOn = (text: string) => {
    const from = area.current?.selectionStart ?? value.length;
    write(from, text, value.slice(area.current?.selectionEnd ?? from));
  };

  const type = (text: string) => {
    onChange(text);
    const end = area.current?.selectionStart ?? 0;
    if (!isBare && text.length > value.length && text.slice(0, end).endsWith("{{")) {
      setTyped(true);
      setOpen(true);
    }
  };

  return (
    <div className="b-expression" data-expression={isBare || value.includes("{{") || undefined}>
      <textarea
        id={id || undefined} ref={area} rows={1} value={value} readOnly={isReadOnly} spellCheck={!isBare && !value.includes("{{")} aria-label={id ? undefined : label}
        placeholder={placeholder} onChange={(event) => type(event.target.value)}
      />
      {!isReadOnly && (
        <button type="button" className="b-pick" aria-label={`Insert a value into ${label}`} title="Insert a value" aria-expanded={isOpen} onClick={() => { setTyped(false); setOpen(!isOpen); }}>
          <Icon name="braces" size={14} />
        </button>
      )}
      {isOpen && <Picker scope={scope} onPick={insert} onWrite={isTyped ? goOn : undefined} onClose={() => { setOpen(false); area.current?.focus(); }} />}
    </div>
  );
}

interface PickerProps {
  scope: Scope;
  onPick: (variable: Variable) => void;
  onWrite?: (text: string) => void; // takes what was written here by who wants none of these
  onClose: () => void;
}

function Picker({ scope, onPick, onWrite, onClose }: PickerProps) {
  const { definition, catalogue, following } = useEditor();
  const [search, setSearch] = useState("");
  const [place, setPlace] = useState(0);
  const list = useId();
  const box = useRef<HTMLDivElement>(null);
  const all = useMemo(() => variablesFor(definition, catalogue, following.run, scope), [definition, catalogue, following.run, scope]);
  const found = all.filter(({ path, from }) => `${from} ${path}`.toLowerCase().includes(search.trim().toLowerCase()));
  const chosen = Math.min(place, found.length - 1);
  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const leave = () => (onWrite && search ? onWrite(search) : onClose());

  const onKeyDown = (event: React.KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) setPlace(Math.max(0, Math.min(found.length - 1, chosen + moves[event.key]!)));
    else if (event.key === "Enter" && found[chosen]) onPick(found[chosen]);
    else if (event.key === "}" && onWrite) onWrite(`${search}}`);
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div className="b-picker" ref={box} onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && leave()}>
      <input
        autoFocus type="search" placeholder="Search values" aria-label="Search values" role="combobox" aria-expanded="true" aria-controls={list}
        aria-activedescendant={found[chosen] ? `${list}-${chosen}` : undefined}
        value={search} onChange={(event) => { setSearch(event.target.value); setPlace(0); }} onKeyDown={onKeyDown}
      />
      <ul id={list} role="listbox" aria-label="Values">
        {found.map((variable, number) => (
          <li key={variable.path} role="presentation">
            {variable.from !== found[number - 1]?.from && <div className="b-picker-head" role="presentation">{variable.from}</div>}
            <div
              id={`${list}-${number}`} role="option" aria-selected={number === chosen} className="b-option"
              onMouseDown={(event) => event.preventDefault()} onClick={() => onPick(variable)}
            >
              <code>{variable.path}</code>
              <span title={brief(variable.value, 400)}>{variable.value === undefined ? "" : brief(variable.value, 40)}</span>
            </div>
          </li>
        ))}
        {!found.length && <li className="b-dim">Nothing of that name leads here.</li>}
      </ul>
      {!following.run && <p className="b-dim">Run it once, and the values stand here.</p>}
    </div>
  );
}
