// The one place at which text becomes elements: HTML that the console has rendered and cleaned.

/** @type {{ createPolicy: (name: string, rules: object) => { createHTML: (html: string) => any } } | undefined} */
const types = /** @type {any} */ (globalThis).trustedTypes;
const policy = types?.createPolicy("sympozium", { createHTML: (/** @type {string} */ html) => html });

/**
 * Return the elements of HTML that came from the console.
 *
 * @param {string} html
 * @returns {DocumentFragment}
 */
export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  return template.content;
}
