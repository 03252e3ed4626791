// Follows the log of a run's agent while the page is seen: <pre data-log="ADDRESS">. Its end says so.

const MOST_CHARACTERS = 1_000_000;
const AGAIN_MS = 3000;
/** Pixels from the end within which the log stays at its end. */
const NEAR = 40;

class LogFollower {
  /** @param {HTMLElement} pre */
  constructor(pre) {
    this.pre = pre;
    this.state = document.querySelector("[data-log-state]");
    /** @type {AbortController | null} */
    this.running = null;
    document.addEventListener("visibilitychange", () => this.run());
    this.run();
  }

  run() {
    if (document.hidden) {
      this.running?.abort();
      this.running = null;
    } else if (!this.running) {
      this.running = new AbortController();
      void this.follow(this.running.signal);
    }
  }

  /** @param {AbortSignal} signal */
  async follow(signal) {
    while (!signal.aborted && !(await this.read(signal))) {
      this.say("Not live: tries again");
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * (0.5 + Math.random())));
    }
  }

  /**
   * Show the log from its last lines on.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>} True: there is nothing more to come.
   */
  async read(signal) {
    try {
      const response = await fetch(this.pre.dataset.log ?? "", { signal, cache: "no-store" });
      if (!response.ok || !response.body) return this.refused(response);
      this.say("Live");
      let isFirst = true;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.add(value, isFirst);
        isFirst = false;
      }
      this.say("The log has ended");
      return true;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
      return signal.aborted;
    }
  }

  /** @param {Response} response */
  refused(response) {
    if (response.status >= 500 || response.status === 429) return false;
    this.say(response.status === 410 ? "The log has ended" : "Not live");
    return true;
  }

  /**
   * @param {string} text
   * @param {boolean} isFirst
   */
  add(text, isFirst) {
    const { pre } = this;
    const isAtEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR;
    if (isFirst) pre.textContent = text;
    else pre.append(text);
    if ((pre.textContent ?? "").length > MOST_CHARACTERS) pre.textContent = (pre.textContent ?? "").slice(-MOST_CHARACTERS / 2);
    if (isAtEnd) pre.scrollTop = pre.scrollHeight;
  }

  /** @param {string} text */
  say(text) {
    if (this.state && this.state.textContent !== text) this.state.textContent = text;
  }
}

const log = document.querySelector("[data-log]");
if (log instanceof HTMLElement) new LogFollower(log);
