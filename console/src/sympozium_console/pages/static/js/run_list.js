// Keys of a list, and the number of its selected rows: j k move, Enter opens, o shows beside the list, x selects, [ ] turn pages.

const ROW = "table[data-keys] tbody tr";

/** @returns {HTMLTableRowElement[]} */
function rows() {
  return [...document.querySelectorAll(ROW)].filter((row) => row instanceof HTMLTableRowElement);
}

/** @returns {HTMLTableRowElement | undefined} The row that has the focus. */
function current() {
  const row = document.activeElement?.closest(ROW);
  return row instanceof HTMLTableRowElement ? row : undefined;
}

/** @param {number} step */
function move(step) {
  const all = rows();
  const row = current();
  const next = row ? all[all.indexOf(row) + step] : all[step > 0 ? 0 : all.length - 1];
  const link = next?.querySelector("th a");
  if (link instanceof HTMLElement) link.focus();
}

/** @param {Element | null | undefined} element */
function click(element) {
  if (element instanceof HTMLElement) element.click();
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => click(current()?.querySelector("[data-peek]") ?? rows()[0]?.querySelector("[data-peek]")),
  x: () => click(current()?.querySelector("input[name=run]")),
  Escape: () => click(document.querySelector("[data-peek-close]")),
  "]": () => click(document.querySelector(".pager [rel=next]")),
  "[": () => history.back(),
};

/** @param {KeyboardEvent} event */
function isTyping(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof HTMLElement)) return true;
  const isBox = target instanceof HTMLInputElement && target.type === "checkbox";
  return !isBox && target.matches("input, textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (localStorage.getItem("keys") === "off" || isTyping(event) || !document.querySelector(ROW)) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

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
