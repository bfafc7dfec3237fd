// Table of the front: sort, filter, copy; rows follow the limits of the sliders.
const table = byId("front-table");
const written = table ? [...table.tBodies[0].rows] : [];
const made = new Map(written.map((row) => [Number(row.dataset.index), row]));
let rows = written;
let sorting = null;

function rowOf(index) {
  if (made.has(index)) return made.get(index);
  const row = document.createElement("tr");
  row.dataset.index = index;
  const cell = (tag, order, text, note) => {
    const part = document.createElement(tag);
    part.dataset.order = order;
    part.append(text);
    if (note) part.append(Object.assign(document.createElement("small"), { textContent: note }));
    row.append(part);
    return part;
  };
  const pick = Object.assign(document.createElement("span"), { className: "pick", textContent: data.words[index] });
  cell("th", index, pick).scope = "row";
  for (const metric of data.table_metrics) {
    cell("td", points[metric][index], format(metric, points[metric][index]), `${metric}_lower` in points ? interval(metric, index) : "");
  }
  const fidelity = points.measured_fidelity[index];
  const evidence = fidelity ? "measured" : points.extrapolation[index] ? "extrapolated" : "predicted";
  cell("td", evidence, evidence, fidelity);
  linkTo(row);
  made.set(index, row);
  return row;
}
function linkTo(row) {
  const name = row.querySelector(".pick");
  name.replaceChildren(button(name.textContent, () => show(Number(row.dataset.index))));
}
function fillTable() {
  if (!table) return;
  const order = (a, b) => points.accuracy[b] - points.accuracy[a];
  rows = explored() ? [...parts.front].sort(order).map(rowOf) : [...written];
  if (sorting) sortRows();
  table.tBodies[0].replaceChildren(...rows);
  refreshRows();
}
function refreshRows() {
  if (!table) return;
  const words = byId("front-filter").value.trim().toLowerCase().split(/\s+/);
  const only = byId("front-selected").checked;
  let visible = 0;
  for (const row of rows) {
    const chosen = state.marked.has(Number(row.dataset.index));
    const text = row.textContent.toLowerCase();
    row.classList.toggle("selected", chosen);
    row.hidden = (only && !chosen) || !words.every((word) => text.includes(word));
    visible += !row.hidden;
  }
  byId("front-count").textContent = `${visible} of ${rows.length} topologies`;
}
function sortBy(heading, column) {
  const ascending = heading.getAttribute("aria-sort") === "descending" || (heading.getAttribute("aria-sort") === "none" && column === 0);
  table.querySelectorAll("thead th").forEach((th) => th.setAttribute("aria-sort", "none"));
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  sorting = { column, sign: ascending ? 1 : -1 };
  sortRows();
  table.tBodies[0].append(...rows);
}
function sortRows() {
  const { column, sign } = sorting;
  const key = (row) => row.cells[column].dataset.order;
  const numeric = rows.every((row) => key(row) !== "" && !Number.isNaN(Number(key(row))));
  rows.sort((a, b) => sign * (numeric ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b), "en")));
}
function csv() {
  const quote = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const line = (i) => data.csv_columns.map((name) => quote(String(points[name][i] ?? ""))).join(",");
  const indices = rows.filter((row) => !row.hidden).map((row) => Number(row.dataset.index));
  return [data.csv_columns.join(","), ...indices.map(line)].join("\n") + "\n";
}
if (table) {
  table.querySelectorAll("thead th").forEach((th, i) => th.replaceChildren(button(th.textContent, () => sortBy(th, i))));
  written.forEach(linkTo);
  byId("front-filter").addEventListener("input", refreshRows);
  byId("front-selected").addEventListener("change", refreshRows);
  byId("front-copy").addEventListener("click", (event) => copy(csv(), event.currentTarget));
}
