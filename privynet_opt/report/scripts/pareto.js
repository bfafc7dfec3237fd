// Pareto views in two and three dimensions: axes, parts, the topology shown, the marked ones.
const axisOf = (where) => byId(`pareto-${where}`).value;
function column(trace, metric) {
  const own = `measured_${metric}`;
  return points[trace.meta.source === "measured" && own in points ? own : metric];
}
function indicesOf(trace) {
  if (trace.name === "Marked") return [...state.marked];
  if (trace.name !== "Shown in the details") return parts[trace.name];
  return state.shown === null || state.shown === parts.best ? [] : [state.shown];
}
// What breaks a limit on privacy by far would squeeze the front to the plot's edge: at first the axis
// ends as far above the limit and the feasible topologies as its start lies below.
const PRIVACY = ["psnr_db", "ssim"];
function rangeOf(metric) {
  const held = everyone.filter((i) => parts.feasible[i]).map((i) => points[metric][i]);
  if (!PRIVACY.includes(metric) || !held.length) return null;
  const measured = points[`measured_${metric}`].filter((value) => value !== null);
  const low = Math.min(...points[metric], ...measured);
  const limits = sliders.filter((slider) => slider.metric === metric && slider.value !== null).map((slider) => slider.value);
  const high = 2 * Math.max(...held, ...limits) - low;
  return high < Math.max(...points[metric]) ? [low - 0.04 * (high - low), high] : null;
}
const shownRange = (metric) => (state.whole ? null : rangeOf(metric));
const withRange = (axis, metric) => (shownRange(metric) ? { ...axis, range: shownRange(metric), autorange: false } : axis);
function sayBeyond() {
  const shown = state.view === "space" ? ["x", "y", "z"] : ["x", "y"];
  const ends = shown.map(axisOf).map((metric) => [points[metric], rangeOf(metric)]).filter(([, range]) => range);
  const n = everyone.filter((i) => ends.some(([values, range]) => values[i] > range[1])).length;
  byId("beyond").hidden = state.view === "parallel" || !n;
  byId("beyond-count").textContent = state.whole ? "" : `${n.toLocaleString("en")} infeasible topologies leak more than the plot shows. `;
  byId("beyond-show").textContent = state.whole ? "Show the feasible part" : "Show all";
}
byId("beyond-show").addEventListener("click", () => { state.whole = !state.whole; redraw(); });
function redraw() {
  draw("pareto-figure");
  draw("space-figure");
  drawParallel();
  sayBeyond();
}
const shade = (indices) => indices.map((i) => Math.log10(Math.max(points.local_flops[i], 1)));

makers.set("pareto-figure", () => {
  const base = data.figures["pareto-figure"];
  const metric = { x: axisOf("x"), y: axisOf("y") };
  const traces = base.data.map((trace) => {
    if (trace.meta.source === "legend") return trace;
    const indices = indicesOf(trace);
    const marker = trace.marker.coloraxis ? { ...trace.marker, color: shade(indices) } : trace.marker;
    const moved = { ...trace, marker, visible: !state.hidden.has(trace.name), customdata: indices, hovertext: indices.map(hover) };
    for (const where of ["x", "y"]) {
      moved[where] = indices.map((i) => column(trace, metric[where])[i]);
      if (trace[`error_${where}`]) moved[`error_${where}`] = bars(trace[`error_${where}`], indices, metric[where]);
    }
    if (state.marked.size) moved.selectedpoints = indices.flatMap((i, k) => (state.marked.has(i) ? [k] : []));
    return moved;
  });
  const lines = ["x", "y"].map((where) => limitMarks(metric[where], where));
  const extra = (what) => [...["x", "y"].flatMap((where) => data.axes[metric[where]][what][where].filter((mark) => mark.name !== "limit")), ...lines.flatMap((line) => line[what])];
  const layout = {
    ...base.layout, showlegend: false, coloraxis: { ...base.layout.coloraxis, showscale: false },
    shapes: extra("shapes"), annotations: extra("annotations"),
    xaxis: withRange(data.axes[metric.x].axis, metric.x), yaxis: withRange(data.axes[metric.y].axis, metric.y),
    uirevision: `${metric.x} ${shownRange(metric.x)} ${metric.y} ${shownRange(metric.y)}`,
  };
  return { data: traces, layout };
});
function bars(style, indices, metric) {
  if (!(`${metric}_upper` in points)) return { visible: false };
  const gap = (end, sign) => indices.map((i) => sign * (points[`${metric}_${end}`][i] - points[metric][i]));
  return { ...style, type: "data", symmetric: false, visible: true, array: gap("upper", 1), arrayminus: gap("lower", -1) };
}
function limitMarks(metric, where) {
  const own = sliders.filter((slider) => slider.metric === metric && slider.value !== null);
  const other = where === "x" ? "y" : "x";
  const shapes = own.map(({ value }) => ({
    type: "line", layer: "below", name: "limit", [`${where}ref`]: where, [`${where}0`]: value, [`${where}1`]: value,
    [`${other}ref`]: "paper", [`${other}0`]: 0, [`${other}1`]: 1, line: { color: "@limit", width: 2, dash: "dash" },
  }));
  const annotations = own.map(({ value }) => ({
    text: ` limit ${format(metric, value)}`, showarrow: false, font: { size: 11, color: "@limit" }, xanchor: "left", yanchor: "bottom",
    [where]: data.metrics[metric].si ? Math.log10(value) : value, [`${where}ref`]: where, [other]: 0, [`${other}ref`]: "paper",
  }));
  return { shapes, annotations };
}

makers.set("space-figure", () => {
  const base = data.figures["space-figure"];
  const metric = { x: axisOf("x"), y: axisOf("y"), z: axisOf("z") };
  const traces = base.data.map((trace) => {
    const indices = indicesOf(trace);
    const marker = trace.marker.coloraxis ? { ...trace.marker, color: shade(indices) } : trace.marker;
    const places = Object.fromEntries(Object.entries(metric).map(([where, name]) => [where, indices.map((i) => column(trace, name)[i])]));
    return { ...trace, ...places, marker, visible: !state.hidden.has(trace.name), customdata: indices, hovertext: indices.map(hover) };
  });
  const { scene, ...layout } = base.layout;
  const axes = Object.fromEntries(Object.entries(metric).map(([where, name]) => {
    const { title, type, tickformat, dtick } = data.axes[name].axis;
    return [`${where}axis`, withRange({ ...scene[`${where}axis`], type, tickformat, dtick, title: { text: data.metrics[name].label, font: title.font } }, name)];
  }));
  const back = byId("space-figure").clientWidth < 500 ? 1.6 : 1; // a narrow plot would cut its axes off
  const eye = Object.fromEntries(Object.entries(scene.camera.eye).map(([where, value]) => [where, back * value]));
  const uirevision = Object.values(metric).map((name) => `${name} ${shownRange(name)}`).join(" ");
  return { data: traces, layout: { ...layout, scene: { ...scene, ...axes, camera: { eye } }, uirevision } };
});

function mark(indices) {
  state.marked = new Set(indices);
  refreshRows();
  draw("space-figure");
  drawParallel();
}
const VIEWS = ["pareto", "space", "parallel"];
function look(view) {
  if (state.view === "space" && view !== "space" && listening.delete("space-figure")) Plotly.purge("space-figure");
  state.view = view;
  VIEWS.forEach((name) => {
    byId(`${name}-panel`).hidden = name !== view;
    byId(`${name}-tab`).setAttribute("aria-pressed", String(name === view));
  });
  byId("pareto-z").closest("label").hidden = view !== "space";
  document.querySelector(".colours").hidden = view === "parallel";
  ["x", "y"].forEach((where) => { byId(`pareto-${where}`).closest("label").hidden = view === "parallel"; });
  redraw();
  listen(`${view}-figure`);
}
const listening = new Set();
function listen(id) {
  const plot = byId(id);
  if (!plot?.on || listening.has(id)) return;
  listening.add(id);
  plot.on("plotly_click", (event) => show(event.points[0].customdata));
  if (id !== "pareto-figure") return;
  plot.on("plotly_selected", (event) => mark((event?.points ?? []).map((point) => point.customdata)));
  plot.on("plotly_deselect", () => { mark([]); draw(id); });
}
VIEWS.forEach((view) => byId(`${view}-tab`).addEventListener("click", () => look(view)));
["x", "y", "z"].forEach((where) => byId(`pareto-${where}`).addEventListener("change", redraw));
all("[data-part]").forEach((part) => part.addEventListener("click", () => {
  const name = part.dataset.part;
  if (!state.hidden.delete(name)) state.hidden.add(name);
  part.setAttribute("aria-pressed", String(!state.hidden.has(name)));
  redraw();
}));
