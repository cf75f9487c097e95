// Workflows: search while typing, and a file that is dropped anywhere is imported.
const PAUSE_MS = 200;
let waiting = 0;

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[role=search]");
  if (!form || !document.getElementById("workflow-list")) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const text = event.target.value.trim();
    const url = form.action + (text ? `?q=${encodeURIComponent(text)}` : "");
    history.replaceState(null, "", url);
    htmx.ajax("GET", url, { target: "#workflow-list", swap: "innerHTML" });
  }, PAUSE_MS);
});

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") && document.querySelector("[data-import]");

document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});

document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));

document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  const form = document.querySelector("[data-import]");
  form.elements.file.files = event.dataTransfer.files;
  const dialog = form.closest("dialog");
  if (!dialog.open) dialog.showModal();
  form.requestSubmit();
});
