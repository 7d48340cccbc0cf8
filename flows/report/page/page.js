// Theme, filters of tables, charts with their menus and downloads. No network, no other file.
const root = document.documentElement;
const asked = new URLSearchParams(location.hash.slice(1)).get("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const LIGHT = ["#7aa6ff", "#ffb066", "#ff8c8c", "#7fd8d0", "#7bd389", "#f5d76e", "#d3a4f5", "#ffb8c9", "#d0b095", "#c9cdd2"];
let views = {};

function colours() {
  const of = name => getComputedStyle(root).getPropertyValue(name).trim();
  const [ink, soft, line] = [of("--ink"), of("--soft"), of("--line")];
  return {
    background: "transparent", font: "system-ui, sans-serif", view: { stroke: null },
    axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: soft, tickColor: soft, titleFontWeight: 500 },
    text: { color: ink },
    range: root.dataset.theme === "dark" ? { category: LIGHT } : {},
    legend: { layout: { top: { direction: "vertical", anchor: "start" } }, labelColor: ink, titleColor: ink, symbolBaseFillColor: soft, symbolBaseStrokeColor: soft }, title: { color: ink }, rule: { color: soft },
  };
}

async function draw() {
  for (const view of Object.values(views)) view.finalize();
  views = {};
  for (const figure of document.querySelectorAll("figure[data-figure]")) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const options = { actions: false, renderer: "svg", config: colours() };
    const { view } = await vegaEmbed(figure.querySelector(".chart"), spec, options);
    views[figure.dataset.figure] = view;
    for (const menu of figure.querySelectorAll("select")) view.signal(menu.name, menu.value);
    await view.runAsync();
  }
  root.dataset.drawn = Object.keys(views).length;
}

function theme(name) {
  root.dataset.theme = name;
  delete root.dataset.drawn;
  return draw();
}

function save(name, url) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

for (const figure of document.querySelectorAll("figure[data-figure]")) {
  const name = figure.dataset.figure;
  figure.onchange = event => views[name].signal(event.target.name, event.target.value).runAsync();
  figure.onclick = async event => {
    const kind = event.target.dataset.save;
    if (kind === "csv") save(`${name}.csv`, "data:text/csv;charset=utf-8," + encodeURIComponent(figure.querySelector("template").innerHTML));
    else if (kind) save(`${name}.${kind}`, await views[name].toImageURL(kind, 2));
  };
}

for (const form of document.querySelectorAll("form[data-rows]")) {
  const rows = [...document.querySelectorAll(`#${form.dataset.rows} > tr`)];
  const apply = () => {
    const wanted = [...form.elements].filter(field => field.name && field.value);
    let shown = 0;
    for (const row of rows) {
      row.hidden = wanted.some(({ name, value, type }) =>
        type === "search" ? !row.dataset[name].includes(value.toLowerCase()) : row.dataset[name] !== value);
      shown += !row.hidden;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length}`;
  };
  form.oninput = apply;
  form.onsubmit = event => event.preventDefault();
  apply();
}

// a table that does not fit is shown as blocks, each cell under its title
const tables = [...document.querySelectorAll(".scroll > table")];
for (const table of tables) {
  const titles = [...table.querySelectorAll("thead th")].map(cell => cell.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, i) => titles[i] && (cell.dataset.title = titles[i]));
}
function fit() {
  for (const table of tables) {
    table.className = "";
    for (const name of ["tight", "stacked"])
      if (table.scrollWidth > table.parentElement.clientWidth) table.className = name;
  }
}
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", () => details.querySelector(".scroll") && fit());
addEventListener("resize", fit);
fit();

document.getElementById("theme").onclick = () => theme(root.dataset.theme === "dark" ? "light" : "dark");
dark.onchange = event => theme(event.matches ? "dark" : "light");
theme(asked || (dark.matches ? "dark" : "light"));
