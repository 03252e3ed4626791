// What all requests of a page for its own parts have in common: a page says that it waits, and that the console is another version now.

const WAITING_MS = 300;
const VERSION = "X-Sympozium-Pages";

const main = document.querySelector("#main");
/** @type {number | undefined} */
let timer;

document.addEventListener("htmx:before:request", () => {
  timer ??= setTimeout(() => main?.setAttribute("aria-busy", "true"), WAITING_MS);
});
document.addEventListener("htmx:finally:request", () => {
  clearTimeout(timer);
  timer = undefined;
  main?.removeAttribute("aria-busy");
});
document.addEventListener("htmx:before:response", (event) => {
  checkVersion(/** @type {CustomEvent} */ (event).detail.ctx.response.headers);
});

/**
 * Say that the page is older than the console, if an answer shows it: after an upgrade its scripts may not fit.
 *
 * @param {Headers} headers
 */
export function checkVersion(headers) {
  const version = headers.get(VERSION);
  const own = document.documentElement.dataset.pages;
  if (!version || version === own || document.querySelector("[data-older]")) return;
  const notice = document.createElement("p");
  notice.className = "notice notice-info";
  notice.dataset.older = "";
  notice.setAttribute("role", "status");
  const link = document.createElement("a");
  link.setAttribute("href", ""); // the address of the page at the click
  link.textContent = "Reload for the new version";
  notice.append("The console has been upgraded. ", link);
  main?.before(notice);
}
