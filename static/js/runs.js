// The list of runs: choosing, looking into a run, and staying up to date without moving anything.
import { isTyping } from "./keys.js";

const EVERY_MS = 5000;
const LOST_MS = 20000; // without an answer
const KEY = "runs.live";
let heard = Date.now();

const rows = () => [...document.querySelectorAll("#run-rows [data-peek]")];
const drawer = () => document.getElementById("peek");

// ---- choosing --------------------------------------------------------------------------------------

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-tick-all]")) {
    for (const box of ticks()) box.checked = event.target.checked;
  }
  if (event.target.closest?.("#run-rows")) count();
});
document.addEventListener("reset", () => setTimeout(count));

function ticks() {
  return [...document.querySelectorAll('#run-rows input[name="run"]')];
}

function count() {
  const chosen = ticks().filter((box) => box.checked).length;
  const all = document.querySelector("[data-tick-all]");
  if (!all) return;
  all.checked = chosen > 0 && chosen === ticks().length;
  all.indeterminate = chosen > 0 && !all.checked;
  const everything = document.querySelector('#run-rows input[name="all"]')?.checked;
  document.querySelector("[data-chosen]").textContent = everything ? "All that match" : `${chosen} chosen`;
}

// ---- looking into a run ----------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
  const row = event.target.closest?.("[data-peek]");
  if (row && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    peek(row);
  } else if (row && event.key === "x") {
    tick(row);
  } else if (drawer()?.open && (event.key === "j" || event.key === "k") && !isTyping(event)) {
    event.preventDefault();
    move(event.key === "j" ? 1 : -1);
  }
});

// A click beside the links of a row looks into its run; Ctrl and the middle button open the page as ever.
document.addEventListener("click", (event) => {
  const row = event.target.closest?.("#run-rows tbody tr");
  if (!row || event.target.closest("a, button, input, label") || getSelection()?.toString()) return;
  peek(row.querySelector("[data-peek]"));
});

async function peek(link) {
  document.querySelectorAll("#run-rows tr[aria-selected]").forEach((row) => row.removeAttribute("aria-selected"));
  link.closest("tr").setAttribute("aria-selected", "true");
  if (!drawer().open) drawer().showModal();
  drawer().dataset.run = link.getAttribute("href");
  await htmx.ajax("GET", link.dataset.peek, { target: "#peek-body", swap: "innerHTML" });
  drawer().querySelector("[data-peek-open]")?.focus();
}

function move(step) {
  const all = rows();
  const at = all.findIndex((link) => link.getAttribute("href") === drawer().dataset.run);
  const next = all[at + step];
  if (next) peek(next);
}

function tick(row) {
  const box = row.closest("tr").querySelector('input[name="run"]');
  if (box) box.click();
}

// Closing gives the focus back to the row that was looked at last.
document.addEventListener("close", (event) => {
  if (event.target !== drawer()) return;
  rows().find((link) => link.getAttribute("href") === drawer().dataset.run)?.focus();
  document.querySelectorAll("#run-rows tr[aria-selected]").forEach((row) => row.removeAttribute("aria-selected"));
}, true);

// ---- staying up to date ----------------------------------------------------------------------------

const live = document.querySelector("[data-live-switch]");
live.checked = sessionStorage.getItem(KEY) !== "off";
live.addEventListener("change", () => {
  sessionStorage.setItem(KEY, live.checked ? "on" : "off");
  heard = Date.now();
  show();
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt.id === "run-news" && event.detail.successful) heard = Date.now();
  show();
});

// A list that cannot be asked keeps quiet: the sign beside the switch says it.
document.addEventListener("htmx:sendError", (event) => event.detail.elt.id === "run-news" && event.stopImmediatePropagation(), true);

setInterval(() => {
  const news = document.querySelector("#run-news[hx-get]");
  if (live.checked && news && !document.hidden && !document.querySelector("dialog:modal")) htmx.trigger(news, "look");
  if (document.hidden || document.querySelector("dialog:modal") || !news) heard = Date.now();
  show();
}, EVERY_MS);

function show() {
  const sign = document.querySelector("[data-connection]");
  const state = !live.checked ? "off" : Date.now() - heard > LOST_MS ? "lost" : "live";
  if (sign.dataset.state === state) return;
  sign.dataset.state = state;
  sign.textContent = { live: "Live", off: "Live updates off", lost: "Connection lost" }[state];
}

show();
