// Short messages at the edge, announced to screen readers; they stay while the pointer or the focus is on them.
const STAYS_MS = 6000;

/** Show a message. `undo` is an address to POST to, or a function; `tone` is that of a status. */
export function toast(text, { undo, tone = "accent" } = {}) {
  const list = document.getElementById("toasts");
  const item = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  item.classList.add(`tone-${tone}`);
  item.querySelector("p").textContent = text;
  item.querySelector("[data-dismiss]").addEventListener("click", () => dismiss(item));
  if (undo) offerUndo(item, undo);
  if (!list.matches(":popover-open")) list.showPopover(); // above dialogs too
  list.append(item);
  leaveLater(item);
  return item;
}

/** Show what the server said with the page (Django's messages). */
export function showToasts() {
  for (const message of document.querySelectorAll("[data-toast]")) {
    toast(message.textContent, { tone: message.dataset.toast === "error" ? "failed" : "accent" });
    message.remove();
  }
}

function offerUndo(item, undo) {
  const button = item.querySelector("[data-undo]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    dismiss(item);
    if (typeof undo === "function") return undo();
    await htmx.ajax("POST", undo, { source: document.body, swap: "none" });
    location.reload();
  });
}

function leaveLater(item) {
  let left = setTimeout(() => dismiss(item), STAYS_MS);
  const stay = () => clearTimeout(left);
  const go = () => (left = setTimeout(() => dismiss(item), STAYS_MS));
  item.addEventListener("pointerenter", stay);
  item.addEventListener("focusin", stay);
  item.addEventListener("pointerleave", go);
  item.addEventListener("focusout", go);
}

function dismiss(item) {
  const list = item.parentElement;
  item.remove();
  if (list && !list.children.length) list.hidePopover();
}
