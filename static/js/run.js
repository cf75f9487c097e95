// The page of a run: joins the stream, the model, the pictures and the inspector.
import { isTyping } from "./keys.js";
import { Model, duration } from "./run_model.js";
import { Graph, Timeline, write } from "./run_picture.js";
import { Saying } from "./run_saying.js";
import { Stream } from "./run_stream.js";
import { PARAMETERS, Zoom } from "./run_zoom.js";

const FRAME_MS = 100; // between two drawings of what happened: ten a second
const HEAD_MS = 2000; // between two looks at what stands above, when nothing there is known to have changed
const PANEL_MS = 1000;
const TELLING = /^(run\.|node\.(waiting|retrying|failed))/; // what changes the sentence above the run

const place = document.getElementById("run");
const panel = document.getElementById("inspector");
const base = `/runs/${place.dataset.run}`;
const graph = new Graph(document.getElementById("graph"));
const model = new Model(JSON.parse(document.getElementById("run-state").textContent), (name) => graph.describe(name));
const timeline = new Timeline(document.getElementById("timeline"), model);

// ---- drawing: at most ten times a second, in the browser's own rhythm ---------------------------------

let drawnAt = 0;
let drawing = false;
let isNew = true; // whether every bar is to be drawn

function drawSoon() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawnAt + FRAME_MS - performance.now()));
}

function draw() {
  drawing = false;
  drawnAt = performance.now();
  if (model.added) timeline.lay();
  model.added = false;
  isNew = timeline.scale.follow(model) || isNew;
  for (const row of isNew ? model.rows : model.changed) timeline.draw(row);
  if (isNew) zoom.draw();
  zoom.offer();
  isNew = false;
  for (const row of model.changed) if (model.latest.get(row.node) === row) graph.draw(row, model.now);
  for (const edge of model.edges) graph.take(edge, model.taken.get(edge));
  for (const name of model.skipped) graph.skip(name);
  model.changed.clear();
  model.edges.clear();
  model.skipped.clear();
  write(document.getElementById("run-done"), String(model.status === "completed" ? model.nodes : model.done));
  write(document.getElementById("row-count"), `${model.rows.length.toLocaleString("en")} node run${model.rows.length === 1 ? "" : "s"}`);
  write(document.getElementById("event-count"), model.seq.toLocaleString("en"));
}

// What counts by itself: bars that grow, durations, and moments that come nearer.
setInterval(() => {
  if (document.hidden) return;
  countDown();
  if (model.isOver) return;
  for (const row of model.rows) if (row.segments.at(-1)?.end === null) model.changed.add(row);
  write(document.getElementById("run-took"), duration(model.now));
  drawSoon();
}, 250);

function countDown() {
  for (const element of document.querySelectorAll("[data-due]")) {
    const left = (Number(element.dataset.due) - Date.now() - model.ahead) / 1000;
    const words = left > 0 ? `in ${spell(left)}` : "now";
    write(element, element.dataset.then ? `${element.dataset.then} by itself ${words}.` : `${words}.`);
  }
}

function spell(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 86400) return duration(seconds * 1000);
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

const zoom = new Zoom(timeline, () => {
  isNew = true;
  drawSoon();
});

const saying = new Saying(panel, () => {
  const query = new URLSearchParams(location.search);
  const node = selected();
  return `${node}#${query.get("visit") ?? model.latest.get(node)?.visit ?? 1}#${query.get("index") ?? -1}`;
});

// ---- the stream --------------------------------------------------------------------------------------

const stream = new Stream(place.dataset.run, {
  organization: place.dataset.organization,
  place: document.querySelector("[data-connection]"),
  after: () => model.seq,
  isOver: () => model.isOver,
  hear,
  hearText: (event) => saying.hear(event),
  caughtUp: () => lookAbove(0),
});

function hear(event) {
  model.hear(event);
  saying.over(event);
  drawSoon();
  if (model.incomplete) resync();
  lookAbove(TELLING.test(event.type) ? 0 : HEAD_MS);
  if (concerns(event)) lookInside();
  if (history.open) lookBack();
}

const resync = atMostEvery(1000, async () => {
  const text = await ask(`${base}/state`);
  if (text === null) return;
  model.take(JSON.parse(text));
  model.added = true;
  drawSoon();
});

document.addEventListener("run-changed", async () => {
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  lookAbove(0);
  lookInside();
  if (!stream.source) {
    await resync(); // it may go on again
    stream.open();
  }
});

// ---- what stands above: status, facts, sentence, buttons ----------------------------------------------

let above = 0;
let aboveAt = Infinity;

function lookAbove(later) {
  const at = performance.now() + Math.max(later, 80);
  if (at >= aboveAt) return;
  clearTimeout(above);
  aboveAt = at;
  above = setTimeout(async () => {
    aboveAt = Infinity;
    const html = await ask(`${base}/head`);
    if (html !== null) htmx.swap(place, html, { swapStyle: "none" });
  }, at - performance.now());
}

// What is the same stays, so that a focus, a menu that is open, or a half-written answer is not lost.
const parts = new Map();
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const html = fragment.firstElementChild?.innerHTML ?? "";
  if (parts.get(target.id) === html || (target.id !== "run-banner" && isBusy(target))) event.detail.shouldSwap = false;
  else parts.set(target.id, html);
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  countDown();
  if (event.detail.target.id === "run-status" && !selected()) lookInside(); // no event tells that a run waits
});

const isBusy = (element) => Boolean(element.querySelector(":popover-open")) || (element.id === "run-acts" && element.contains(document.activeElement));

// No event tells that the last worker has died.
setInterval(() => model.isOver || document.hidden || lookAbove(0), 10000);

// ---- selection: in the graph, in the timeline, in the inspector, in the address ------------------------

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("[data-select]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  select(link.getAttribute("href"));
});

window.addEventListener("popstate", () => {
  zoom.read();
  isNew = true;
  drawSoon();
  show();
});

function select(query) {
  const wanted = new URLSearchParams(query);
  const now = new URLSearchParams(location.search);
  const tab = now.get("tab");
  // Another node opens with the tab that one was reading, and nothing selected moves the time.
  if (tab && wanted.get("node") && !wanted.has("tab") && !wanted.has("index")) wanted.set("tab", tab);
  for (const name of PARAMETERS) if (now.has(name)) wanted.set(name, now.get(name));
  if (String(wanted) === String(now)) return;
  window.history.pushState(null, "", `${location.pathname}?${wanted}`);
  show();
}

function show() {
  const query = new URLSearchParams(location.search);
  mark(query);
  const key = keyOf(query);
  timeline.reveal(key);
  graph.reveal(query.get("node"));
  refill(true);
  // Where the inspector stands below the rest, whoever asks for a node is taken there.
  if (query.get("node") && panel.getBoundingClientRect().top > innerHeight * 0.8) panel.scrollIntoView({ block: "start" });
}

function mark(query) {
  timeline.select(keyOf(query));
  graph.select(query.get("node"));
}

function keyOf(query) {
  const node = query.get("node");
  return node ? `${node}#${query.get("visit") ?? model.latest.get(node)?.visit ?? 1}` : "";
}

function selected() {
  const query = new URLSearchParams(location.search);
  return query.has("node") || query.has("tab") ? query.get("node") : panel.querySelector("[data-panel-node]")?.dataset.panelNode;
}

const concerns = (event) => !selected() ? event.type.startsWith("run.") : event.node === selected();
const lookInside = atMostEvery(PANEL_MS, () => refill(false));

// The inspector is filled again only when it differs, and never under somebody's hands.
let filled = "";
async function refill(isNew) {
  const address = inspected();
  const html = await ask(address);
  if (html === null || address !== inspected() || (!isNew && (html === filled || isTyped()))) return;
  filled = html;
  if (!isNew && panel.querySelector("[data-log-filter]")?.contains(document.activeElement)) return relist(html);
  const part = panel.querySelector("#part");
  const scroll = isNew ? 0 : part?.scrollTop;
  const focus = panel.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  htmx.swap(panel, html, { swapStyle: "innerHTML" });
  saying.show();
  panel.querySelector("#part").scrollTop = scroll ?? 0;
  if (focus) panel.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
}

function inspected() {
  const query = new URLSearchParams(location.search);
  PARAMETERS.forEach((name) => query.delete(name));
  return `${panel.dataset.url}?${query}`;
}

const isTyped = () => [...panel.querySelectorAll("textarea, input")]
  .some((field) => !field.closest("[data-log-filter]") && (field.value !== field.defaultValue || field === document.activeElement));

// ---- the log: searched where it lies, so that what is too old for the page is found too -----------------

panel.addEventListener("input", (event) => event.target.closest("[data-log-filter]") && filterSoon());
panel.addEventListener("submit", (event) => event.target.matches("[data-log-filter]") && event.preventDefault());

const filterSoon = atMostEvery(200, () => {
  const query = new URLSearchParams(location.search);
  if (selected()) query.set("node", selected());
  query.set("tab", "logs");
  for (const [name, value] of new FormData(panel.querySelector("[data-log-filter]"))) value ? query.set(name, value) : query.delete(name);
  window.history.replaceState(null, "", `?${query}`);
  refill(false);
});

function relist(html) {
  htmx.swap(panel.querySelector("#log-lines"), html, { swapStyle: "outerHTML" }, { select: "#log-lines" });
}

// [ and ] walk through the node runs; Escape goes back to the run, and then to all of its time.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (document.querySelector("dialog:modal, .menu:popover-open")) return;
  if (event.key === "Escape") return selected() ? select("?tab=") : zoom.isAway && zoom.leave();
  const step = { "[": -1, "]": 1 }[event.key];
  if (!step || !model.rows.length) return;
  event.preventDefault();
  const at = model.rows.findIndex((row) => row.key === keyOf(new URLSearchParams(location.search)));
  const row = model.rows[at < 0 ? (step > 0 ? 0 : model.rows.length - 1) : Math.min(model.rows.length - 1, Math.max(0, at + step))];
  select(`?node=${encodeURIComponent(row.node)}${row.visit > 1 ? `&visit=${row.visit}` : ""}`);
});

// ---- history ------------------------------------------------------------------------------------------

const history = document.getElementById("history");
const past = document.getElementById("history-body");
let pastQuery = "";

async function readPast(query = pastQuery) {
  pastQuery = query;
  const html = await ask(past.dataset.url + query);
  if (html === null || query !== pastQuery) return;
  if (past.contains(document.activeElement) && document.activeElement.tagName === "SELECT" && query === past.dataset.query) return;
  past.dataset.query = query;
  const scroll = past.querySelector(".events")?.scrollTop ?? 0;
  htmx.swap(past, html, { swapStyle: "innerHTML" });
  const list = past.querySelector(".events");
  if (list) list.scrollTop = scroll;
}

const lookBack = atMostEvery(1000, () => !pastQuery.includes("after=") && readPast());
history.addEventListener("toggle", () => history.open && readPast());
history.addEventListener("click", (event) => {
  const link = event.target.closest("[data-history]");
  if (!link) return;
  event.preventDefault();
  readPast(link.getAttribute("href"));
});
history.addEventListener("change", (event) => {
  if (!event.target.matches("[data-history-type]")) return;
  const query = new URLSearchParams(pastQuery);
  query.delete("after");
  query.set("type", event.target.value);
  readPast(`?${query}`);
});

/** The text at an address; null where the server is away, which the state of the connection tells. */
async function ask(address) {
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}

/** Run at once, and then at most so often; the last call is never lost. */
function atMostEvery(milliseconds, act) {
  let ranAt = -Infinity;
  let waiting = 0;
  return () => {
    if (waiting) return undefined;
    const left = ranAt + milliseconds - performance.now();
    if (left <= 0) {
      ranAt = performance.now();
      return act();
    }
    waiting = setTimeout(() => {
      waiting = 0;
      ranAt = performance.now();
      act();
    }, left);
    return undefined;
  };
}

mark(new URLSearchParams(location.search));
graph.reveal(selected() || model.rows.findLast((row) => !row.status.match(/completed|cancelled/))?.node);
if (selected()) mark(new URLSearchParams({ node: selected() }));
timeline.reveal(timeline.selected);
drawSoon();
countDown();
if (history.open) readPast();
stream.open();
