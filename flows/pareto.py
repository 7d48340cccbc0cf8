"""The cheapest design of equal accuracy, encoded and rival: `python -m flows.pareto`.

Joins accuracy.json with ppa.json: what of a network's top-1 a design may lose against int8 (0.25, 0.5, 1 point), and
which design that keeps to it is smallest, and which needs least power. Rivals are exact arrays: of 8 bits, and of
fewer bits with weights chosen by the same procedure. Encodings are joined by hash, rivals by their widths. Only
columns that meet their clock and passed at gate level count, and only those of the same conditions are compared. Power
is that on tiles of the network, if any column was measured on them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from common.console import obey, tell
from common.errors import UserError, run_cli
from common.files import write_text
from flows.ppa import common_workload, conditions_of, runs_of, share_of_f
from flows.report.records import Records, load_records
from models.accuracy import pooled
from models.rivals import NAME
from tools.options import parse

FORMAT = "encmac-pareto/1"
COSTS = {"area": ("area_um2", "um2"), "power": ("power_mw", "mW")}
EXACT = "8 bits, exact"
LOSSES = (0.25, 0.5, 1.0)  # points of top-1


@dataclass(frozen=True)
class Accuracy:
    """What a network keeps with some products: `points` of top-1 against int8, paired, and their 95 % interval."""

    network: str
    images: int
    products: str
    sha256: str
    way: str
    points: float
    interval: tuple[float, float]
    checkpoint: str = ""  # SHA-256 of the network's file: networks of two people may have one name


@dataclass(frozen=True)
class Column:
    """A measured column; `products` are those it computes, EXACT or the name of an encoding or rival."""

    where: str
    design: str
    products: str
    sha256: str
    area_um2: float
    power_mw: float | None

    @property
    def is_rival(self) -> bool:
        """True for exact products, of 8 or fewer bits."""
        return self.products == EXACT or bool(NAME.fullmatch(self.products))


@dataclass(frozen=True)
class Choice:
    """The cheapest column of one kind within a loss, and what it keeps."""

    network: str
    images: int
    where: str
    loss: float
    cost: str
    kind: str
    design: str
    way: str
    points: float
    interval: tuple[float, float]
    value: float


def accuracies(records: Records, count: int | None = None) -> list[Accuracy]:
    """Every network with every products and way: corrected or chosen (the one that was kept), fine-tuned.

    On `count` test images, or on the most that a network has.
    """
    with records.reading("accuracy"):
        return accuracies_of(rows_of(records, count))


def rows_of(records: Records, count: int | None = None) -> list[dict]:
    """`rows_that_count` of accuracy.json."""
    return rows_that_count(records["accuracy"].get("rows", []), count)


def rows_that_count(rows: list[dict], count: int | None = None) -> list[dict]:
    """Of rows of accuracy, the latest last, one for each network and products; halves of a sample are one.

    On `count` test images, or on the most that a network has. Of two networks or data sets of one name the one that was
    measured last counts, of several rows of the same products (other seeds, samples, corrections) the last of those
    with chosen weights, so that nobody picks the best.
    """
    rows = pooled(rows)
    most = {name: max(r["images"] for r in rows if r["network"] == name) for name in {r["network"] for r in rows}}
    rows = [r for r in rows if r["images"] == (count or most[r["network"]])]
    newest = {r["network"]: _measured(r) for r in rows}
    found: dict[tuple, dict] = {}
    for row in sorted(
        rows, key=lambda row: (row.get("correction", {}).get("scope") == "gain", bool(row.get("choose")))
    ):
        if _measured(row) == newest[row["network"]]:
            found[row["network"], row["encoding"], row.get("encoding_sha256")] = row
    return list(found.values())


def _measured(row: dict) -> tuple[str | None, str | None]:
    """Which network and which images a row is of."""
    return row.get("checkpoint_sha256"), row.get("data_sha256")


def accuracies_of(rows: Iterable[dict]) -> list[Accuracy]:
    """What rows of accuracy.json say, one for each way."""
    found = []
    for row in rows:
        differences = row.get("against_int8", {})
        for way in (row.get("way"), "finetuned"):
            if way in differences:
                one = differences[way]
                name, images, products = row["network"], row["images"], row["encoding"]
                interval = (one["interval"][0], one["interval"][1])
                measured = (products, row["encoding_sha256"], way, one["points"], interval)
                found.append(Accuracy(name, images, *measured, row["checkpoint_sha256"]))
    return found


def columns(records: Records, network: str | None = None) -> list[Column]:
    """Columns that meet their clock and passed at gate level, extra columns in their share.

    Power is that of the tiles that most columns ran, of those of `network` if one is given; None where there are none.
    """
    with records.reading("ppa"):
        return columns_of(records["ppa"].get("designs", []), network)


def columns_for(records: Records, network: str) -> list[Column]:
    """`columns` with power on tiles of `network`; where no column was measured on those, of the tiles measured last."""
    own = columns(records, network)
    return own if any(column.power_mw is not None for column in own) else columns(records)


def columns_of(designs: Iterable[dict], network: str | None = None) -> list[Column]:
    """Those of `designs`, rows of ppa.json, that count; extra columns in the share of an array of ARRAY_COLUMNS."""
    sound = [d for d in designs if not (d["shared"] or d["wns_ns"] < 0 or d["gate_sim"] != "passed")]
    last = {place_of(conditions_of(d)): conditions_of(d) for d in sound}  # of two states of a library
    found = []
    for where, there in last.items():
        mine = [d for d in sound if conditions_of(d) == there]
        workload = common_workload(mine, network)
        for design in mine:
            power = runs_of(design, network).get(workload, {}).get("power_mw") or {}
            found.append(column_of(design, where, design["area_um2"]["column"], power.get("column")))
    return found


def place_of(conditions: dict) -> str:
    """Conditions of a measurement in words."""
    where = f"{conditions['platform']}, {conditions['rows']} rows, {conditions['clock_ns']:g} ns"
    where += f", {conditions['columns']} columns" if conditions["columns"] > 1 else ""
    return where + ("" if conditions["gated"] else ", ungated weights")


def column_of(design: dict, where: str, area_um2: float, power_mw: float | None) -> Column:
    """A row of ppa.json with the area and power that count."""
    products = design.get("rival") or design["encoding"] or EXACT
    return Column(where, design["design"], products, design.get("encoding_sha256") or "", area_um2, power_mw)


def columns_in_array(designs: Iterable[dict], conditions: dict, in_array: int, tiles_sha256: str) -> list[Column]:
    """Columns of an array of `in_array` that count, each with its share of the one extra column of the array.

    Of `designs` (rows of ppa.json) those of the same `conditions`. Power is that of these tiles, or None.
    """
    there = [d for d in designs if conditions_of(d) == conditions]

    def power(design: dict) -> float:
        for run in (design, *design.get("workloads", {}).values()):
            if ((run.get("activity") or {}).get("workload") or {}).get("tiles_sha256") == tiles_sha256:
                return run["power_mw"]["total"]
        return math.nan

    found = []
    for design in there:
        if design["shared"] or design["wns_ns"] < 0 or design["gate_sim"] != "passed":
            continue
        one = design["parameters"].get("Cols", 1)
        area = design["area_um2"]["total"] / one
        area += share_of_f(there, design, lambda extra: extra["area_um2"]["total"], in_array)
        whole = power(design) / one + share_of_f(there, design, power, in_array)
        found.append(column_of(design, place_of(conditions), area, None if math.isnan(whole) else whole))
    return found


def points_of(columns: Iterable[Column], accuracies: list[Accuracy], network: str) -> Iterator[tuple[Column, Accuracy]]:
    """Columns and what `network` keeps with their products; encodings of the same hash, rivals of the same widths."""
    mine = [a for a in accuracies if a.network == network]
    for column in columns:
        if column.products == EXACT:
            yield column, Accuracy(network, mine[0].images, EXACT, "", "int8", 0.0, (0.0, 0.0))
        for one in mine:
            same = one.sha256 == column.sha256 if column.sha256 and not column.is_rival else True
            if one.products == column.products and same:
                yield column, one


def choices(columns: list[Column], accuracies: list[Accuracy], losses: Iterable[float]) -> list[Choice]:
    """For every network, place, loss and cost the cheapest encoded column and the cheapest rival, if there is one."""
    found = []
    for network in dict.fromkeys(a.network for a in accuracies):
        points = list(points_of(columns, accuracies, network))
        for where in dict.fromkeys(c.where for c in columns):
            for loss in losses:
                for cost, (field, _) in COSTS.items():
                    for kind in ("encoded", "rival"):
                        able = [
                            (getattr(c, field), c, a)
                            for c, a in points
                            if c.where == where and c.is_rival == (kind == "rival")
                            if a.points >= -loss and getattr(c, field) is not None
                        ]
                        if able:
                            value, c, a = min(able, key=lambda entry: (entry[0], -entry[2].points))
                            interval = a.interval
                            found.append(
                                Choice(
                                    network,
                                    a.images,
                                    where,
                                    loss,
                                    cost,
                                    kind,
                                    c.design,
                                    a.way,
                                    a.points,
                                    interval,
                                    value,
                                )
                            )
    return found


def table(found: list[Choice]) -> str:
    """The choices as Markdown, encoded beside rival."""
    names = ("network", "where", "loss allowed", "by", "encoded", "points", "rival", "points", "encoded against rival")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    groups: dict[tuple, dict[str, Choice]] = {}
    for one in found:
        groups.setdefault((one.network, one.where, one.loss, one.cost), {})[one.kind] = one
    for (network, where, loss, cost), pair in groups.items():
        cells = [network, where, f"{loss:g}", cost]
        for kind in ("encoded", "rival"):
            one = pair.get(kind)
            if one is None:
                cells += ["none", "-"]
                continue
            low, high = one.interval
            value = f"{one.value:,.0f}" if cost == "area" else f"{one.value:.3g}"
            cells.append(f"{one.design}, {one.way}: {value} {COSTS[cost][1]}")
            cells.append(f"{one.points:+.2f} ({low:+.2f} to {high:+.2f})")
        both = len(pair) == 2
        cells.append(f"{100 * (pair['encoded'].value / pair['rival'].value - 1):+.1f} %" if both else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(columns: list[Column], accuracies: list[Accuracy], network: str, path: Path) -> None:
    """Top-1 against int8 over area and power of a column, a row for each place: <path>.svg and .png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    points = list(points_of(columns, accuracies, network))
    places = list(dict.fromkeys(c.where for c, _ in points))
    size = {"figsize": (12, 4 * len(places)), "squeeze": False}
    figure, axes = plt.subplots(len(places), len(COSTS), layout="constrained", **size)
    for row, where in zip(axes, places, strict=True):
        for axis, (cost, (field, unit)) in zip(row, COSTS.items(), strict=True):
            for is_rival, colour, name in ((False, "C0", "encoded"), (True, "C3", "rival: exact products")):
                mine = [
                    (getattr(c, field), c, a)
                    for c, a in points
                    if c.where == where and c.is_rival == is_rival and getattr(c, field) is not None
                ]
                if not mine:
                    continue
                low, high = ([abs(a.interval[i] - a.points) for _, _, a in mine] for i in (0, 1))
                x, y = [value for value, _, _ in mine], [a.points for _, _, a in mine]
                axis.errorbar(x, y, (low, high), fmt="o", color=colour, elinewidth=0.7, markersize=4, label=name)
                front = float("-inf")
                for value, c, a in sorted(mine, key=lambda entry: (entry[0], -entry[2].points)):
                    if a.points > front:  # nothing cheaper keeps as much
                        front = a.points
                        label = c.products + (" tuned" if a.way == "finetuned" else "")
                        place = (4, -11 if is_rival else 4)
                        axis.annotate(label, (value, a.points), place, textcoords="offset points", fontsize=8)
            axis.axhline(0, color="0.6", linewidth=0.8)
            axis.set(title=where, xlabel=f"{cost} of a column, {unit}", ylabel="top-1 against int8, points")
            axis.set_xlim(left=0)
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False, fontsize=8)
    figure.suptitle(
        f"{network}, {next(a.images for a in accuracies if a.network == network):,} test images, 95 % intervals"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_name(path.name + suffix), dpi=120)
    plt.close(figure)


def main() -> None:
    """Command line."""
    args = parse("flows.pareto")
    out = args.out or args.reports
    obey(args)
    records = load_records(args.reports)
    kept, measured = accuracies(records), columns(records)
    for what, values, command in (
        ("accuracy", kept, "make accuracy NET=resnet20_cifar10 ENCODING=w4a8,m14p"),
        ("columns that meet their clock and passed", measured, "make synth, make power"),
    ):
        if not values:
            raise UserError(f"no {what} in {args.reports}; measure some first: {command}")
    with records.reading("accuracy", "ppa"):
        there = {network: columns_for(records, network) for network in dict.fromkeys(a.network for a in kept)}
        mine_of = {name: [a for a in kept if a.network == name] for name in there}
        found = [c for name, mine in there.items() for c in choices(mine, mine_of[name], LOSSES)]
        shown = table(found)
    if not found:
        raise UserError(
            f"nothing in {args.reports} loses at most {LOSSES[-1]:g} points; measure an exact design: make synth"
        )
    with records.reading("accuracy", "ppa"):
        for network, mine in there.items():
            picture(mine, kept, network, out / "figures" / re.sub(r"[^\w.-]", "_", f"pareto_{network}"))
    stale = {name: list(records.found[name].stale) for name in ("accuracy", "ppa")}
    record = {"format": FORMAT, "choices": [asdict(one) for one in found], "stale": stale}
    write_text(out / "pareto.json", json.dumps(record, indent=1) + "\n")
    tell(record)
    print(shown)
    for name in filter(stale.get, stale):
        print(f"\n{name}.json: changed since it was measured: {', '.join(stale[name])}")
    print(f"\nwritten to {out / 'pareto.json'}; pictures in {out / 'figures'}")


if __name__ == "__main__":
    run_cli(main)
