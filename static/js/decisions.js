// A, R and S on a question open the dialog that asks once more; a form that is not filled in says so instead.
import { isTyping } from "./keys.js";

const DIALOGS = { a: "confirm-approve", r: "confirm-reject", s: "confirm-send-back" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  const id = DIALOGS[event.key.toLowerCase()];
  if (!id || !document.getElementById(id) || document.querySelector("dialog:modal")) return;
  event.preventDefault();
  confirm(id);
});

document.addEventListener("click", (event) => {
  const asker = event.target.closest?.("[data-confirms]");
  if (asker) confirm(asker.dataset.confirms);
  if (event.target.closest?.('[data-opens="confirm-send-back"]')) bringComment();
});

function confirm(id) {
  const form = document.getElementById("decision");
  if (!form || (chosen() && !chosen().some((box) => box.checked))) return;
  if (id === "confirm-approve" && !form.reportValidity()) return;
  if (id === "confirm-send-back") bringComment();
  document.getElementById(id).showModal();
}

// What was typed already is the beginning of what the run goes back with.
function bringComment() {
  const [typed, back] = ["comment", "back"].map((id) => document.getElementById(id));
  if (back && !back.value) back.value = typed?.value ?? "";
}

// ---- several at once -------------------------------------------------------------------------------

function chosen() {
  const boxes = [...document.querySelectorAll('#decision input[name="question"]')];
  return boxes.length ? boxes : null;
}

function count() {
  const boxes = chosen();
  if (!boxes) return;
  const number = boxes.filter((box) => box.checked).length;
  for (const shown of document.querySelectorAll("[data-chosen-count]")) shown.textContent = number;
  for (const asker of document.querySelectorAll("[data-confirms]")) asker.disabled = !number;
  const all = document.querySelector("[data-chooses-all]");
  all.checked = number === boxes.length;
  all.indeterminate = number > 0 && !all.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-chooses-all]")) for (const box of chosen()) box.checked = event.target.checked;
  count();
});
count();

// A second press while the first is on its way would only say "already decided".
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-decisions]")) return;
  if (event.target.dataset.sent) return event.preventDefault();
  event.target.dataset.sent = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});

// Nobody looks: the list is asked for again when somebody does.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});
