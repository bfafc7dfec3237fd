// Numbers as people read them; the same rules as the package's own.
function format(metric, value) {
  if (value === null || value === undefined) return "not known";
  const { unit, scale, digits, si } = data.metrics[metric];
  if (!si) return `${(value * scale).toFixed(digits)}${unit === "%" ? "" : " "}${unit}`.trim();
  const [factor, prefix] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([f]) => Math.abs(value) >= f || f === 1);
  const scaled = value / factor;
  const decimals = scaled ? Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(scaled)))) : 0;
  return `${scaled.toFixed(decimals)} ${prefix}${unit}`;
}
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
function interval(name, i) {
  const [low, high] = ["lower", "upper"].map((end) => format(name, points[`${name}_${end}`][i]));
  const unit = high.replace(/^[-\d.]+/, ""); // stands once where both ends share it
  return `${unit && low.endsWith(unit) ? low.slice(0, -unit.length) : low} to ${high}`;
}
function hover(i) {
  const predicted = ["accuracy", "psnr_db"].map((name) => `${data.metrics[name].label}: ${format(name, points[name][i])} (${interval(name, i)})`);
  const costs = ["local_flops", "memory_bytes"].map((name) => format(name, points[name][i])).join(", ");
  const measured = ["accuracy", "psnr_db"].map((name) => format(name, points[`measured_${name}`][i])).join(", ");
  const own = points.measured_accuracy[i] === null ? [] : [`measured: ${measured}`];
  return [`<b>${escaped(data.words[i])}</b>`, ...predicted, costs, ...own].join("<br>");
}
const topologyColumns = ["cut_layer", "kept_filters", "selection_strategy", "selection_seed", "feature_bits", "noise_std"].filter((name) => name in points);
const topology = (i) => Object.fromEntries(topologyColumns.map((name) => [name, points[name][i]]));

// Details of one topology
function showDetails(index) {
  state.shown = index;
  byId("details-title").textContent = data.words[index];
  const list = byId("details");
  list.replaceChildren();
  const add = (term, value, note) => {
    const dd = Object.assign(document.createElement("dd"), { textContent: value });
    if (note) dd.append(Object.assign(document.createElement("small"), { textContent: note }));
    list.append(Object.assign(document.createElement("dt"), { textContent: term }), dd);
  };
  add("Standing", standing(index));
  for (const [name, metric] of Object.entries(data.metrics)) {
    add(metric.label, format(name, points[name][index]), `${name}_lower` in points ? interval(name, index) : "");
    const measured = points[`measured_${name}`];
    if (measured && measured[index] !== null) add("· measured", format(name, measured[index]), points.measured_fidelity[index]);
  }
  if (points.extrapolation[index]) add("Prediction", "reaches beyond the measurements");
  byId("details-hint").hidden = true;
  byId("details-copy").hidden = false;
  byId("details-json").textContent = JSON.stringify(topology(index));
  all("#front-table tr.shown").forEach((row) => row.classList.remove("shown"));
  document.querySelector(`#front-table tr[data-index="${index}"]`)?.classList.add("shown");
}
function standing(i) {
  if (i === parts.best) return explored() ? "most accurate within these limits" : "recommended";
  if (i === data.nearest && !explored()) return "infeasible, nearest to the limits";
  return parts.front.includes(i) ? "on the Pareto front" : parts.feasible[i] ? "feasible, dominated" : "infeasible";
}
function show(index) {
  showDetails(index);
  redraw();
}
