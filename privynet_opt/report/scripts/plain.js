// A page of figures alone: draw them, and again when the theme changes or paper calls.
prefersDark.addEventListener("change", drawAll);
addEventListener("beforeprint", () => { printing = true; drawAll(); });
addEventListener("afterprint", () => { printing = false; drawAll(); });
loadPlotly().then(() => {
  drawAll();
  document.documentElement.classList.add("drawn");
}, () => { document.documentElement.classList.remove("scripted"); });
