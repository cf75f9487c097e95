// Ctrl/Cmd+K: pages, commands, and what the server finds. Loaded when it is first opened.
const PAUSE_MS = 150;
let found = [];
let acts = {}; // what commands do, from app.js
let asked = 0;

export function fill(dialog, whatCommandsDo) {
  acts = whatCommandsDo;
  const input = dialog.querySelector("input");
  input.value = "";
  show(dialog, matching(""));
  if (dialog.dataset.ready) return;
  dialog.dataset.ready = "true";
  input.addEventListener("input", () => look(dialog, input.value.trim()));
  input.addEventListener("keydown", (event) => steer(event, dialog));
  dialog.addEventListener("click", (event) => choose(dialog, event.target.closest("[role=option]")));
  dialog.addEventListener("pointermove", (event) => select(dialog, event.target.closest("[role=option]")));
}

function commands() {
  const pages = [...document.querySelectorAll(".nav [data-entry]")].map((link) => ({
    label: link.childNodes[1].textContent.trim(), kind: "Page", icon: link.dataset.icon, url: link.href,
  }));
  const own = [...document.querySelectorAll("[data-command]")].map((element) => ({
    label: element.dataset.command, kind: "Command", icon: element.dataset.icon ?? "arrow-right", act: () => element.click(),
  }));
  return [
    ...pages,
    ...own,
    { label: "Light colours", kind: "Command", icon: "sun", act: () => acts.chooseTheme("light") },
    { label: "Dark colours", kind: "Command", icon: "moon", act: () => acts.chooseTheme("dark") },
    { label: "Colours of the system", kind: "Command", icon: "monitor", act: () => acts.chooseTheme("") },
    { label: "Keyboard shortcuts", kind: "Command", icon: "keyboard", act: () => acts.open("shortcuts") },
  ];
}

function matching(text) {
  const wanted = text.toLowerCase().split(/\s+/);
  return commands().filter(({ label }) => wanted.every((word) => label.toLowerCase().includes(word)));
}

function look(dialog, text) {
  const turn = ++asked;
  show(dialog, matching(text));
  if (text.length < 2) return;
  setTimeout(async () => {
    if (turn !== asked) return;
    const answer = await fetch(`/go?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
    if (turn === asked && answer.ok) show(dialog, [...matching(text), ...(await answer.json()).items]);
  }, PAUSE_MS);
}

function show(dialog, entries) {
  found = entries;
  const list = dialog.querySelector("[role=listbox]");
  list.replaceChildren(...entries.map(option));
  if (!entries.length) list.append(nothing());
  select(dialog, list.querySelector("[role=option]"));
}

function option(entry, index) {
  const element = document.createElement("div");
  element.id = `palette-${index}`;
  element.setAttribute("role", "option");
  element.dataset.index = index;
  const label = document.createElement("span");
  label.className = "truncate";
  label.textContent = entry.label;
  const kind = document.createElement("span");
  kind.className = "kind";
  kind.textContent = entry.kind;
  element.append(icon(entry.icon), label, kind);
  return element;
}

function icon(name) {
  const drawn = document.querySelector(".nav .icon").cloneNode(true);
  drawn.setAttribute("class", "icon");
  const use = drawn.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${name}`));
  return drawn;
}

function nothing() {
  const element = document.createElement("div");
  element.className = "empty small";
  element.textContent = "Nothing found.";
  return element;
}

function select(dialog, chosen) {
  if (!chosen) return dialog.querySelector("input").removeAttribute("aria-activedescendant");
  dialog.querySelectorAll("[role=option]").forEach((one) => one.setAttribute("aria-selected", String(one === chosen)));
  dialog.querySelector("input").setAttribute("aria-activedescendant", chosen.id);
  chosen.scrollIntoView({ block: "nearest" });
}

function steer(event, dialog) {
  const options = [...dialog.querySelectorAll("[role=option]")];
  const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    select(dialog, options[(at + step + options.length) % options.length]);
  } else if (event.key === "Enter") {
    event.preventDefault();
    choose(dialog, options[at]);
  }
}

function choose(dialog, element) {
  if (!element) return;
  const entry = found[Number(element.dataset.index)];
  dialog.close();
  if (entry.url) location.assign(entry.url);
  else entry.act();
}
