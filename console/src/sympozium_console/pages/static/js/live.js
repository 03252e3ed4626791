// Keeps lists true: one stream of changes per tab, none while it is hidden. What changed is fetched again as a part of the page, and
// morphed in place, so that focus, selection and scrolling stay where they are.
//
// An element with an id and data-live="KINDS" (separated by blanks) is such a part; data-live-namespace and data-live-instance bound the
// changes that matter to it.
import htmx from "../vendor/htmx.esm.min.js";
import { EventStream } from "./event_stream.js";
import { checkVersion } from "./requests.js";
import { AHEAD_MS, renew } from "./relative_times.js";

/** Least milliseconds from one fetch to the next. */
const GAP_MS = 250;
/** A slow page is fetched more rarely: it is idle for this many times as long as it takes. */
const IDLE = 4;
/** Milliseconds after which the page is fetched once more, because lists may be a moment behind the changes. */
const ONCE_MORE_MS = 700;
/** Milliseconds after which a page that could not be renewed is fetched again. */
const AGAIN_MS = 3000;

class Live {
  /** @param {HTMLElement[]} parts */
  constructor(parts) {
    this.parts = parts.map((part) => part.id);
    this.state = document.querySelector("[data-live-state]");
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {number | undefined} */
    this.onceMore = undefined;
    this.next = 0;
    /** Time at which the page was last what the console had. */
    this.asOf = new Date();
    this.isPaused = false;
    this.stream = new EventStream(address(parts), ({ type }) => this.take(type), (state) => this.show(state));
    document.addEventListener("visibilitychange", () => this.run());
    document.addEventListener("sympozium:pause", () => ((this.isPaused = !this.isPaused), this.run()));
    this.run();
  }

  /** Hold a stream while the page is seen and not paused. What was missed meanwhile comes with the next one. */
  run() {
    if (document.hidden || this.isPaused) {
      this.stream.close();
      if (this.isPaused) this.say("paused", "Paused");
    } else this.stream.open();
  }

  /** @param {string} type */
  take(type) {
    if (type === "changed" || type === "deleted" || type === "reset") this.schedule();
  }

  schedule() {
    clearTimeout(this.onceMore);
    this.onceMore = setTimeout(() => void this.fetch(), ONCE_MORE_MS);
    this.timer ??= setTimeout(() => void this.fetch(), Math.max(0, this.next - performance.now()));
  }

  async fetch() {
    const began = performance.now();
    clearTimeout(this.timer);
    try {
      const shown = location.href;
      const response = await fetch(shown, { headers: { Accept: "text/html", "HX-Request-Type": "partial" }, cache: "no-store" });
      const text = await response.text();
      checkVersion(response.headers);
      if (response.ok && shown === location.href) await this.morph(text);
      this.renewed(response.status < 500);
      if (response.status === 404 || response.status === 410) this.gone();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.renewed(false);
    }
    const now = performance.now();
    this.next = now + Math.max(GAP_MS, IDLE * (now - began));
    this.timer = undefined;
  }

  /**
   * Say as of when the page is while it cannot be renewed, and try again.
   *
   * @param {boolean} isRenewed
   */
  renewed(isRenewed) {
    if (isRenewed) {
      this.asOf = new Date();
      if (this.state?.getAttribute("data-state") === "away") this.say("live", "Live");
      return;
    }
    this.say("away", `As of ${this.asOf.toLocaleTimeString()}: tries again`);
    clearTimeout(this.onceMore);
    this.onceMore = setTimeout(() => void this.fetch(), AGAIN_MS);
  }

  /** Say over the last known state that the page's object is gone. */
  gone() {
    const main = document.querySelector("#main");
    if (!main || main.querySelector("[data-gone]")) return;
    const notice = document.createElement("div");
    notice.className = "notice notice-warning";
    notice.dataset.gone = "";
    notice.setAttribute("role", "status");
    const time = document.createElement("time");
    time.dateTime = new Date(Date.now() + AHEAD_MS).toISOString();
    time.dataset.relative = "";
    const list = document.createElement("a");
    list.href = `/${location.pathname.split("/")[1]}`;
    list.textContent = "To the list";
    const text = document.createElement("p"); // a notice has gaps between its parts
    text.append("Deleted ", time, ". Below is the last known state. ", list);
    notice.append(text);
    main.prepend(notice);
    renew();
    this.stream.close();
    this.say("lost", "Not live: this is gone");
  }

  /** @param {string} text */
  async morph(text) {
    for (const id of this.parts) {
      const part = document.getElementById(id);
      if (part) await /** @type {any} */ (htmx).swap({ text, target: part, sourceElement: part, select: `[id="${id}"]`, swap: "outerMorph" });
    }
  }

  /** @param {import("./event_stream.js").StreamState} state */
  show(state) {
    if (state === "live") return this.say("live", "Live");
    if (this.state?.getAttribute("data-state") === state) return;
    const time = new Date().toLocaleTimeString();
    if (state === "lost") this.say("lost", `Not live since ${time}`);
    else if (state === "signed-out") this.say("signed-out", "Signed out: reload to sign in");
    else this.say("refused", `Not live since ${time}: you may not watch this`);
  }

  /**
   * @param {string} state
   * @param {string} text
   */
  say(state, text) {
    if (!(this.state instanceof HTMLElement)) return;
    this.state.hidden = false;
    this.state.dataset.state = state;
    if (this.state.textContent !== text) this.state.textContent = text;
  }
}

/**
 * @param {HTMLElement[]} parts
 * @returns {string}
 */
function address(parts) {
  const kinds = new Set(parts.flatMap((part) => (part.dataset.live ?? "").split(/\s+/)));
  const query = new URLSearchParams({ kinds: [...kinds].join(",") });
  for (const name of /** @type {const} */ (["namespace", "instance"])) {
    const wanted = new Set(parts.map((part) => part.dataset[name === "namespace" ? "liveNamespace" : "liveInstance"] ?? ""));
    const [only] = wanted;
    if (wanted.size === 1 && only) query.set(name, only);
  }
  return `/api/v1/watch?${query}`;
}

const parts = [...document.querySelectorAll("[data-live]")].filter((part) => part instanceof HTMLElement);
if (parts.length) new Live(/** @type {HTMLElement[]} */ (parts));
