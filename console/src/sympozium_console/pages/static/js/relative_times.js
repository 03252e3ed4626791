// Keeps elements <time data-relative> true as time passes, and shows the exact time in the browser's zone as their title.

const UNITS = /** @type {const} */ ([[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]);
const RENEWED_MS = 5000;
/** How far the console's clock is ahead of the browser's. */
export const AHEAD_MS = Number(document.documentElement.dataset.now) * 1000 - Date.now();

/** @param {number} seconds */
function ago(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return seconds < 1 ? "now" : `${Math.floor(seconds / size)} ${unit} ago`;
}

/** Renew all times of the page. */
export function renew() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-relative]")) {
    if (!(element instanceof HTMLTimeElement)) continue;
    const moment = new Date(element.dateTime);
    const text = ago(Math.max(0, (Date.now() + AHEAD_MS - moment.getTime()) / 1000));
    if (element.textContent !== text) element.textContent = text;
    element.title = moment.toLocaleString();
  }
}

setInterval(renew, RENEWED_MS);
