"""The paper's table from the records: `python -m flows.table`.

For every network float and int8 top-1, and the smallest encoded column that keeps it within 0.5 and 1 point of int8:
its accuracy as paired difference with 95 % interval, its area and its power, on tiles of that very network, against
the best conventional columns of 8 bits; beside it the smallest exact column of fewer bits that keeps as much. The last
line holds the headline of the paper (EncodingNet, arXiv 2402.18595v2, abstract).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from common.console import obey, signed, tell
from common.errors import UserError, run_cli
from common.files import write_block, write_text
from common.provenance import git_commit
from flows.pareto import EXACT, Accuracy, Column, accuracies, columns, points_of, rows_of
from flows.platform import load_platform
from flows.report.records import Records, load_records
from tools.options import parse

FORMAT = "encmac-table/1"
LOSSES = (0.5, 1.0)  # points of top-1
PAPER = {"area": -48.79, "power": -64.41}  # percent, "up to"
# of the paper's six networks, these stand for: EfficientNet-B0 is replaced by one that integers suit
PAPERS = {
    "resnet18_cifar10": "ResNet-18, CIFAR-10",
    "resnet20_cifar100": "ResNet-20, CIFAR-100",
    "mobilenetv2_cifar10": "MobileNetV2, CIFAR-10",
    "mobilenetv2_x0_5_cifar100": "MobileNetV2 x0.5, CIFAR-100",
    "resnet50_imagenet": "ResNet-50, ImageNet sample",
    "efficientnet_lite0_imagenet": "EfficientNet-Lite0, ImageNet sample",
}
OTHERS = {
    "resnet20_cifar10": "ResNet-20, CIFAR-10",
    "resnet18_imagenet": "ResNet-18, ImageNet sample",
    "tf2_mobilenet_v2_1.0_224_ptq": "MobileNetV2, ImageNet sample",
}
TITLES = PAPERS | OTHERS


@dataclass(frozen=True)
class Line:
    """A network and a loss: what keeps to it. Top-1 in percent, changes in percent, None where nothing was measured."""

    network: str
    images: int
    fp32: float | None
    int8: float
    loss: float
    design: str | None = None
    way: str | None = None
    points: float | None = None
    interval: tuple[float, float] | None = None
    area: float | None = None
    power: float | None = None
    rival: str | None = None
    rival_points: float | None = None
    rival_interval: tuple[float, float] | None = None
    area_against_rival: float | None = None
    power_against_rival: float | None = None


def lines_of(records: Records, where: str) -> list[Line]:
    """Every network that was measured, the paper's first, with every loss; columns are those of `where`."""
    kept = accuracies(records)
    rows = rows_of(records)
    measured = {a.network for a in kept}
    found = []
    for network in [*(n for n in TITLES if n in measured), *sorted(measured - TITLES.keys())]:
        row = next(r for r in rows if r["network"] == network)
        there = [c for c in columns(records, network) if c.where == where]
        top1 = row["top1"]
        shares = [None if top1.get(name) is None else 100 * top1[name] for name in ("fp32", "int8")]
        found += [_line(Line(network, row["images"], *shares, loss), there, kept) for loss in LOSSES]
    return found


def _line(line: Line, there: list[Column], kept: list[Accuracy]) -> Line:
    """`line` with the smallest encoded column and the smallest rival of it."""
    able = [(c, a) for c, a in points_of(there, kept, line.network) if a.points >= -line.loss]
    pairs = {}
    for rival in (False, True):
        mine = [(c, a) for c, a in able if c.is_rival == rival and c.products not in ("exact36", "exact64")]
        pairs[rival] = min(mine, key=lambda pair: (pair[0].area_um2, -pair[1].points), default=None)
    if not (ours := pairs[False]):
        return line
    column, accuracy = ours
    conventional = [c for c in there if c.products == EXACT and c.design.startswith("conv ")]
    fields = {"design": column.design, "way": accuracy.way, "points": accuracy.points, "interval": accuracy.interval}
    fields["area"] = _change(column.area_um2, (c.area_um2 for c in conventional))
    fields["power"] = _change(column.power_mw, (c.power_mw for c in conventional))
    if theirs := pairs[True]:
        fields |= {"rival": theirs[0].design, "rival_points": theirs[1].points, "rival_interval": theirs[1].interval}
        fields["area_against_rival"] = _change(column.area_um2, [theirs[0].area_um2])
        fields["power_against_rival"] = _change(column.power_mw, [theirs[0].power_mw])
    return Line(**(asdict(line) | fields))


def _change(value: float | None, bases: Iterable[float | None]) -> float | None:
    """Percent of `value` against the least of `bases`; None without them."""
    known = [base for base in bases if base]
    return None if value is None or not known else round(100 * (value / min(known) - 1), 1)


def table(lines: list[Line]) -> str:
    """The lines as Markdown, and the paper's headline."""
    names = ("network", "images", "float %", "int8 %", "within", "encoding", "top-1 %", "against int8, points")
    names += ("area", "power", "smallest exact rival", "against int8", "area against it", "power against it")
    shown = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for line in lines:
        cells = [TITLES.get(line.network, f"`{line.network}`"), f"{line.images:,}", _share(line.fp32)]
        cells += [_share(line.int8), f"{line.loss:g}"]
        if line.design is None:
            cells += ["none", *["-"] * 8]
        else:
            cells += [
                f"{line.design}, {line.way}",
                _share(line.int8 + line.points),
                _points(line.points, line.interval),
            ]
            cells += [_percent(line.area), _percent(line.power), line.rival or "none"]
            cells += [_points(line.rival_points, line.rival_interval)]
            cells += [_percent(line.area_against_rival), _percent(line.power_against_rival)]
        shown.append(f"| {' | '.join(cells)} |")
    paper = ["EncodingNet, abstract: up to", *["-"] * 7, f"{PAPER['area']} %", f"{PAPER['power']} %", *["-"] * 4]
    return "\n".join([*shown, f"| {' | '.join(paper)} |"])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{signed(value)} %"


def _points(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{signed(value, 2)} ({signed(interval[0], 2)} to {signed(interval[1], 2)})"


def hours(records: Records) -> float:
    """What the accuracy rows took on the machine that measured them: preparation of networks, and test images."""
    rows = records["accuracy"].get("rows", [])
    return sum((r.get("seconds") or 0) + ((r.get("preparation") or {}).get("seconds") or 0) for r in rows) / 3600


def main() -> None:
    """Command line."""
    args = parse("flows.table")
    obey(args)
    records = load_records(args.reports)
    platform = load_platform(args.platform)
    where = f"{platform.name}, {args.rows} rows, {args.clock_ns or platform.clock_ns:g} ns"
    if not records["accuracy"].get("rows"):
        raise UserError(f"no accuracy in {args.reports}; measure some first: make accuracy NET=... ENCODING=w4a8,m20p")
    with records.reading("accuracy", "ppa"):
        lines = lines_of(records, where)
        shown = table(lines)
    if all(line.design is None for line in lines):
        raise UserError(
            f"no encoded column of {where} in {args.reports} loses at most {LOSSES[-1]:g} point: make power"
        )
    stale = {name: list(records.found[name].stale) for name in ("accuracy", "ppa") if name in records.found}
    record = {"format": FORMAT, "where": where, "lines": [asdict(line) for line in lines], "stale": stale}
    record |= {"paper": PAPER, "accuracy_hours": round(hours(records), 2), "git_commit": git_commit()}
    tell(record)
    text = (
        f"{shown}\n\nOne column of {where}, the smallest of each kind; area and power against the best "
        f"conventional columns of 8 bits, power on tiles of the network itself. "
        f"Accuracy took {record['accuracy_hours']:.1f} hours."
    )
    if args.page:
        write_block(args.page, "table", text)
    write_text(args.reports / "table.json", json.dumps(record, indent=1) + "\n")
    print(text)
    for name in filter(stale.get, stale):
        print(f"\n{name}.json: changed since it was measured: {', '.join(stale[name])}")
    print(f"\nwritten to {args.reports / 'table.json'}{f' and {args.page}' if args.page else ''}")


if __name__ == "__main__":
    run_cli(main)
