// Kept filters: one figure per cut, the band of one strategy.
for (const [id, figures] of Object.entries(data.cut_figures)) {
  makers.set(id, () => {
    const figure = figures[byId("filters-cut").value];
    const strategy = byId("filters-strategy").value;
    const visible = (trace) => trace.meta.part !== "band" || trace.meta.strategy === strategy;
    return { layout: figure.layout, data: figure.data.map((trace) => ({ ...trace, visible: visible(trace) })) };
  });
}
const drawFilters = () => Object.keys(data.cut_figures).forEach(draw);
byId("filters-cut").addEventListener("change", drawFilters);
byId("filters-strategy").addEventListener("change", drawFilters);

sayLimits();
sayBeyond();
if (state.shown !== null) showDetails(state.shown);
refreshRows();
prefersDark.addEventListener("change", drawAll);
addEventListener("beforeprint", () => { printing = true; look("pareto"); drawAll(); });
addEventListener("afterprint", () => { printing = false; drawAll(); });
// A figure is drawn when the reader comes near it: a page of many opens as fast as one of few.
const near = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
  near.unobserve(target);
  draw(target.id);
}), { rootMargin: "800px" });
loadPlotly().then(() => {
  draw("pareto-figure");
  listen("pareto-figure");
  [...makers.keys()].filter((id) => id !== "pareto-figure").forEach((id) => near.observe(byId(id)));
  performance.mark("drawn");
  document.documentElement.classList.add("drawn");
}, () => { document.documentElement.classList.remove("scripted"); });
