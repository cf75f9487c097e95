// The keyboard: Ctrl/Cmd+K, ?, /, g and a letter, j and k. Nothing of it while somebody types.
const CHORD_MS = 1200;
let chordUntil = 0;

export function isTyping(event) {
  const target = event.target;
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], [role=textbox]") !== null;
}

export function startKeys(open) {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return void open("palette");
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (document.querySelector("dialog:modal")) return;
    if (act(event, open)) event.preventDefault();
  });
}

function act(event, open) {
  if (chordUntil > event.timeStamp) {
    chordUntil = 0;
    return follow(document.querySelector(`[data-chord="${CSS.escape(event.key)}"]`));
  }
  switch (event.key) {
    case "g":
      chordUntil = event.timeStamp + CHORD_MS;
      return true;
    case "?":
      open("shortcuts");
      return true;
    case "/":
      return focus(document.querySelector("[data-search]"));
    case "j":
      return focus(neighbour(1));
    case "k":
      return focus(neighbour(-1));
    default:
      return false;
  }
}

function follow(link) {
  link?.click();
  return Boolean(link);
}

function focus(element) {
  element?.focus();
  element?.select?.();
  return Boolean(element);
}

// The rows of a list are links with `data-row`, so Enter opens what j and k have reached.
function neighbour(step) {
  const rows = [...document.querySelectorAll("main [data-row]")].filter((row) => row.checkVisibility());
  const at = rows.indexOf(document.activeElement);
  if (at < 0) return step > 0 ? rows[0] : rows.at(-1);
  return rows[Math.min(rows.length - 1, Math.max(0, at + step))];
}
