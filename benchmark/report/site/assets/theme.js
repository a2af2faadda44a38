// Light or dark: the system's wish, unless the button was used. Runs before the page is drawn, so nothing flashes.
"use strict";
const theme = {
  stored: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
  system: () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  now: () => document.documentElement.dataset.theme,
  set(name) {
    document.documentElement.dataset.theme = name;
    document.documentElement.classList.toggle("dark", name === "dark"); // DataTables' own switch
    const button = document.getElementById("theme");
    if (button) button.textContent = name === "dark" ? "Light theme" : "Dark theme";
    dispatchEvent(new Event("theme"));
  },
};
theme.set(theme.stored() ?? theme.system());
addEventListener("DOMContentLoaded", () => {
  theme.set(theme.now());
  document.getElementById("theme").addEventListener("click", () => {
    theme.set(theme.now() === "dark" ? "light" : "dark");
    try { localStorage.setItem("theme", theme.now()); } catch { /* a browser that keeps nothing: the choice lasts a page */ }
  });
});
