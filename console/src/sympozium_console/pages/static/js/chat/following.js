// Follows the run of one turn: its waits, its answer as it comes, and its end. A hidden page holds no stream, and continues when it is seen.
import { EventStream } from "../event_stream.js";
import { elements } from "../trusted_html.js";
import { Answer, part } from "./answer.js";

/** @typedef {import("../event_stream.js").StreamEvent} StreamEvent */
/** @typedef {import("../event_stream.js").StreamState} StreamState */

const LOST = "The connection to the console is lost. The agent goes on; this page tries again.";
const SIGNED_OUT = "Your session is over. Sign in again, and this page continues; the agent goes on.";
const REFUSED = "This run cannot be followed any more: it is gone, or you may not see it.";

/** One turn whose run has not ended. */
export class FollowedTurn {
  /**
   * @param {HTMLElement} turn
   * @param {{ onChange: () => void, onEnd: (turn: HTMLElement, text: string) => void }} page
   */
  constructor(turn, page) {
    this.turn = turn;
    this.page = page;
    this.answer = new Answer(turn);
    this.answer.afterFrame = page.onChange;
    this.stream = new EventStream(turn.dataset.events ?? "", (event) => this.take(event), (state) => this.show(state), "0");
    this.onVisibility = () => (document.hidden ? this.stream.close() : this.stream.open());
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onVisibility();
  }

  /** @param {StreamState} state */
  show(state) {
    if (state === "live") this.answer.rewind();
    this.note({ live: "", lost: LOST, "signed-out": SIGNED_OUT, refused: REFUSED }[state]);
    if (state === "refused") this.stop();
  }

  /** @param {string} text */
  note(text) {
    const note = part(this.turn, "note");
    note.hidden = !text;
    note.textContent = text;
  }

  /** @param {StreamEvent} event */
  take({ type, data }) {
    switch (type) {
      case "waiting":
        return this.wait(data.stage, data.text);
      case "text":
        this.wait("", "");
        return this.answer.addText(data.text);
      case "block":
        return this.answer.addBlocks(data.html, data.open);
      case "reasoning":
      case "refusal":
        return this.answer.addTo(type, data.text);
      case "tool":
        return this.wait("tool", data.state === "started" ? `The agent uses ${data.function} …` : "The model answers …");
      case "note":
        return this.note(data.text);
      case "end":
        return this.end(data.phase, data.foot, data.answer);
      case "deleted":
        this.note("The run was deleted.");
        return this.end("Deleted", "", null);
    }
  }

  /**
   * @param {string} stage
   * @param {string} text
   */
  wait(stage, text) {
    const waiting = part(this.turn, "waiting");
    if (waiting.dataset.stage === stage && waiting.textContent === text) return;
    waiting.dataset.stage = stage;
    waiting.textContent = text;
    waiting.hidden = !text;
    this.page.onChange();
  }

  /**
   * @param {string} phase
   * @param {string} foot
   * @param {string | null} answer
   */
  end(phase, foot, answer) {
    this.stop();
    if (answer !== null) this.answer.replace(answer);
    this.answer.change(() => {
      this.wait("", "");
      this.turn.dataset.phase = phase;
      part(this.turn, "answer").removeAttribute("aria-busy");
      part(this.turn, "foot").replaceChildren(elements(foot));
      this.page.onEnd(this.turn, phase === "Succeeded" ? this.answer.text : part(this.turn, "foot").innerText);
    });
  }

  stop() {
    this.stream.close();
    document.removeEventListener("visibilitychange", this.onVisibility);
    delete this.turn.dataset.events;
  }
}
