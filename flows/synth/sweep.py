"""Sweeps of area and timing: `python -m flows.synth.sweep clock`, or `make ppa SWEEP=clock|fmax|rows|array`.

clock   every design at several clocks, iso-clock: compared only with designs that meet the same clock
fmax    the shortest clock of every design, by bisection, each trial mapped anew
rows    columns of several heights at the platform's clock
array   arrays of several sizes, built hierarchically
One table, `build/reports/ppa_<sweep>.json`, and plots beside it. Points that were measured before are kept.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor

from common.console import interruptible, signed
from common.errors import UserError, run_cli
from common.provenance import git_commit
from common.store import Store, marked, sources_of
from flows.platform import Platform, load_platform
from flows.ppa import is_conventional, key_of
from flows.synth.array import array_record, measure_array
from flows.synth.measure import Result, best_variant, fastest, flow_sources, forms, record, rivals_of
from flows.synth.netlist import Design
from flows.synth.plots import plot_array, plot_breakdown, plot_clock, plot_pareto, plot_rows
from tools.options import parse

CLOCKS = (0.5, 0.6, 0.75, 1.0, 1.5, 2.0)  # of the platform's clock
ROWS = (16, 32, 64)
SIZES = (16, 32, 64, 128)


def columns_of(platform: Platform, rows: int, args: argparse.Namespace) -> dict[str, list[Design]]:
    """Variants of every design, encoded ones also in groups where those fit; no extra columns."""
    table: dict[str, list[Design]] = {}
    gated, designs = bool(platform.clock_gate), args.designs.split(",")
    for group in (None, *(args.group or ())):
        if group is None or rows % group == 0:
            rivals = rivals_of(args.rivals)
            table |= forms(rows, designs, gated=gated, exact=args.exact, group=group, rivals=rivals)
    return {name: variants for name, variants in table.items() if not variants[0].shared}


def sweep_columns(platform: Platform, rows: int, clock_ns: float, args: argparse.Namespace) -> list[Result]:
    """The best variant of every design at one clock, those that miss it included."""
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{rows}"
    table = columns_of(platform, rows, args)
    with interruptible(ThreadPoolExecutor(max(1, args.jobs))) as pool:
        waiting = [pool.submit(best_variant, v, rows, platform, clock_ns, folder) for v in table.values()]
        return [future.result() for future in waiting]


def run(kind: str, platform: Platform, args: argparse.Namespace) -> list[dict]:
    """The points of a sweep."""
    out = args.out.resolve()
    clock_ns, rows = args.clock_ns or platform.clock_ns, args.rows
    points: list[dict] = []
    if kind == "clock":
        for share in CLOCKS:
            clock = float(f"{share * clock_ns:.4g}")
            found = sweep_columns(platform, rows, clock, args)
            points += [record(r, platform, clock) for r in found]
    elif kind == "fmax":
        folder = out / "synth"
        for name, variants in columns_of(platform, rows, args).items():
            # lookahead adders, and a register before an encoded column's final addition: the fast variant
            result, shortest = fastest(variants[-1], rows, platform, clock_ns, folder)
            print(f"{name}: {shortest:.3f} ns", flush=True)
            # the slack was that of the clock it was mapped for
            left = {"shortest_clock_ns": round(shortest, 4), "wns_ns": 0.0}
            points.append(record(result, platform, shortest) | left)
    elif kind == "rows":
        for height in ROWS:
            found = sweep_columns(platform, height, clock_ns, args)
            points += [record(r, platform, clock_ns) for r in found]
    else:
        for size in SIZES:
            folder = out / "synth" / f"{platform.name}-{clock_ns:g}ns-{size}"
            for r in sweep_columns(platform, size, clock_ns, args):
                if r.meets and "FIP" not in r.design.name:
                    array = measure_array(r, size, platform, clock_ns, folder)
                    points.append(record(r, platform, clock_ns) | {"size": size, "array": array_record(array)})
    return points


def print_points(kind: str, points: list[dict]) -> None:
    """One table, against the best conventional design of the same clock and size that meets it.

    Of the shortest clocks, by the area that a MAC takes and for how long, um2 ns: half of it is twice the throughput of
    the same silicon.
    """
    apart = kind == "fmax"
    last = f"{'um2 ns':>10}{'MACs':>8}" if apart else f"{'area':>10}"
    print(f"\n{'design':28}{'rows':>6}{'clock ns':>10}{'slack ns':>10}{'um2 per MAC':>13}{last}")
    for p in points:
        clock, cost = p["clock_ns"], cost_of(p, apart)
        like = [
            cost_of(q, apart)
            for q in points
            if is_conventional(q) and q["parameters"]["Rows"] == p["parameters"]["Rows"] and q["wns_ns"] >= 0
            if apart or q["clock_ns"] == clock
        ]
        met = p["wns_ns"] >= 0
        change = "" if met else "missed"
        if met and like:
            change = f"{min(like) / cost:.2f} x" if apart else f"{signed(100 * (cost / min(like) - 1))} %"
        last = f"{cost:10.1f}{change:>8}" if apart else f"{change:>10}"
        rows, per_mac = p["parameters"]["Rows"], cost_of(p, False)
        print(f"{p['design']:28}{rows:6}{clock:10.3f}{p['wns_ns']:10.3f}{per_mac:13.1f}{last}")


def cost_of(point: dict, timed: bool) -> float:
    """Area of a MAC, um2; `timed`: times the clock, um2 ns."""
    area = point.get("array", point)["area_um2"]["per_mac"]
    return area * point["clock_ns"] if timed else area


def goal(args: argparse.Namespace, point: dict) -> float | None:
    """The clock that a point was measured at; None where the shortest was looked for."""
    return None if args.sweep == "fmax" else point["clock_ns"]


def view(store: Store, sweep: str) -> dict:
    """`ppa_<sweep>.json`: all points of sweeps of this kind whose sources are as they were."""
    current, stale = marked(store.entries(f"sweep {sweep}"))
    points = [entry.data for entry in current]
    return {"format": "encmac-sweep/1", "sweep": sweep, "points": points, "stale": stale, "git_commit": git_commit()}


def main() -> None:
    """Command line."""
    args = parse("flows.synth.sweep")
    platform = load_platform(args.platform)
    if args.rows < 1 or (args.clock_ns is not None and args.clock_ns <= 0):
        raise UserError(f"rows ({args.rows}) and clock ({args.clock_ns} ns) must be positive")
    reports = args.out / "reports"
    heights = ROWS if args.sweep == "rows" else SIZES if args.sweep == "array" else (args.rows,)
    for group in args.group or ():
        if not any(rows % group == 0 for rows in heights):
            raise UserError(
                f"--group {group} (GROUP=): columns of {', '.join(map(str, heights))} rows have no such groups"
            )
    store, kind = Store(reports), f"sweep {args.sweep}"
    store.check()
    depends = flow_sources() | sources_of(platform.liberty)
    points = run(args.sweep, platform, args)
    store.put_all(kind, [(key_of(p) | {"size": p.get("size"), "clock_ns": goal(args, p)}, p, depends) for p in points])
    store.publish(f"ppa_{args.sweep}", lambda s: view(s, args.sweep))
    print_points(args.sweep, points)
    title = f"{platform.title}, {args.rows} rows"
    if args.sweep == "clock":
        plot_clock(points, title, reports / "ppa_clock")
    elif args.sweep == "rows":
        plot_rows(points, platform.title, reports / "ppa_rows")
    elif args.sweep == "array":
        plot_array(points, platform.title, reports / "ppa_array")
    if args.sweep == "fmax":  # every design has a clock of its own
        return
    last = [p for p in points if p["parameters"]["Rows"] == max(q["parameters"]["Rows"] for q in points)]
    plot_breakdown([p for p in last if p["clock_ns"] == last[-1]["clock_ns"]], title, reports / "ppa_breakdown")
    accuracy = reports / "accuracy.json"
    if accuracy.is_file():
        plot_pareto(last, json.loads(accuracy.read_text()), platform.title, reports / "ppa_pareto")


if __name__ == "__main__":
    run_cli(main)
