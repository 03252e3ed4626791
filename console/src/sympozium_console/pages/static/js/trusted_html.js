// The one place at which text becomes elements: HTML that the console has rendered and cleaned.
import htmx from "../vendor/htmx.esm.min.js";

/** @type {{ createPolicy: (name: string, rules: object) => { createHTML: (html: string) => any, createScript: () => never } } | undefined} */
const types = /** @type {any} */ (globalThis).trustedTypes;
const rules = { createHTML: (/** @type {string} */ html) => html, createScript: refused };
const policy = types?.createPolicy("sympozium", rules) ?? rules;

// Parts of pages that htmx fetches go the same way. None has a script, and no attribute of a page is code.
htmx.registerExtension("trusted-html", { init: (/** @type {any} */ api) => api.initSecurity(policy, refused, refused) });

/** @returns {never} */
function refused() {
  throw new TypeError("A part of a page has no script.");
}

/**
 * Return the elements of HTML that came from the console.
 *
 * @param {string} html
 * @returns {DocumentFragment}
 */
export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return template.content;
}
