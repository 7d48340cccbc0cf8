"""The figures: Vega-Lite by Altair, one specification each for the page, the SVG and the PNG.

Widths follow the page. `network`, `platform` and `tuning` are parameters that the page's menus set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import altair as alt

from flows.report.facts import COST_MODEL, Facts

ALL = "all"
TUNINGS = ("int8", "as trained", "fine-tuned")
STATIC = {  # of the SVG and PNG files; the page has colours of its own in both themes
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"gridColor": "#e5e5e5", "domainColor": "#999", "tickColor": "#999"},
}


@dataclass(frozen=True)
class Figure:
    """A chart with the rows it shows, and the menus that it obeys: parameter -> choices."""

    name: str
    title: str
    note: str
    chart: alt.TopLevelMixin
    rows: list[dict]
    menus: dict[str, list[str]] = field(default_factory=dict)

    @property
    def spec(self) -> dict:
        """Vega-Lite for the page: as wide as its place."""
        return self.chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding")).to_dict()

    @property
    def static_spec(self) -> dict:
        """Vega-Lite for a file: of fixed width, with title and light background."""
        chart = self.chart.properties(width=640, title=self.title).configure(**STATIC)
        return chart.to_dict()


def figures(facts: Facts) -> list[Figure]:
    """Those for which there is something to show."""
    made = [
        *(pareto(facts, key) for key in ("area_um2", "power_mw")),
        *(breakdown(facts, quantity) for quantity in ("area", "power")),
        replay(facts, "utilisation", "naive_utilisation", "utilisation, %"),
        replay(facts, "cycles", "naive_cycles", "clock cycles"),
        front(facts),
        history(facts),
        speed(facts),
    ]
    return [figure for figure in made if figure]


def distinct(rows: list[dict], key: str) -> list[str]:
    """Values of a field in their order."""
    return list(dict.fromkeys(row[key] for row in rows))


def parameters(menus: dict[str, list[str]]) -> tuple[list[alt.Parameter], str]:
    """Vega parameters for the menus, first choice set, and the filter that obeys them."""
    tests = [f"({name} == '{ALL}' || datum.{name} == {name})" for name in menus]
    return [alt.param(name=name, value=choices[0]) for name, choices in menus.items()], " && ".join(tests)


def pareto(facts: Facts, key: str) -> Figure | None:
    """Accuracy against area or power."""
    rows = [p for p in facts.points if p[key] is not None and p["change"] is not None]
    if not rows:
        return None
    platforms = distinct(rows, "platform")
    platforms.sort(key=lambda name: name == COST_MODEL)  # what was measured first
    menus = {"network": [ALL, *distinct(rows, "network")], "platform": platforms, "tuning": [ALL, *TUNINGS[1:]]}
    params, obeyed = parameters(menus)
    obeyed = obeyed.replace("datum.tuning == tuning", "datum.tuning == tuning || datum.tuning == 'int8'")
    what = "area, um2" if key == "area_um2" else "power, mW, glitches included"
    x = alt.X(f"{key}:Q", title=f"{what}, of a column", scale=alt.Scale(zero=False, padding=14))
    x.axis = alt.Axis(format="~s", tickCount=6)
    y = alt.Y("change:Q", title="top-1 against int8, points", scale=alt.Scale(zero=False, padding=14))
    colour = alt.Color("network:N", legend=alt.Legend(orient="top", title=None, columns=2))
    shape = alt.Shape("tuning:N", scale=alt.Scale(domain=list(TUNINGS), range=["diamond", "circle", "triangle-up"]))
    shape.legend = alt.Legend(orient="top", title=None, columns=3)
    hover = alt.selection_point(name=f"hover_{key}", on="pointerover", empty=False, clear="pointerout")
    base = alt.Chart(alt.Data(values=rows)).transform_filter(obeyed)
    tips = ["network", "encoding", "design", "platform", "tuning"]
    tooltip = [alt.Tooltip(f"{name}:N") for name in tips]
    tooltip += [alt.Tooltip("bits:Q", title="product bits"), alt.Tooltip("top1:Q", title="top-1 %", format=".2f")]
    tooltip += [alt.Tooltip("change:Q", title="against int8", format="+.2f"), alt.Tooltip("images:Q", format=",")]
    tooltip += [alt.Tooltip("area_um2:Q", title="um2", format=",.0f")]
    if any(row["power_mw"] is not None for row in rows):
        tooltip.append(alt.Tooltip("power_mw:Q", title="mW", format=".4g"))
    front = base.transform_filter(f"datum.front_{key}").mark_line(interpolate="step-after", strokeDash=[4, 3])
    dots = base.mark_point(filled=True, opacity=0.9).encode(
        x, y, colour, shape, tooltip=tooltip, size=alt.condition(hover, alt.value(190), alt.value(80))
    )
    names = (
        base.transform_filter(f"datum.front_{key}")
        .mark_text(align="left", dx=8, dy=-7, fontSize=10)
        .encode(x, y, alt.Text("encoding:N"), colour)
    )
    zero = alt.Chart(alt.Data(values=[{"change": 0}])).mark_rule(opacity=0.4).encode(y="change:Q")
    chart = alt.layer(zero, front.encode(x, y, colour), names, dots.add_params(hover)).add_params(*params)
    short = what.partition(",")[0]
    return Figure(
        f"accuracy_{short}",
        f"Accuracy against {short}",
        "Dashed: what no other point of the same network undercuts.",
        chart.properties(width="container", height=360),
        rows,
        menus,
    )


def breakdown(facts: Facts, quantity: str) -> Figure | None:
    """Area or power by part, stacked."""
    rows = [row for row in facts.parts if row["quantity"] == quantity]
    if not rows:
        return None
    menus = {"platform": distinct(rows, "platform")}
    params, obeyed = parameters(menus)
    unit = "um2" if quantity == "area" else "mW, glitches included"
    parts = distinct(rows, "part")
    legend = alt.Legend(orient="top", title=None, columns=2, values=parts)  # two fit on a phone
    colours = alt.Scale(domain=distinct(facts.parts, "part"))  # the same in both figures
    tallest = max(len({row["design"] for row in rows if row["platform"] == name}) for name in menus["platform"])
    chart = (
        alt.Chart(alt.Data(values=[row | {"order": parts.index(row["part"])} for row in rows]))
        .transform_filter(obeyed)
        .mark_bar()
        .encode(
            alt.X("value:Q", title=f"{quantity} of a column, {unit}", axis=alt.Axis(format="~s", tickCount=6)),
            alt.Y("design:N", title=None, sort=None, axis=alt.Axis(labelLimit=150)),
            alt.Color("part:N", sort=parts, scale=colours, legend=legend),
            alt.Order("order:Q"),
            tooltip=["design:N", "part:N", alt.Tooltip("value:Q", title=unit, format=",.5~g"), "platform:N"],
        )
        .add_params(*params)
        .properties(width="container", height=24 * tallest)
    )
    return Figure(f"{quantity}_parts", f"Where the {quantity} is", "", chart, rows, menus)


def replay(facts: Facts, key: str, naive: str, title: str) -> Figure | None:
    """A bar for each layer as it was run, a tick for one pixel and one group at a time."""
    sampled = any(row["tiles_run"] < row["tiles"] for row in facts.layers)
    if not facts.layers or (sampled and key == "cycles"):  # cycles of a sample are not those of the layer
        return None
    base = alt.Chart(alt.Data(values=facts.layers))
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=130))
    x = alt.X(f"{key}:Q", title=title, axis=alt.Axis(tickCount=6))
    tooltip = ["name:N", "shape:N", "mapping:N", alt.Tooltip("macs:Q", format=","), alt.Tooltip("tiles:Q", format=",")]
    tooltip += [alt.Tooltip("cycles:Q", format=","), "utilisation:Q", "naive_utilisation:Q"]
    tooltip += [alt.Tooltip("compared:Q", format=","), alt.Tooltip("mismatches:Q", title="wrong")]
    bars = base.mark_bar().encode(x, y, tooltip=tooltip)
    ticks = base.mark_tick(thickness=2, color="#e45756").encode(alt.X(f"{naive}:Q"), y, tooltip=tooltip)
    chart = alt.layer(bars, ticks).properties(width="container", height=16 * len(facts.layers))
    note = "The tick: one pixel and one group at a time."
    return Figure(f"replay_{key}", f"Layers: {title}", note, chart, facts.layers)


def front(facts: Facts) -> Figure | None:
    """What searches found: column area under the cost model against error."""
    if not facts.fronts:
        return None
    menus = {"search": distinct(facts.fronts, "search")}
    params, obeyed = parameters(menus)
    base = alt.Chart(alt.Data(values=facts.fronts)).transform_filter(obeyed)
    x = alt.X(
        "area_um2:Q", title="area of a column of 64 rows, um2, cost model", scale=alt.Scale(zero=False, padding=14)
    )
    x.axis = alt.Axis(format="~s", tickCount=6)
    y = alt.Y("error:Q", title="noise of the result", scale=alt.Scale(type="log", padding=14))
    y.axis = alt.Axis(format="~g", tickCount=4)
    tooltip = ["encoding:N", "search:N", "weights:N", alt.Tooltip("bits:Q", title="product bits")]
    tooltip += [alt.Tooltip("area_um2:Q", title="um2", format=",.0f"), alt.Tooltip("error:Q", format=".4g")]
    shape = alt.Shape("weights:N", legend=alt.Legend(orient="top", title=None))
    dots = base.mark_point(filled=True, size=80).encode(x, y, shape=shape, tooltip=tooltip)
    names = base.mark_text(align="left", dx=8, dy=-7, fontSize=10).encode(x, y, alt.Text("encoding:N"))
    chart = alt.layer(names, dots).add_params(*params).properties(width="container", height=320)
    note = "Noise: share of the variance of the results of the network that was searched on."
    return Figure("search_front", "What was found", note, chart, facts.fronts, menus)


def history(facts: Facts) -> Figure | None:
    """Error of the best island after each round."""
    if not facts.rounds:
        return None
    base = alt.Chart(alt.Data(values=facts.rounds))
    x = alt.X("round:Q", title="round", axis=alt.Axis(tickMinStep=1))
    y = alt.Y("error:Q", title="centred error variance", scale=alt.Scale(type="log"))
    colour = alt.Color("search:N", legend=alt.Legend(orient="top", title=None, columns=2))
    tooltip = [
        "search:N",
        "round:Q",
        alt.Tooltip("error:Q", format=".5g"),
        alt.Tooltip("front:Q", title="on the front"),
    ]
    chart = base.mark_line(point=True).encode(x, y, colour, tooltip=tooltip).properties(width="container", height=240)
    return Figure("search_history", "Search history: the best island", "", chart, facts.rounds)


def speed(facts: Facts) -> Figure | None:
    """Ratios to peers."""
    if not facts.bench:
        return None
    rows = [row | {"label": f"{row['benchmark']}: {row['case']}, {row['peer_name']}"} for row in facts.bench]
    base = alt.Chart(alt.Data(values=rows))
    x = alt.X("ratio:Q", title="times as fast as the peer", scale=alt.Scale(type="log"))
    tooltip = ["label:N", alt.Tooltip("ours:Q", format=",.4~g"), alt.Tooltip("peer:Q", format=",.4~g"), "unit:N"]
    tooltip += [alt.Tooltip("ratio:Q", format=".3g"), "machine:N"]
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=170))
    dots = base.mark_point(filled=True, size=90).encode(x, y, tooltip=tooltip)
    one = alt.Chart(alt.Data(values=[{"ratio": 1}])).mark_rule(strokeDash=[4, 3]).encode(x="ratio:Q")
    chart = alt.layer(one, dots).properties(width="container", height=22 * len(rows))
    return Figure("speed", "Speed beside peers", "The dashed line is the peer.", chart, rows)
