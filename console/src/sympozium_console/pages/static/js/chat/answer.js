// One answer that grows: complete blocks as the console has rendered them, and the open end as plain text.
import { elements } from "../trusted_html.js";

/** Milliseconds of a frame that changes may take, so that keys and scrolling stay quick whatever comes. */
const BUDGET_MS = 8;
/** Characters after which plain text continues in another element, so that no change lays out a long text again. */
const CHUNK = 2000;

/** The parts of a turn's answer, and the changes that wait for a frame. */
export class Answer {
  /** @param {HTMLElement} turn */
  constructor(turn) {
    this.turn = turn;
    this.blocks = part(turn, "blocks");
    this.open = part(turn, "open");
    /** @type {(() => void)[]} */
    this.changes = [];
    this.frame = 0;
    /** @type {() => void} */
    this.afterFrame = () => {};
  }

  /**
   * Make a change in the next frame that has time for it.
   *
   * @param {() => void} change
   */
  change(change) {
    this.changes.push(change);
    this.frame ||= requestAnimationFrame(() => this.apply());
  }

  apply() {
    const end = performance.now() + BUDGET_MS;
    this.frame = 0;
    for (let next = this.changes.shift(); next; next = this.changes.shift()) {
      next();
      if (performance.now() > end && this.changes.length) {
        this.frame = requestAnimationFrame(() => this.apply());
        break;
      }
    }
    this.afterFrame();
  }

  /** Forget the open end, which comes again after a lost stream. */
  rewind() {
    this.change(() => this.open.replaceChildren());
  }

  /** @param {string} text */
  addText(text) {
    this.change(() => append(this.open, text));
  }

  /**
   * @param {string} html
   * @param {string} open
   */
  addBlocks(html, open) {
    this.change(() => {
      this.blocks.append(elements(html));
      this.open.replaceChildren();
      append(this.open, open);
    });
  }

  /** @param {string} html */
  replace(html) {
    this.change(() => this.blocks.replaceChildren(elements(html)));
  }

  /**
   * Add to a part that is plain text.
   *
   * @param {"reasoning" | "refusal"} name
   * @param {string} text
   */
  addTo(name, text) {
    this.change(() => {
      const element = part(this.turn, name);
      element.closest("[hidden]")?.removeAttribute("hidden");
      append(element, text);
    });
  }

  /** @returns {string} The text, also of what is out of sight and not laid out. */
  get text() {
    return [...this.blocks.children, this.open].map((block) => block.textContent).join("\n").trim();
  }
}

/**
 * Return the element of a turn that has this part.
 *
 * @param {HTMLElement} turn
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(turn, name) {
  const found = turn.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof HTMLElement)) throw new Error(`a turn has no part ${name}`);
  return found;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function append(element, text) {
  for (let rest = text; rest; ) {
    let chunk = element.lastElementChild;
    const line = (chunk?.textContent?.length ?? 0) >= CHUNK ? rest.indexOf("\n") + 1 : 0;
    const piece = line ? rest.slice(0, line) : rest.slice(0, CHUNK);
    if (!chunk) chunk = element.appendChild(document.createElement("div"));
    if (chunk.lastChild instanceof Text) chunk.lastChild.appendData(piece);
    else chunk.append(piece);
    rest = rest.slice(piece.length);
    if (line && rest) element.append(document.createElement("div"));
  }
}
