// Keys of a list, a table with data-keys: j k move, Enter opens, o shows beside the list, x selects, [ ] turn pages.
// Its data-edit, data-yaml and data-cancel are what is added to a row's address for the keys e, y and c.
import { bind, click, go } from "./keys.js";

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

/** @param {string} name */
function follow(name) {
  const table = current()?.closest("table");
  const link = current()?.querySelector("th a");
  const added = table?.dataset[name];
  return added !== undefined && link instanceof HTMLAnchorElement && go(link.pathname + added);
}

bind({
  j: () => move(1),
  k: () => move(-1),
  o: () => click(current()?.querySelector("[data-peek]") ?? rows()[0]?.querySelector("[data-peek]")),
  x: () => click(current()?.querySelector("input[name=run]")),
  c: () => follow("cancel"),
  e: () => follow("edit"),
  y: () => follow("yaml"),
  Escape: () => click(document.querySelector("[data-peek-close]")),
  "]": () => click(document.querySelector(".pager [rel=next]")),
  "[": () => history.back(),
});
