// A and R on a question open the dialog that asks once more; a form that is not filled in says so instead.
import { isTyping } from "./keys.js";

const DIALOGS = { a: "confirm-approve", r: "confirm-reject" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  const dialog = document.getElementById(DIALOGS[event.key.toLowerCase()]);
  const form = document.querySelector("[data-decisions]");
  if (!dialog || !form || document.querySelector("dialog:modal")) return;
  event.preventDefault();
  if (event.key.toLowerCase() === "r" || form.reportValidity()) dialog.showModal();
});

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
