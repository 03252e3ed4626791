// Sets the theme before anything is drawn. A classic script, because modules run after the first paint.
(() => {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
