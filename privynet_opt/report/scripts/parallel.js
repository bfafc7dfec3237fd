// Parallel coordinates in SVG: a line per topology, an axis per metric; dragging an axis marks.
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 420, TOP = 44, BOTTOM = 30, SIDE = 60;
const ranges = new Map(); // brushed part of an axis: metric to [low, high]
const extents = new Map(data.parallel.map((metric) => {
  const values = points[metric].filter((value) => value !== null);
  return [metric, [Math.min(...values), Math.max(...values)]];
}));
const isLog = (metric) => Boolean(data.metrics[metric]?.si) || metric === "kept_filters";
const shareOf = (metric, value) => {
  const [low, high] = extents.get(metric);
  if (high === low) return 0.5;
  return isLog(metric) && low > 0 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
};
const valueOf = (metric, share) => {
  const [low, high] = extents.get(metric);
  return isLog(metric) && low > 0 ? low * (high / low) ** share : low + share * (high - low);
};
const yOf = (metric, value) => TOP + (1 - shareOf(metric, value)) * (HEIGHT - TOP - BOTTOM);
const said = (metric, value) => (metric === "kept_filters" ? String(Math.round(value)) : format(metric, value));
const title = (metric) => (metric === "kept_filters" ? "Kept filters" : data.short[metric] ?? data.metrics[metric].label);

function node(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
function drawParallel() {
  const svg = byId("parallel-figure");
  if (!svg || svg.closest("[hidden]")) return;
  const width = Math.max(700, svg.parentElement.clientWidth);
  const xs = data.parallel.map((_, k) => SIDE + (k * (width - 2 * SIDE)) / (data.parallel.length - 1));
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("width", width);
  const lines = node(svg, "g", { class: "lines" });
  const path = (i) => data.parallel.map((metric, k) => `${k ? "L" : "M"}${xs[k].toFixed(1)} ${yOf(metric, points[metric][i]).toFixed(1)}`).join("");
  for (const [name, style] of [["Infeasible", "infeasible"], ["Feasible, dominated", "dominated"], ["Pareto front", "front"], ["Recommended", "recommended"]]) {
    if (state.hidden.has(name)) continue;
    for (const i of parts[name]) {
      const faded = state.marked.size && !state.marked.has(i) ? " faded" : "";
      node(node(lines, "path", { d: path(i), class: style + faded, "data-index": i }), "title", {}, data.words[i]);
    }
  }
  if (!state.hidden.has("Measured")) drawMeasured(lines, xs);
  if (state.shown !== null && state.shown !== parts.best) node(lines, "path", { d: path(state.shown), class: "shown" });
  data.parallel.forEach((metric, k) => drawAxis(svg, metric, xs[k]));
}
function drawMeasured(parent, xs) {
  data.parallel.forEach((metric, k) => {
    const own = points[`measured_${metric}`];
    if (!own) return;
    for (const i of parts.Measured) {
      const y = Math.min(HEIGHT - BOTTOM, Math.max(TOP, yOf(metric, own[i])));
      node(parent, "rect", { x: xs[k] - 3.5, y: y - 3.5, width: 7, height: 7, class: "measured" });
    }
  });
}
function drawAxis(svg, metric, x) {
  const group = node(svg, "g", { class: "axis" });
  node(group, "line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM });
  node(group, "text", { x, y: 14, class: "title" }, title(metric));
  node(group, "text", { x, y: 34 }, said(metric, extents.get(metric)[1]));
  node(group, "text", { x, y: HEIGHT - 8 }, said(metric, extents.get(metric)[0]));
  const range = ranges.get(metric);
  if (range) node(group, "rect", { x: x - 9, width: 18, y: yOf(metric, range[1]), height: Math.max(2, yOf(metric, range[0]) - yOf(metric, range[1])), class: "brush" });
  const grip = node(group, "rect", {
    x: x - 16, width: 32, y: TOP - 6, height: HEIGHT - TOP - BOTTOM + 12, class: "grip", tabindex: 0, role: "group", "data-axis": metric,
    "aria-label": `${title(metric)}: ${range ? `${said(metric, range[0])} to ${said(metric, range[1])}` : "all"}. Up and down move the upper end, with shift the lower end, escape clears.`,
  });
  grip.addEventListener("pointerdown", (event) => brushFrom(event, metric));
  grip.addEventListener("keydown", (event) => brushByKey(event, metric));
}
function brush(metric, range) {
  if (range) ranges.set(metric, range); else ranges.delete(metric);
  const inside = (i) => [...ranges].every(([name, [low, high]]) => points[name][i] >= low && points[name][i] <= high);
  state.marked = new Set(ranges.size ? everyone.filter(inside) : []);
  refreshRows();
  drawParallel();
}
function brushFrom(event, metric) {
  event.preventDefault();
  const box = byId("parallel-figure").getBoundingClientRect();
  const shareAt = (y) => Math.min(1, Math.max(0, 1 - ((y - box.top) * (HEIGHT / box.height) - TOP) / (HEIGHT - TOP - BOTTOM)));
  const start = shareAt(event.clientY);
  const move = (moved) => {
    const ends = [start, shareAt(moved.clientY)].sort((a, b) => a - b);
    brush(metric, ends[1] - ends[0] > 0.01 ? ends.map((share) => valueOf(metric, share)) : null);
  };
  const done = (moved) => {
    move(moved);
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", done);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", done);
}
function brushByKey(event, metric) {
  const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
  if (event.key === "Escape") brush(metric, null);
  else if (step) {
    event.preventDefault();
    const ends = (ranges.get(metric) ?? extents.get(metric)).map((value) => shareOf(metric, value));
    const which = event.shiftKey ? 0 : 1;
    ends[which] = Math.min(1, Math.max(0, ends[which] + step));
    if (ends[0] < ends[1]) brush(metric, ends.map((share) => valueOf(metric, share)));
  } else return;
  document.querySelector(`[data-axis="${metric}"]`)?.focus();
}
byId("parallel-figure").addEventListener("click", (event) => {
  const index = event.target.dataset.index;
  if (index !== undefined) show(Number(index));
});
addEventListener("resize", drawParallel);
