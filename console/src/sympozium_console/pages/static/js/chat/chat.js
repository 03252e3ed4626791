// The chat page: sends questions, follows their answers, stops them. Without it the form makes a run as well, and a reload shows its answer.
import { elements } from "../trusted_html.js";
import { FollowedTurn } from "./following.js";

/** Pixels from the end from which on a button leads there. */
const AWAY = 160;
/** Characters of an answer that are read out. */
const ANNOUNCED = 10_000;

class Chat {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.turns = one(root, "[data-turns]", HTMLElement);
    this.form = one(root, "form[data-ask]", HTMLFormElement);
    this.question = one(this.form, "textarea", HTMLTextAreaElement);
    this.send = one(this.form, "[data-send]", HTMLButtonElement);
    this.stop = one(this.form, "[data-stop]", HTMLButtonElement);
    this.fault = one(root, "[data-fault]", HTMLElement);
    this.announcer = one(root, "[data-announcer]", HTMLElement);
    this.newest = one(root, "[data-newest]", HTMLButtonElement);
    this.follows = true;
    this.place = scrollY;
    this.isSending = false;
    this.isStopping = false;
    this.form.addEventListener("submit", (event) => (event.preventDefault(), void this.ask()));
    this.question.addEventListener("keydown", (event) => this.key(event));
    this.question.addEventListener("input", () => this.fit());
    this.stop.addEventListener("click", () => void this.cancel());
    this.newest.addEventListener("click", () => ((this.follows = true), this.changed()));
    addEventListener("popstate", () => location.reload());
    addEventListener("scroll", () => this.scrolled(), { passive: true });
    for (const turn of this.turns.querySelectorAll("[data-events]")) if (turn instanceof HTMLElement) this.follow(turn);
    if (!location.hash && this.turns.childElementCount) scrollTo({ top: document.documentElement.scrollHeight });
    this.fit();
    this.buttons();
  }

  /** @param {HTMLElement} turn */
  follow(turn) {
    new FollowedTurn(turn, { onChange: () => this.changed(), onEnd: (turn, text) => this.ended(turn, text) });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.open && this.question.value.trim()) this.form.requestSubmit();
  }

  /** The turn that has not ended, if there is one. */
  get open() {
    const turn = this.turns.querySelector("[data-events]");
    return turn instanceof HTMLElement ? turn : null;
  }

  async ask() {
    if (this.isSending || this.open || !this.question.value.trim()) return;
    this.isSending = true;
    this.buttons();
    this.tell("");
    try {
      const response = await fetch(this.form.action, {
        method: "POST",
        body: new URLSearchParams(/** @type {any} */ (new FormData(this.form))),
        headers: { Accept: "text/html", "HX-Request-Type": "partial" },
      });
      await this.answered(response);
    } catch {
      this.tell("The console cannot be reached. Your question is still here: send it again, and it is asked once.");
    }
    this.isSending = false;
    this.buttons();
  }

  /** @param {Response} response */
  async answered(response) {
    const html = elements(await response.text());
    if (!response.ok) {
      if (response.status === 401) this.tell("Your session is over. Sign in again in another tab, then send again.");
      else this.fault.replaceChildren(html);
      return;
    }
    const turn = html.querySelector("[data-turn]");
    if (!(turn instanceof HTMLElement)) return location.reload();
    document.querySelector("[data-start]")?.remove();
    this.turns.append(turn);
    this.question.value = "";
    this.fit();
    for (const field of this.form.querySelectorAll("[data-first-only]")) field.remove();
    one(this.form, "[name=attempt]", HTMLInputElement).value = crypto.randomUUID();
    const address = turn.dataset.conversation ?? location.pathname;
    if (address !== location.pathname) history.pushState(null, "", address);
    this.follows = true;
    this.follow(turn);
    this.changed();
  }

  async cancel() {
    const turn = this.open;
    if (!turn) return;
    if (this.isStopping) return;
    this.isStopping = true;
    const response = await fetch(turn.dataset.cancel ?? "", { method: "POST", headers: { "HX-Request-Type": "partial" } }).catch(() => null);
    if (!response?.ok && response?.status !== 409) this.tell("The run could not be stopped. Try again.");
    this.isStopping = false;
  }

  /**
   * @param {HTMLElement} turn
   * @param {string} text
   */
  ended(turn, text) {
    this.announcer.textContent = text.length > ANNOUNCED ? `${text.slice(0, ANNOUNCED)} … The answer goes on.` : text;
    this.buttons();
    this.changed();
    turn.dispatchEvent(new CustomEvent("sympozium:answered", { bubbles: true }));
  }

  /** @param {string} text */
  tell(text) {
    this.fault.replaceChildren(...(text ? [Object.assign(document.createElement("p"), { className: "chat-fault", textContent: text })] : []));
  }

  buttons() {
    const open = this.open !== null;
    const focused = document.activeElement;
    this.stop.hidden = !open;
    this.send.hidden = open;
    this.send.disabled = this.isSending;
    if ((focused === this.stop && !open) || (focused === this.send && open)) this.question.focus({ preventScroll: true });
  }

  changed() {
    if (this.follows) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    this.scrolled();
  }

  /** Follow a reader who is at the end, and leave one alone who has gone back, however little. */
  scrolled() {
    const hasGoneBack = scrollY < this.place;
    this.place = scrollY;
    if (isAtEnd(2)) this.follows = true;
    else if (hasGoneBack) this.follows = false;
    this.newest.hidden = this.follows || isAtEnd(AWAY);
  }

  /** Make the field as high as its text, as far as its style allows. */
  fit() {
    this.question.rows = Math.min(10, Math.max(2, this.question.value.split("\n").length));
  }
}

/** @param {number} pixels */
function isAtEnd(pixels) {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - pixels;
}

/**
 * @template {Element} T
 * @param {Element} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
function one(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the chat has no ${selector}`);
  return found;
}

const root = document.querySelector("[data-chat]");
if (root instanceof HTMLElement) new Chat(root);
