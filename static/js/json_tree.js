// Turns a block of JSON into a tree with search, and with buttons at each value that copy it, its path, or the expression for it.
const OPEN_DEPTH = 2; // levels that are open at first
const SHORT = 200; // characters that need no search
const OPEN_SIZE = 30; // members up to which a level opens by itself

let copy; // from app.js

export function grow(places, copyText) {
  copy = copyText;
  for (const place of places) {
    place.dataset.ready = "true";
    const source = place.querySelector("pre");
    try {
      const value = JSON.parse(source.textContent);
      if (value === null || typeof value !== "object" || !Object.keys(value).length) continue;
      const text = source.textContent;
      source.replaceWith(...(text.length > SHORT ? [bar(place, text)] : []), tree(value, place.dataset.path ?? "", 0, Boolean(place.dataset.path)));
    } catch {
      // Truncated or not JSON: it stays the text it is.
    }
  }
}

function bar(place, text) {
  const row = node("div", "json-bar");
  const search = node("input", "input");
  search.type = "search";
  search.placeholder = "Search";
  search.setAttribute("aria-label", "Search in the JSON");
  search.addEventListener("input", () => mark(place, search.value.trim().toLowerCase()));
  row.append(search, button("Copy all", () => copy(text)));
  return row;
}

function tree(value, path, depth, isNamed) {
  const list = node("div");
  for (const [key, inner] of Object.entries(value)) list.append(member(key, inner, ownPath(path, key, Array.isArray(value)), depth, isNamed));
  return list;
}

function ownPath(path, key, inList) {
  if (inList) return `${path}[${key}]`;
  return /^[A-Za-z_]\w*$/.test(key) ? `${path}${path && "."}${key}` : `${path}[${JSON.stringify(key)}]`;
}

// `isNamed` tells whether an expression can name the value: what has no place in a run has only a path of its own.
function member(key, value, path, depth, isNamed) {
  const row = node("div", "json-row");
  row.append(node("span", "key", `${key}:`));
  if (value === null || typeof value !== "object" || !Object.keys(value).length) {
    row.append(node("span", value === null ? "null" : typeof value, JSON.stringify(value)), copier(value, path, isNamed));
    return row;
  }
  row.replaceChildren(); // a branch has its button beside it, as a summary may hold none
  const size = Object.keys(value).length;
  const branch = document.createElement("details");
  const head = document.createElement("summary");
  head.append(node("span", "key", `${key}:`), node("span", "size", Array.isArray(value) ? ` [${size}]` : ` {${size}}`));
  branch.append(head);
  const fill = () => branch.children.length < 2 && branch.append(tree(value, path, depth + 1, isNamed));
  branch.addEventListener("toggle", fill, { once: true });
  branch.fill = fill;
  branch.open = depth < OPEN_DEPTH && size <= OPEN_SIZE;
  if (branch.open) fill();
  row.append(branch, copier(value, path, isNamed));
  return row;
}

function copier(value, path, isNamed) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const row = node("span", "json-copy");
  row.append(labelled("Copy", `Copy the value of ${path}`, () => copy(text)), labelled("Path", `Copy the path ${path}`, () => copy(path)));
  if (isNamed) row.append(labelled("{{ }}", `Copy the expression {{ ${path} }}`, () => copy(`{{ ${path} }}`)));
  return row;
}

function labelled(label, title, act) {
  const one = button(label, act);
  one.title = title;
  one.setAttribute("aria-label", title);
  return one;
}

// Opens every branch on the way to a hit; an empty search takes the marks away.
function mark(place, wanted) {
  place.querySelectorAll("mark").forEach((one) => one.replaceWith(one.textContent));
  if (!wanted) return;
  for (let closed; (closed = [...place.querySelectorAll("details")].filter((one) => one.children.length < 2)).length; ) {
    closed.forEach((one) => one.fill());
  }
  for (const leaf of place.querySelectorAll(".key, .string, .number, .boolean, .null")) {
    const text = leaf.textContent;
    if (!text.toLowerCase().includes(wanted)) continue;
    leaf.replaceChildren(node("mark", "", text));
    for (let up = leaf.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
  }
  place.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}

function button(label, act) {
  const one = node("button", "copyable", label);
  one.type = "button";
  one.addEventListener("click", (event) => {
    event.preventDefault();
    event.stopPropagation();
    act(event);
  });
  return one;
}

function node(name, css = "", text = "") {
  const element = document.createElement(name);
  if (css) element.className = css;
  if (text) element.textContent = text;
  return element;
}
