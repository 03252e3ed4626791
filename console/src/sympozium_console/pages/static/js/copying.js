// Buttons with data-copy put its text into the clipboard, and say so in a word.

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (!(button instanceof HTMLElement)) return;
  const label = button.getAttribute("aria-label") ?? "";
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
    button.setAttribute("aria-label", "Copied");
  } catch {
    button.setAttribute("aria-label", "Not copied: select the text instead");
  }
  setTimeout(() => button.setAttribute("aria-label", label), 2000);
});
