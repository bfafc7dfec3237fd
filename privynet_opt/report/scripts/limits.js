// Limits as sliders: what is feasible, what is on the front and what is most accurate follow them.
const STEPS = 200;
const sliders = data.sliders.map((slider) => ({ ...slider, value: slider.limit }));
const explored = () => sliders.some((slider) => slider.value !== slider.limit);
let parts = judge();

function judge() {
  const feasible = !explored() ? points.feasible.map(Boolean) : everyone.map((i) => sliders.every(({ column, operator, value }) => {
    if (value === null) return true;
    return operator === "<=" ? points[column][i] <= value : points[column][i] >= value;
  }));
  const allowed = everyone.filter((i) => feasible[i]);
  const losses = data.objectives.map(({ name, sign }) => points[name].map((value) => sign * value));
  const beats = (a, b) => losses.every((loss) => loss[a] <= loss[b]) && losses.some((loss) => loss[a] < loss[b]);
  const front = explored()
    ? allowed.filter((i) => !allowed.some((other) => beats(other, i)))
    : everyone.filter((i) => points.on_front[i]); // to the digit, from the full numbers
  const order = (a, b) => points.accuracy[b] - points.accuracy[a] || points.local_flops[a] - points.local_flops[b];
  const eligible = allowed.filter((i) => data.extrapolate || !points.extrapolation[i]);
  const best = explored() ? eligible.sort(order)[0] ?? null : data.recommended;
  const onFront = new Set(front);
  return {
    feasible, front, best,
    "Infeasible": everyone.filter((i) => !feasible[i]),
    "Feasible, dominated": allowed.filter((i) => !onFront.has(i)),
    "Pareto front": front,
    "Measured": everyone.filter((i) => points.measured_accuracy[i] !== null),
    "Recommended": best === null ? [] : [best],
  };
}

// A slider's far end means no limit; costs move by factors, the rest evenly.
function positionOf({ low, high, log, operator }, value) {
  if (value === null) return operator === "<=" ? STEPS : 0;
  const share = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.round(STEPS * Math.min(1, Math.max(0, share)));
}
function valueAt({ low, high, log, operator }, position) {
  if (position === (operator === "<=" ? STEPS : 0)) return null;
  const share = position / STEPS;
  return Number((log ? low * (high / low) ** share : low + share * (high - low)).toPrecision(4));
}
function sayLimits() {
  sliders.forEach((slider, i) => {
    const text = slider.value === null ? "no limit" : `${slider.operator === "<=" ? "≤" : "≥"} ${format(slider.metric, slider.value)}`;
    byId(`limit-${i}-value`).textContent = text;
    byId(`limit-${i}`).setAttribute("aria-valuetext", text);
  });
  const found = parts.best === null
    ? "No topology that can be recommended meets these limits."
    : `The most accurate: ${data.words[parts.best]}, ${format("accuracy", points.accuracy[parts.best])}, ${format("psnr_db", points.psnr_db[parts.best])}.`;
  const counts = `${everyone.length - parts.Infeasible.length} feasible, ${parts.front.length} on the front. `;
  byId("limits-answer").textContent = explored() ? `${counts}${found} The verdict above is for the study's own limits.` : `${counts}These are the study's own limits.`;
  byId("limits-reset").disabled = !explored();
  all("[data-part]").forEach((part) => { part.querySelector("span").textContent = parts[part.dataset.part].length.toLocaleString("en"); });
}
function relimit() {
  parts = judge();
  sayLimits();
  fillTable();
  if (parts.best !== null) state.shown = parts.best;
  if (state.shown !== null) showDetails(state.shown);
  redraw();
}
sliders.forEach((slider, i) => {
  const input = byId(`limit-${i}`);
  input.value = positionOf(slider, slider.limit);
  input.addEventListener("input", () => {
    const position = Number(input.value);
    slider.value = position === positionOf(slider, slider.limit) ? slider.limit : valueAt(slider, position);
    relimit();
  });
});
byId("limits-reset").addEventListener("click", () => {
  sliders.forEach((slider, i) => { slider.value = slider.limit; byId(`limit-${i}`).value = positionOf(slider, slider.limit); });
  relimit();
});
