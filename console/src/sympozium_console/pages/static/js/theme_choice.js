// The choice of a theme, which this browser keeps.

/** @param {string} theme */
function apply(theme) {
  if (theme) {
    localStorage.setItem("theme", theme);
    document.documentElement.dataset.theme = theme;
  } else {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  }
}

for (const input of document.querySelectorAll("[data-theme-choice] input")) {
  if (!(input instanceof HTMLInputElement)) continue;
  input.checked = input.value === (localStorage.getItem("theme") ?? "");
  input.addEventListener("change", () => apply(input.value));
}
