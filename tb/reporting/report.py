"""One self-contained HTML page of a regression: `build/reports/sim.html`.

The page is a template and the records as JSON; it needs no network and no other file.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from common.files import write_text
from common.logs import log_of_test
from common.store import Store

KEPT_RUNS = 300


def write_html(sim: dict, coverage: dict, path: Path, **others: object) -> None:
    """Write the page from the records sim.json and coverage.json, and from those of `others` that there are:
    `code` (code_coverage.json), `mutants` (mutants.json), `runs` (those before, the oldest first).
    """
    tests = [t | {"text": log_of_test(Path(t["log"]), t["name"]) if t["log"] else ""} for t in sim["tests"]]
    data = {"code": None, "mutants": None, "runs": []} | others
    data |= {"sim": sim | {"tests": tests}, "coverage": coverage}
    # "</" would end the script; the rest of JSON is harmless in it
    write_text(path, TEMPLATE.replace("__DATA__", json.dumps(data).replace("</", "<\\/")))


def add_run(run: dict, reports: Path) -> None:
    """Keep what a regression came to beside the runs before; the oldest go."""
    store = Store(reports)
    store.put("run", {"run": uuid.uuid4().hex}, run)
    store.remove("run", [entry.key for entry in store.entries("run")[:-KEPT_RUNS]])


def stored_runs(reports: Path) -> list[dict]:
    """The runs before, the oldest first."""
    return [entry.data for entry in Store(reports).entries("run")]


def refresh(reports: Path) -> None:
    """Write sim.html from the records that lie in the folder; without a regression there is no page."""
    records = {}
    for name, file in (("sim", "sim"), ("coverage", "coverage"), ("code", "code_coverage"), ("mutants", "mutants")):
        path = reports / f"{file}.json"
        records[name] = json.loads(path.read_text()) if path.exists() else None
    if records["sim"] and records["coverage"]:
        write_html(path=reports / "sim.html", runs=stored_runs(reports), **records)


TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>encmac: regression</title>
<style>
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --line: #8884; --soft: #8881 }
@media (prefers-color-scheme: dark) { :root:not(.light) { --good: #4cc26a; --bad: #ff7b72 } }
:root.light { color-scheme: light } :root.dark { color-scheme: dark; --good: #4cc26a; --bad: #ff7b72 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
tr.open > td { border-bottom: none } tr.click { cursor: pointer } tr.click:hover { background: var(--soft) }
.passed { color: var(--good) } .failed { color: var(--bad); font-weight: 600 }
pre, code { font: 13px/1.45 ui-monospace, monospace } pre { background: var(--soft); padding: .6rem; overflow: auto }
form { display: flex; gap: .8rem; flex-wrap: wrap; margin: .6rem 0 } input, select, button { font: inherit }
.bar { display: inline-block; width: 8rem; height: .6rem; background: var(--line); vertical-align: middle }
.bar i { display: block; height: 100%; background: var(--good) } .bar.bad i { background: var(--bad) }
#mode { float: right } .quiet { opacity: .7 }
#curves { display: flex; gap: 2rem; flex-wrap: wrap } figure { margin: .5rem 0 } figcaption { font-size: .85rem }
svg { display: block; border-bottom: 1px solid var(--line) } svg * { stroke: currentColor; fill: none }
svg circle { fill: var(--good); stroke: none } svg circle.failed { fill: var(--bad) }
</style>
<button id="mode" type="button">light / dark</button>
<h1 id="title"></h1>
<p id="facts" class="quiet"></p>
<h2>Tests</h2>
<form id="filters">
  <label>status <select id="status"><option value="">all<option>passed<option>failed</select></label>
  <label>design <select id="design"><option value="">all</select></label>
  <label>test <input id="test" type="search" placeholder="part of the name"></label>
  <span id="shown" class="quiet"></span>
</form>
<table><thead><tr><th>status<th>simulator<th>design<th>test<th class="n">compared<th class="n">wrong<th class="n">seed
<th class="n">seconds</thead><tbody id="tests"></tbody></table>
<h2>Test plan</h2><table><tbody id="plan"></tbody></table>
<h2>Functional coverage</h2>
<p id="closure"></p><table><tbody id="coverage"></tbody></table>
<div id="code"></div>
<div id="mutants"></div>
<h2>Runs before</h2>
<form id="choice"><label>suite <select id="suite"></select></label></form>
<div id="curves"></div><table><tbody id="runs"></tbody></table>
<script type="application/json" id="data">__DATA__</script>
<script>
const { sim, coverage, code, mutants, runs } = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
function add(parent, tag, text, cls) {
  const node = parent.appendChild(document.createElement(tag));
  if (text !== undefined) node.textContent = text;
  if (cls) node.className = cls;
  return node;
}
const total = sim.totals, good = !total.failed && !total.testpoints_failed;
$("title").textContent = `Regression: ${good ? "passed" : "failed"}`;
$("title").className = good ? "passed" : "failed";
$("facts").textContent = `${total.passed} of ${total.tests} tests passed, ${total.matches} results compared, ` +
  `${total.mismatches} wrong. Commit ${sim.git_commit || "unknown"}. ` +
  Object.entries(sim.tools).map(([name, version]) => `${name} ${version}`).join(", ") + ".";
for (const design of [...new Set(sim.tests.map(t => `${t.simulator} ${t.design}`))]) add($("design"), "option", design);

function details(row, fill) {  // a click opens a row of details below
  row.className = "click";
  row.onclick = () => {
    if (row.classList.toggle("open")) {
      const below = document.createElement("tr");
      const cell = add(below, "td");
      cell.colSpan = 9;
      fill(cell);
      row.after(below);
    } else row.nextSibling.remove();
  };
}
function showTests() {
  const [status, design, name] = ["status", "design", "test"].map(id => $(id).value);
  const tests = sim.tests.filter(t => (!status || t.status === status) &&
    (!design || `${t.simulator} ${t.design}` === design) && t.name.includes(name));
  $("tests").replaceChildren();
  $("shown").textContent = `${tests.length} of ${sim.tests.length}`;
  for (const t of tests) {
    const row = add($("tests"), "tr");
    add(row, "td", t.status, t.status);
    for (const text of [t.simulator, t.design, t.name]) add(row, "td", text);
    for (const text of [t.matches, t.mismatches, t.seed, t.duration_s.toFixed(1)]) add(row, "td", text, "n");
    details(row, cell => {
      if (t.message) add(cell, "p", t.message, t.status);
      if (t.worker) add(cell, "p", `on worker ${t.worker}`, "quiet");
      if (t.lost_workers.length) add(cell, "p", `run again: ${t.lost_workers.join(", ")} was lost while it ran`);
      add(cell, "pre", t.replay);
      if (t.waves) add(add(cell, "p", "waves: "), "code", t.waves);
      add(cell, "pre", t.text || "no log");
    });
  }
}
// the filters are part of the address: sim.html#status=failed&test=reset
const asked = new URLSearchParams(location.hash.slice(1));
for (const id of ["status", "design", "test"]) $(id).value = asked.get(id) || "";
if (asked.get("mode")) document.documentElement.className = asked.get("mode");
$("filters").oninput = () => {
  const set = ["status", "design", "test"].filter(id => $(id).value).map(id => [id, $(id).value]);
  history.replaceState(null, "", `#${new URLSearchParams(set)}`);
  showTests();
};
$("filters").onsubmit = event => event.preventDefault();
showTests();

const testpoints = Object.entries(sim.testplan.testpoints);
if (!testpoints.length) add(add($("plan"), "tr"), "td", "Not judged: this was not a whole suite.");
for (const [label, faults] of testpoints) {
  const row = add($("plan"), "tr");
  add(row, "td", faults.length ? "missing" : "shown", faults.length ? "failed" : "passed");
  add(row, "td", label);
  const cell = add(row, "td", sim.testplan.descriptions[label] || "");
  if (faults.length) add(cell, "p", faults.join("; "), "failed");
}
const bins = coverage.totals;
$("closure").textContent =
  `${bins.hit} of ${bins.bins} bins of ${bins.points} cover points; ${bins.excluded} excluded.`;
for (const [name, point] of Object.entries(coverage.points)) {
  const row = add($("coverage"), "tr"), all = Object.keys(point.bins).length;
  add(row, "td", name);
  const bar = add(add(row, "td"), "span", undefined, point.missing.length ? "bar bad" : "bar");
  add(bar, "i").style.width = `${point.closure}%`;
  add(row, "td", `${point.closure} %`, "n");
  add(row, "td", `${all - point.missing.length - Object.keys(point.excluded).length} of ${all}`, "n");
  details(row, cell => {
    const table = add(cell, "table");
    for (const [label, hit] of Object.entries(point.bins)) {
      const line = add(table, "tr"), reason = point.excluded[label];
      add(line, "td", label);
      const state = reason ? "excluded" : hit.tests ? `${hit.tests} tests` : "missing";
      add(line, "td", state, state === "missing" ? "failed" : "");
      add(line, "td", reason || hit.first || "");
    }
  });
}
if (code) {
  add($("code"), "h2", "Code coverage");
  const table = add($("code"), "table");
  for (const [kind, value] of Object.entries(code.totals)) {
    const row = add(table, "tr");
    const texts = [kind, `${value.percent} %`, `${value.hit} of ${value.points}`, `target ${value.target} %`];
    for (const text of texts) add(row, "td", text);
  }
  for (const e of code.excluded) {
    const row = add(table, "tr");
    for (const text of [e.kind, "excluded", e.points, e.reason]) add(row, "td", text, "quiet");
  }
  const link = add(add($("code"), "p"), "a", "annotated sources");
  link.href = "code_coverage/index.html";
  add($("code"), "p", `Counted at commit ${code.git_commit || "unknown"}.`, "quiet");
}
if (mutants) {
  const t = mutants.totals, part = $("mutants");
  add(part, "h2", "Mutants");
  add(part, "p", `${t.mutants} small faults put into the RTL, seed ${mutants.seed}: ${t.killed} killed, ` +
    `${t.equivalent} equivalent, ${t.survived} survived; ${t.percent} % killed, target ${t.target} %. ` +
    `Commit ${mutants.git_commit || "unknown"}.`, t.survived ? "failed" : "");
  const table = add(part, "table"), head = add(add(table, "thead"), "tr"), body = add(table, "tbody");
  const statuses = ["killed", "survived", "timeout", "crash", "disk", "equivalent"];
  for (const text of ["file", ...statuses, "% killed"]) add(head, "th", text, text === "file" ? "" : "n");
  for (const file of new Set(mutants.mutants.map(m => m.file))) {
    const row = add(body, "tr"), own = mutants.mutants.filter(m => m.file === file);
    const number = status => own.filter(m => m.status === status).length;
    add(row, "td", file);
    for (const status of statuses) {
      const missed = !["killed", "equivalent"].includes(status) && number(status);
      add(row, "td", number(status), missed ? "n failed" : "n");
    }
    const judged = own.length - number("refused") - number("equivalent");
    add(row, "td", judged ? (100 * number("killed") / judged).toFixed(1) : "", "n");
    details(row, cell => {
      for (const m of own.filter(m => m.status !== "refused")) {
        add(cell, "p", `line ${m.line}, ${m.kind}: ${m.status}${m.test ? ` by ${m.test} on ${m.design}` : ""}`,
          m.status === "survived" ? "failed" : "");
        add(cell, "pre", `- ${m.before}\n+ ${m.after}${m.message ? `\n${m.message}` : ""}`);
      }
    });
  }
}
function curve(title, list, value, unit) {  // one figure over the stored runs, the oldest on the left
  const points = list.map(r => [value(r), r]).filter(([y]) => y !== null && y !== undefined);
  if (!points.length) return;
  const space = "http://www.w3.org/2000/svg", width = 260, height = 70, ys = points.map(([y]) => y);
  const low = Math.min(...ys), high = Math.max(...ys), figure = add($("curves"), "figure");
  const svg = figure.appendChild(document.createElementNS(space, "svg"));
  svg.setAttribute("width", width); svg.setAttribute("height", height);
  const at = points.map(([y], i) => [8 + (width - 16) * (points.length > 1 ? i / (points.length - 1) : 1),
    high > low ? 8 + (height - 16) * (high - y) / (high - low) : height / 2]);
  const line = svg.appendChild(document.createElementNS(space, "polyline"));
  line.setAttribute("points", at.map(p => p.join()).join(" "));
  at.forEach(([x, y], i) => {
    const [value, run] = points[i], dot = svg.appendChild(document.createElementNS(space, "circle"));
    for (const [name, v] of [["cx", x], ["cy", y], ["r", 3]]) dot.setAttribute(name, v);
    if (!run.good) dot.setAttribute("class", "failed");
    dot.appendChild(document.createElementNS(space, "title")).textContent = `${run.date}: ${value} ${unit}`;
  });
  add(figure, "figcaption", `${title}: ${ys[ys.length - 1]} ${unit} (${low} .. ${high})`);
}
function showRuns() {
  const list = runs.filter(r => r.choice === $("suite").value);
  $("curves").replaceChildren(); $("runs").replaceChildren();
  curve("tests failed", list, r => r.failed, "");
  curve("results compared", list, r => r.matches, "");
  curve("coverage", list, r => r.bins ? Math.round(10000 * r.hit / r.bins) / 100 : null, "%");
  curve("time", list, r => r.wall_s, "s");
  for (const r of list.slice(-12).reverse()) {
    const row = add($("runs"), "tr");
    add(row, "td", r.good ? "passed" : "failed", r.good ? "passed" : "failed");
    for (const text of [r.date, `seed ${r.seed}`, `${r.passed} of ${r.tests} tests`, `${r.hit} of ${r.bins} bins`,
      `${r.wall_s} s`, (r.git_commit || "").slice(0, 10)]) add(row, "td", text);
  }
}
for (const choice of new Set(runs.map(r => r.choice).reverse())) add($("suite"), "option", choice);
$("choice").oninput = showRuns;
$("choice").onsubmit = event => event.preventDefault();
showRuns();
$("mode").onclick = () => {
  const root = document.documentElement, dark = getComputedStyle(root).colorScheme === "dark" ||
    (!root.className && matchMedia("(prefers-color-scheme: dark)").matches);
  root.className = dark ? "light" : "dark";
};
</script>
</html>
"""
