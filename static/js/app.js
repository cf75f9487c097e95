// What every page has. Other modules enhance parts of a page when they are there: see `enhance`.
import { startKeys } from "./keys.js";
import { toast, showToasts } from "./toasts.js";
import { keepTimes } from "./times.js";

const SAFE = new Set(["get", "head", "options"]);

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const opener = target?.closest("[data-opens]");
  if (opener) return open(opener.dataset.opens);
  if (target?.closest("[data-closes]")) return target.closest("dialog")?.close();
  const copier = target?.closest("[data-copy]");
  if (copier) return copy(copier.dataset.copy);
  const theme = target?.closest("[data-theme-choice]");
  if (theme) return chooseTheme(theme.dataset.themeChoice);
  if (target?.closest("[data-menu] :is(a, button):not([popovertarget])")) target.closest("[popover]").hidePopover();
  if (target?.tagName === "DIALOG" && !("closedBy" in target)) target.close(); // on the backdrop, in older browsers
});

// A form whose answer takes its time says that it was sent; a page that comes back from memory waits for nothing.
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-busy]")) event.submitter?.setAttribute("aria-busy", "true");
});

addEventListener("pageshow", () => document.querySelectorAll("[data-busy] [aria-busy]").forEach((one) => one.removeAttribute("aria-busy")));

document.addEventListener("htmx:configRequest", (event) => {
  if (!SAFE.has(event.detail.verb)) event.detail.headers["X-CSRFToken"] = csrfToken();
});

// A refusal that says where it belongs is the form's fields with what is wrong at each.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.status === 422 && detail.xhr.getResponseHeader("HX-Retarget")) [detail.shouldSwap, detail.isError] = [true, false];
});

document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status !== 401) toast(detailOf(event.detail.xhr), { tone: "failed" });
});

document.addEventListener("htmx:sendError", () => toast("The server does not answer; try again in a moment.", { tone: "failed" }));

// A view answers `HX-Trigger: {"toast": {"text": "Deleted.", "undo": "/workflows/x/restore"}}`.
document.addEventListener("toast", (event) => toast(event.detail.text ?? event.detail.value, event.detail));

document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));

async function open(id) {
  const element = document.getElementById(id);
  if (!element || element.open) return;
  document.querySelectorAll("[popover]:popover-open:not(.toasts)").forEach((one) => one.hidePopover());
  if (id === "palette") (await import("./palette.js")).fill(element, { open, chooseTheme });
  element.showModal();
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not allow to copy.", { tone: "failed" });
  }
}

function chooseTheme(theme) {
  const root = document.documentElement;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  // The server reads the cookie and writes the attribute, so that no page ever flashes.
  document.cookie = `theme=${theme}; path=/; max-age=${theme ? 31536000 : 0}; samesite=lax`;
  document.querySelectorAll("[data-theme-choice]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  });
}

// The token that every request which changes something carries.
const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

function detailOf(xhr) {
  try {
    return JSON.parse(xhr.responseText).detail;
  } catch {
    return `The server answered ${xhr.status}.`;
  }
}

async function enhance(root) {
  const trees = [...root.querySelectorAll("[data-json]:not([data-ready])")];
  if (root.matches?.("[data-json]:not([data-ready])")) trees.push(root);
  if (trees.length) (await import("./json_tree.js")).grow(trees, copy);
}

startKeys(open);
showToasts();
keepTimes();
enhance(document.documentElement);
