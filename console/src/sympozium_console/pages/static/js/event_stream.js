// Reads server-sent events by fetch, which unlike EventSource tells a refusal from a lost connection, and waits as long as it is asked to.

/**
 * @typedef {object} StreamEvent
 * @property {string} type
 * @property {any} data
 * @property {string} id Place in the stream after this event; empty: it has none.
 */

/**
 * @typedef {"live" | "lost" | "signed-out" | "refused"} StreamState After the last two the stream is over.
 */

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** Longer than a server is silent, which sends a comment every 15 s. */
const SILENCE_MS = 45_000;
const LINE = /\r\n|\n|\r(?!$)/;

/** A stream that connects again after the last event that had a place, until it is closed. */
export class EventStream {
  /**
   * @param {string} address
   * @param {(event: StreamEvent) => void} onEvent
   * @param {(state: StreamState) => void} onState
   * @param {string} [place] Place to begin after.
   */
  constructor(address, onEvent, onState, place = "") {
    this.address = address;
    this.onEvent = onEvent;
    this.onState = onState;
    this.place = place;
    /** @type {AbortController | null} */
    this.running = null;
  }

  /** Connect, unless the stream is connected. */
  open() {
    if (this.running) return;
    this.running = new AbortController();
    void this.run(this.running.signal);
  }

  /** End the connection. The stream can be opened again, and continues. */
  close() {
    this.running?.abort();
    this.running = null;
  }

  /** @param {AbortSignal} signal */
  async run(signal) {
    for (let failures = 0; !signal.aborted; failures += 1) {
      const wait = await this.connect(signal, () => (failures = 0));
      if (signal.aborted || wait === null) return;
      this.onState("lost");
      const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
      await pause(Math.max(wait, backOff) * (0.5 + Math.random()), signal);
    }
  }

  /**
   * Read one connection to its end.
   *
   * @param {AbortSignal} signal
   * @param {() => void} onLive
   * @returns {Promise<number | null>} Milliseconds that the server asks to wait; null: the stream is over.
   */
  async connect(signal, onLive) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream", "HX-Request-Type": "partial" };
    if (this.place) headers["Last-Event-ID"] = this.place;
    const silence = new AbortController();
    const parser = new Parser();
    try {
      const response = await fetch(this.address, { headers, signal: AbortSignal.any([signal, silence.signal]), cache: "no-store" });
      if (!response.ok || !response.body) return this.refused(response);
      onLive();
      this.onState("live");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const timer = setTimeout(() => silence.abort(), SILENCE_MS);
        const { done, value } = await reader.read().finally(() => clearTimeout(timer));
        if (done) break;
        for (const event of parser.take(value)) {
          if (signal.aborted) return null;
          this.place = event.id || this.place;
          this.onEvent(event);
        }
      }
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
    return parser.retry;
  }

  /**
   * @param {Response} response
   * @returns {number | null}
   */
  refused(response) {
    if (response.status >= 500 || response.status === 429) return Number(response.headers.get("Retry-After") ?? 0) * 1000;
    this.onState(response.status === 401 ? "signed-out" : "refused");
    this.running = null;
    return null;
  }
}

/** Makes events of the text of a stream. */
export class Parser {
  constructor() {
    this.rest = "";
    /** @type {string[]} */
    this.data = [];
    this.type = "";
    this.id = "";
    /** Milliseconds to wait before the next connection. */
    this.retry = 0;
  }

  /**
   * @param {string} text
   * @returns {Generator<StreamEvent>}
   */
  *take(text) {
    const lines = (this.rest + text).split(LINE);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line) this.field(line);
      else if (this.data.length) yield this.event();
      else this.type = this.id = "";
    }
  }

  /** @param {string} line */
  field(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.type = value;
    else if (name === "id") this.id = value;
    else if (name === "retry" && /^\d{1,6}$/.test(value)) this.retry = Number(value);
  }

  /** @returns {StreamEvent} */
  event() {
    const event = { type: this.type || "message", data: JSON.parse(this.data.join("\n")), id: this.id };
    this.data = [];
    this.type = this.id = "";
    return event;
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
