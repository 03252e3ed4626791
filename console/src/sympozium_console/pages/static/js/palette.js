// Ctrl+K: a dialog that goes to pages, tabs, instances and runs, and does what the page offers.

import { click } from "./keys.js";

/**
 * @typedef {object} Place
 * @property {string} title
 * @property {string} kind
 * @property {() => void} go
 */

const dialog = document.querySelector("#palette");
const field = document.querySelector("#palette-query");
const list = document.querySelector("#palette-list");
const SHOWN = 12;
const WAIT_MS = 150;

/** @type {Place[]} */
let places = [];
/** @type {Place[]} */
let found = [];
let chosen = 0;
/** @type {number | undefined} */
let timer;

/** @returns {Place[]} What the page itself has. */
function ownPlaces() {
  const of = (/** @type {string} */ selector, /** @type {string} */ kind) =>
    [...document.querySelectorAll(selector)].map((element) => ({ title: element.textContent.trim().replace(/\s+/g, " "), kind, go: () => void click(element) }));
  return [
    ...of(".page-head .actions :is(a.button, button.button:not(:disabled, .ask *))", "Action"),
    ...of("nav.tabs a", "Tab"),
    ...of("#navigation a", "Page"),
  ];
}

/**
 * @param {string} path
 * @returns {Promise<any[]>}
 */
async function items(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store" });
  return response.ok ? (await response.json()).items : [];
}

/**
 * @param {string} text
 * @returns {Promise<Place[]>} Instances and the newest runs whose names have the text.
 */
async function foundPlaces(text) {
  const q = encodeURIComponent(text);
  const [instances, runs] = await Promise.all([
    items(`/api/v1/instances?limit=6&q=${q}`),
    items(`/api/v1/runs?order=newest&limit=6&q=${q}`),
  ]);
  const place = (/** @type {string} */ kind, /** @type {string} */ folder, /** @type {{ namespace: string, name: string }} */ { namespace, name }) => ({
    title: `${name} · ${namespace}`,
    kind,
    go: () => location.assign(`/${folder}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`),
  });
  return [
    ...instances.map((each) => place("Instance", "instances", each.metadata)),
    ...runs.map((each) => place("Run", "runs", each)),
  ];
}

function show() {
  const words = query().toLowerCase().split(/\s+/);
  found = places.filter(({ title }) => words.every((word) => title.toLowerCase().includes(word))).slice(0, SHOWN);
  chosen = Math.min(chosen, Math.max(0, found.length - 1));
  list?.replaceChildren(...found.map(option));
  field?.setAttribute("aria-activedescendant", found.length ? `palette-${chosen}` : "");
  list?.children[chosen]?.scrollIntoView({ block: "nearest" });
}

/**
 * @param {Place} place
 * @param {number} index
 */
function option(place, index) {
  const element = document.createElement("li");
  const kind = document.createElement("span");
  kind.className = "muted";
  kind.textContent = place.kind;
  element.append(place.title, " ", kind);
  element.id = `palette-${index}`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", String(index === chosen));
  element.addEventListener("click", () => go(index));
  return element;
}

/** @param {number} index */
function go(index) {
  const place = found[index];
  if (!place || !(dialog instanceof HTMLDialogElement)) return;
  dialog.close();
  place.go();
}

function query() {
  return field instanceof HTMLInputElement ? field.value.trim() : "";
}

async function look() {
  const text = query();
  try {
    const more = await foundPlaces(text);
    if (text !== query()) return;
    places = [...ownPlaces(), ...more];
    show();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the console does not answer: the page's own places stay
  }
}

function renew() {
  chosen = 0;
  places = ownPlaces();
  show();
  clearTimeout(timer);
  timer = setTimeout(() => void look(), WAIT_MS);
}

field?.addEventListener("input", renew);
field?.addEventListener("keydown", (event) => {
  if (!(event instanceof KeyboardEvent)) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && found.length) chosen = (chosen + step + found.length) % found.length;
  else if (event.key === "Enter") go(chosen);
  else return;
  event.preventDefault();
  if (step) show();
});
dialog?.addEventListener("toggle", () => {
  if (!(dialog instanceof HTMLDialogElement) || !dialog.open || !(field instanceof HTMLInputElement)) return;
  field.value = "";
  field.focus();
  renew();
});
