/** What can be added: by drag, by click, or by name. */

import { useEffect, useId, useRef, useState } from "react";
import { addNode, addNote } from "./acts.ts";
import { ENTRY } from "./canvas.tsx";
import { matching, type Entry } from "./catalogue.ts";
import { useEditor } from "./editor.tsx";
import { Icon } from "./icons.tsx";
import { textOf } from "./json.ts";

export function Palette() {
  const editor = useEditor();
  const [search, setSearch] = useState("");
  const found = matching(editor.entries, search);
  const groups = Map.groupBy(found, (entry) => entry.group);
  return (
    <section className="b-palette" aria-label="Palette">
      <label className="b-search"><Icon name="search" size={14} /><input type="search" placeholder="Search" aria-label="Search what can be added" value={search} onChange={(event) => setSearch(event.target.value)} /></label>
      <div className="b-palette-list">
        {[...groups].map(([name, entries]) => (
          <div key={name} role="group" aria-label={name}>
            <h2>{name}</h2>
            {entries.map((entry) => (
              <button
                type="button" key={entry.key} draggable title={entry.description || entry.label} data-entry={entry.key}
                onDragStart={(event) => { event.dataTransfer.setData(ENTRY, entry.key); event.dataTransfer.effectAllowed = "copy"; }}
                onClick={() => addNode(editor, entry, {})}
              >
                <Icon name={textOf(entry.node.type)} size={14} /><span>{entry.label}</span>
              </button>
            ))}
          </div>
        ))}
        {!found.length && <p className="b-dim">Nothing is called that.</p>}
        <div role="group" aria-label="Notes">
          <h2>Notes</h2>
          <button type="button" onClick={() => addNote(editor)}><Icon name="note" size={14} /><span>Note</span></button>
        </div>
      </div>
    </section>
  );
}

interface Choosing<T> {
  label: string;
  items: readonly T[];
  textOf: (item: T) => string;
  draw: (item: T) => React.ReactNode;
  filter?: (items: readonly T[], search: string) => T[];
  onChoose: (item: T) => void;
}

/** A list that is searched by typing and chosen from by arrow keys and Enter. */
export function Chooser<T>({ label, items, textOf: nameOf, draw, filter, onChoose }: Choosing<T>) {
  const [search, setSearch] = useState("");
  const [place, setPlace] = useState(0);
  const list = useId();
  const box = useRef<HTMLUListElement>(null);
  const found = filter ? filter(items, search) : items.filter((item) => nameOf(item).toLowerCase().includes(search.toLowerCase()));
  const chosen = Math.max(0, Math.min(place, found.length - 1));
  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setPlace(Math.max(0, Math.min(found.length - 1, chosen + (event.key === "ArrowDown" ? 1 : -1))));
      event.preventDefault();
    } else if (event.key === "Enter" && found[chosen] !== undefined) {
      event.preventDefault();
      onChoose(found[chosen]);
    }
  };
  return (
    <>
      <input
        className="b-chooser" type="search" placeholder={label} aria-label={label} role="combobox" aria-expanded="true" aria-controls={list}
        aria-activedescendant={found.length ? `${list}-${chosen}` : undefined} value={search}
        onChange={(event) => { setSearch(event.target.value); setPlace(0); }} onKeyDown={onKeyDown}
      />
      <ul className="b-choices" role="listbox" id={list} aria-label={label} ref={box}>
        {found.map((item, number) => (
          <li key={nameOf(item)} id={`${list}-${number}`} role="option" aria-selected={number === chosen} onMouseDown={(event) => event.preventDefault()} onClick={() => onChoose(item)}>
            {draw(item)}
          </li>
        ))}
        {!found.length && <li className="b-dim" role="presentation">Nothing is called that.</li>}
      </ul>
    </>
  );
}

export function EntryChooser({ onChoose }: { onChoose: (entry: Entry) => void }) {
  const { entries } = useEditor();
  return (
    <Chooser
      label="What to add" items={entries} textOf={(entry) => entry.key} filter={matching} onChoose={onChoose}
      draw={(entry) => <><Icon name={textOf(entry.node.type)} /><b>{entry.label}</b><small>{entry.description}</small><span className="b-tag">{entry.group}</span></>}
    />
  );
}
