// The number of the selected runs of a list, which stay selected when their rows are renewed.

/** Names of the selected runs, which stay selected when their rows are renewed. */
const selected = new Set();

/** @returns {HTMLInputElement[]} */
function boxes() {
  return [...document.querySelectorAll("[data-selection] input[name=run]")].filter((box) => box instanceof HTMLInputElement);
}

function count() {
  const text = document.querySelector("[data-selected]");
  const number = boxes().filter((box) => box.checked).length;
  if (text) text.textContent = number ? `${number} selected:` : "Selected runs:";
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.name !== "run") return;
  if (box.checked) selected.add(box.value);
  else selected.delete(box.value);
  count();
});

document.addEventListener("htmx:after:swap", () => {
  for (const box of boxes()) box.checked = selected.has(box.value);
  count();
});
