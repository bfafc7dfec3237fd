// What every part of the page shares: the data, the reader's theme, what is shown and marked.
const data = JSON.parse(document.getElementById("report-data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
document.documentElement.classList.add("scripted");

const points = data.points;
const everyone = data.words.map((_, i) => i);
const state = {
  shown: data.recommended ?? data.nearest, // the topology in the details
  marked: new Set(), // brushed in a plot
  hidden: new Set(), // parts switched off in the key
  view: "pareto",
  whole: false, // axes of privacy loss reach to the last infeasible topology
};

// Theme: a figure names its colours; the reader's preference decides what they are.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
const palette = () => data.palettes[prefersDark.matches && !printing ? "dark" : "light"];
function themed(value, colours) {
  if (Array.isArray(value)) return value.map((part) => themed(part, colours));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v, colours)]));
  }
  if (typeof value !== "string" || value[0] !== "@" || !(value.slice(1) in colours)) return value;
  const colour = colours[value.slice(1)];
  return Array.isArray(colour) ? colour.map((c, i) => [i / (colour.length - 1), c]) : colour;
}

// Plotly travels compressed; the page's policy admits the script by the hash of its text.
async function loadPlotly() {
  const packed = atob(byId("plotly-gz").textContent);
  const bytes = new Uint8Array(packed.length); // ten times as fast as Uint8Array.from
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(plain).text();
  document.head.append(script);
}

// Figures
const coarse = matchMedia("(pointer: coarse)").matches;
const makers = new Map(Object.entries(data.figures).map(([id, figure]) => [id, () => figure]));
function draw(id) {
  if (!globalThis.Plotly || byId(id).closest("[hidden]")) return;
  const figure = themed(makers.get(id)(), palette());
  if (printing) Object.assign(figure.layout, { autosize: false, width: 660, height: byId(id).clientHeight }); // fits A4 and Letter
  if (coarse && !figure.layout.scene) figure.layout.dragmode = false; // a finger scrolls the page
  Plotly.react(id, figure.data, figure.layout, { ...config(), displayModeBar: id === "pareto-figure" });
}
// Made once: Plotly draws a figure anew, its listeners lost, where its configuration changes.
let configuration;
function config() {
  configuration ??= {
    responsive: true, displaylogo: false, scrollZoom: false,
    modeBarButtons: [["select2d", "lasso2d", "zoom2d", "pan2d", "resetScale2d", saveButton()]],
  };
  return configuration;
}
const drawAll = () => makers.forEach((_, id) => byId(id) && draw(id));
const saveButton = () => ({
  name: "save", title: "Save the plot as PNG", icon: Plotly.Icons.camera,
  click: (plot) => Plotly.downloadImage(
    { data: plot.data, layout: { ...plot.layout, showlegend: true, coloraxis: { ...plot.layout.coloraxis, showscale: true }, paper_bgcolor: palette().surface } },
    { format: "png", width: 1100, height: 800, scale: 2, filename: "pareto" }),
});

// Copying works from a file too, where a browser may refuse the clipboard
async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  const before = from.dataset.label ?? from.textContent;
  from.dataset.label = before;
  from.textContent = "Copied";
  setTimeout(() => { from.textContent = before; }, 1500);
}
all("[data-copy]").forEach((from) => {
  from.addEventListener("click", () => copy(byId(from.dataset.copy).textContent, from));
});
function button(text, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", act);
  return made;
}
