// Writing an agent: an estimate of its tokens, lists that are searched, JSON that is checked, and a word before it is lost.
const CHARACTERS_OF_A_TOKEN = 4;
let isChanged = false;

const editor = (element) => element.closest?.("[data-editor]");

document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.dataset.filters) return filter(field);
  if (!editor(field)) return;
  isChanged = true;
  if (field.dataset.tokens) estimate(field);
  if (field.dataset.jsonCheck) check(field, false);
});

document.addEventListener("change", (event) => {
  if (event.target.dataset.jsonCheck) check(event.target, true);
});

// The search of a list is no field of the form.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset?.filters) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  if (editor(event.target)) isChanged = false;
});

// What came back was not saved: it was turned into the other way of writing, or refused.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.elt.matches?.("[data-editor]")) isChanged = true;
});

document.addEventListener("htmx:sendError", (event) => {
  if (editor(event.detail.elt)) isChanged = true;
});

addEventListener("beforeunload", (event) => isChanged && event.preventDefault());

function filter(field) {
  const words = field.value.trim().toLowerCase().split(/\s+/);
  for (const item of document.getElementById(field.dataset.filters).children) {
    item.hidden = !words.every((word) => item.dataset.words.includes(word));
  }
}

function estimate(field) {
  const tokens = Math.floor(field.value.length / CHARACTERS_OF_A_TOKEN);
  document.getElementById(field.dataset.tokens).textContent = `About ${tokens.toLocaleString("en")} tokens`;
}

/** Say where JSON breaks off, once the field is left; while somebody types only that it is whole again. */
function check(field, isLeft) {
  const place = document.getElementById(field.dataset.jsonCheck);
  try {
    if (field.value.trim()) JSON.parse(field.value);
    place.textContent = "";
    field.removeAttribute("aria-invalid");
  } catch (error) {
    if (!isLeft) return;
    place.textContent = `This is not JSON yet: ${error.message}`;
    field.setAttribute("aria-invalid", "true");
  }
}
