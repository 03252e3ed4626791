// Keys of all pages. Off by a switch of the account's menu, and never while somebody types (WCAG 2.1.4).
// A page offers a key by data-key="KEY" on a link or button, or by the addresses data-edit and data-yaml; keys of lists are in list_keys.js.

const SEQUENCE_MS = 1500;
const STORED = "keys";

/** @type {Record<string, () => void>} */
const actions = {};
/** Time until which the next key is the second one of a sequence. */
let second = 0;

/**
 * Add keys: what each does, by its name in KeyboardEvent.key. A key that is added later comes first, if its action does not return false.
 *
 * @param {Record<string, () => boolean | void>} added
 */
export function bind(added) {
  for (const [key, act] of Object.entries(added)) {
    const before = actions[key];
    actions[key] = () => {
      if (act() === false) before?.();
    };
  }
}

/** @param {Element | null | undefined} element */
export function click(element) {
  if (!(element instanceof HTMLElement) || (element instanceof HTMLButtonElement && element.disabled)) return false;
  element.click();
  return true;
}

/** @param {string | undefined} address */
export function go(address) {
  if (!address) return false;
  location.assign(address);
  return true;
}

/** @param {string} id */
export function open(id) {
  const dialog = document.getElementById(id);
  if (!(dialog instanceof HTMLDialogElement)) return false;
  if (!dialog.open) dialog.showModal();
  return true;
}

/** @param {KeyboardEvent} event */
function isTyping(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof HTMLElement)) return true;
  if (target.closest("dialog")) return true;
  const isBox = target instanceof HTMLInputElement && target.type === "checkbox";
  return !isBox && target.matches("input, textarea, select, [contenteditable]");
}

function isOn() {
  return localStorage.getItem(STORED) !== "off";
}

/** @param {string} name */
function pageAddress(name) {
  const holder = document.querySelector(`.page-head[data-${name}]`);
  return holder instanceof HTMLElement ? holder.dataset[name] : undefined;
}

/** @param {string} key */
const offered = (key) => click(document.querySelector(`[data-key="${key}"]`));

bind({
  "?": () => void open("keys"),
  "/": () => {
    const field = document.querySelector("[data-filter], .filters input");
    if (field instanceof HTMLInputElement) field.select(), field.focus();
  },
  c: () => offered("c"),
  e: () => go(pageAddress("edit")),
  y: () => go(pageAddress("yaml")),
  ".": () => void document.dispatchEvent(new Event("sympozium:pause")),
  g: () => void (second = performance.now() + SEQUENCE_MS),
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    if (isOn() && open("palette")) event.preventDefault();
    return;
  }
  if (!isOn() || isTyping(event)) return;
  const isSecond = performance.now() < second;
  second = 0;
  const item = isSecond ? document.querySelector(`[data-go="${CSS.escape(event.key)}"]`) : null;
  const act = item ? () => void click(item) : actions[event.key];
  if (!act) return;
  if (event.key !== "Escape") event.preventDefault();
  act();
});

const choice = document.querySelector("[data-keys-on]");
if (choice instanceof HTMLInputElement) {
  choice.checked = isOn();
  choice.addEventListener("change", () => {
    if (choice.checked) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, "off");
  });
}
document.querySelector("[data-keys-help]")?.addEventListener("click", () => {
  document.getElementById("account")?.hidePopover();
  open("keys");
});

// A link to a question of a page, as the key c of a list follows it, opens that question.
const asked = /^#do-\w+$/.test(location.hash) ? document.querySelector(`${location.hash}[popover]`) : null;
const asks = asked && document.querySelector(`[popovertarget="${asked.id}"]`);
if (asked instanceof HTMLElement && asks instanceof HTMLButtonElement && !asks.disabled) asked.showPopover();
