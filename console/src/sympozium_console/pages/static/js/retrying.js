// A page that could not be shown for now tries again by itself, more slowly each time, while it is looked at.

const page = document.querySelector("[data-retry]");
const LONGEST_MS = 60000;
const KEY = "retries";

if (page instanceof HTMLElement) {
  const tries = Number(sessionStorage.getItem(KEY) ?? "0");
  const pause = Math.min(LONGEST_MS, Number(page.dataset.retry) * 1000 * 2 ** tries) * (0.75 + Math.random() / 2);
  setTimeout(() => {
    sessionStorage.setItem(KEY, String(Math.min(tries + 1, 6)));
    if (document.hidden) document.addEventListener("visibilitychange", () => location.reload(), { once: true });
    else location.reload();
  }, pause);
} else {
  sessionStorage.removeItem(KEY);
}
