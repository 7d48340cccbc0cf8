"""Area and timing of columns and arrays in all their forms: `python -m flows.synth`.

Conventional columns (as written, Booth, hand-structured tree, carry-save), other exact columns and encoded
columns are mapped to one library by the same passes in the same ways, and timed at one clock. Each form is
tried first with ripple adders, the smallest; if that misses the clock, with lookahead; encoded columns first
without a register before the final addition, then with it. The headline compares with the smallest
conventional form that meets the clock.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from common.console import interruptible, obey, signed, tell
from common.errors import UserError, run_cli
from common.provenance import git_commit
from common.store import Store, sources_of
from flows.platform import Platform, load_platform
from flows.ppa import ARRAY_COLUMNS, compare_areas, compare_arrays, key_of, view
from flows.synth.array import SHELL_SOURCES, Array, array_record, measure_array
from flows.synth.measure import best_variant, forms, measure, record, rivals_of, sources_of_column
from flows.synth.netlist import ROOT, Design
from tools.options import parse

__all__ = ["forms", "measure", "record"]
DESIGNS = "exact64,exact36,m28p,m20p,m16p,m12p"


def print_table(records: list[dict], best: str, platform: Platform) -> None:
    """The figures as text; "column" is one column with its share of the extra column of f(a)."""
    first = records[0]
    parameters = first["parameters"]
    gated = "gated" if parameters["GateWeights"] else "ungated"
    print(
        f"\n{parameters['Rows']} rows, {parameters['Cols']} column(s) for each activation register, {gated} weights, "
        f"{platform.title}, {first['clock_ns']} ns; area of a column against {best}"
    )
    rows = [
        (
            "design",
            "adders",
            "mapping",
            "cells",
            "area um2",
            "flip-flops um2",
            "slack ns",
            "column um2",
            "area",
            "gate-level",
        )
    ]
    smallest = next((r["area_um2"]["column"] for r in records if r["design"] == best), 0.0)
    for r in records:
        area, change = r["area_um2"], r["area_reduction_percent"].get(best)
        figures = (f"{r['cells']:,}", f"{area['total']:,.0f}", f"{area['sequential']:,.0f}", f"{r['wns_ns']:.3f}")
        column = f"/{ARRAY_COLUMNS}" if r["shared"] else f"{area['column']:,.0f}"
        gate = f"{r['gate_sim']} ({r['gate_sim_matches']})"
        change = "" if change is None else f"{signed(100 * (area['column'] / smallest - 1))} %"
        how = (r["parameters"]["adders"], r["parameters"]["effort"])
        rows.append((r["design"], *how, *figures, column, change, gate))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [c.rjust(w) if 3 <= i <= 8 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells))


def tool_versions() -> dict[str, str]:
    """Yosys and OpenSTA."""
    done = subprocess.run(["sta", "-version"], capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return {"pyosys": importlib.metadata.version("pyosys"), "opensta": found.group(0) if found else ""}


def print_arrays(arrays: dict[str, Array], best: str, platform: Platform, clock_ns: float) -> None:
    """The arrays as text."""
    first = next(iter(arrays.values()))
    size = f"{first.column.rows}x{first.columns}"
    print(f"\narray {size}, {platform.title}, {clock_ns} ns; area against {best}")
    rows = [("design", "area um2", "columns", "shell", "slack ns", "area")]
    base = arrays[best].area_um2
    for name, array in arrays.items():
        parts = (array.area_um2, array.columns * array.column.netlist.area_um2, array.shell.area_um2)
        change = f"{signed(100 * (array.area_um2 / base - 1))} %"
        rows.append((name, *(f"{part:,.0f}" for part in parts), f"{array.slack_ns:.3f}", change))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))


def main() -> int:
    """Command line; exit code 0 if every design meets the clock and its netlist computed right."""
    args = parse("flows.synth")
    obey(args)
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    check_sizes(args, platform, clock_ns)
    wrong = wrong_ones(side_by_side(platform, clock_ns, args))
    if wrong:
        print(f"NOT at {clock_ns} ns or not right at gate level: {', '.join(dict.fromkeys(wrong))}")
    return 1 if wrong else 0


def check_sizes(args: argparse.Namespace, platform: Platform, clock_ns: float) -> None:
    """Refuse sizes that make no column, before anything is measured."""
    if min(args.rows, args.columns, args.array or 1) < 1 or clock_ns <= 0:
        sizes = f"rows ({args.rows}), columns ({args.columns}), array ({args.array})"
        raise UserError(f"{sizes} and clock ({clock_ns} ns) must be positive")
    if args.group is not None and (args.group < 1 or args.rows % args.group):
        raise UserError(f"rows in a group ({args.group}) must divide the rows ({args.rows})")
    if args.array and args.zeros:
        raise UserError("zero gating is measured in columns: leave out ZEROS=1 or SIZE=")
    if args.array and args.columns != 1:
        raise UserError("an array is made of single columns: --array takes --columns 1")
    if not platform.clock_gate and not args.ungated:
        raise UserError(f"platform {platform.name} names no clock_gate; add it to its config.toml or give UNGATED=1")


def wrong_ones(records: list[dict]) -> list[str]:
    """Designs that miss the clock, alone or in their array, or that computed wrong at gate level."""
    wrong = [r["design"] for r in records if r["wns_ns"] < 0 or r["gate_sim"] != "passed"]
    return wrong + [r["design"] for r in records if any(a["wns_ns"] < 0 for a in r.get("arrays", {}).values())]


def table_of(args: argparse.Namespace) -> dict[str, list[Design]]:
    """The designs that are asked for: each with its variants."""
    return forms(
        *(args.rows, args.designs.split(","), args.columns, not args.ungated, args.exact, args.group, args.counted),
        *(rivals_of(args.rivals), args.zeros),
    )


def side_by_side(platform: Platform, clock_ns: float, args: argparse.Namespace, tables: bool = True) -> list[dict]:
    """All designs at one clock: kept in the store, and shown beside each other; their entries of ppa.json.

    Raises UserError if no conventional column meets the clock.
    """
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{args.rows}"
    table = table_of(args)
    store, arrays = Store(args.out / "reports"), dict[str, Array]()
    store.check()
    depends = [sources_of_column(variants[0], platform) for variants in table.values()]
    shell = sources_of(*(ROOT / p for p in SHELL_SOURCES))
    with interruptible(ThreadPoolExecutor(max(1, args.jobs))) as pool:
        futures = [
            pool.submit(best_variant, variants, args.rows, platform, clock_ns, folder) for variants in table.values()
        ]
        results = [future.result() for future in futures]
        if args.array:
            # a column with a surplus has no array: nothing in mac_array takes it off
            fit = [r for r in results if r.meets and not r.design.shared and "FIP" not in r.design.name]
            waiting = [pool.submit(measure_array, r, args.array, platform, clock_ns, folder) for r in fit]
            arrays = {r.design.name: future.result() for r, future in zip(fit, waiting, strict=True)}
    run = {"columns": args.columns, "gated": int(not args.ungated)}
    run |= {"tools": tool_versions(), "git_commit": git_commit()}
    records = [record(r, platform, clock_ns) | run for r in results]
    store.put_all("area", [(key_of(r), r, s) for r, s in zip(records, depends, strict=True)])
    parts = {r["design"]: (r, s) for r, s in zip(records, depends, strict=True)}
    for name, array in arrays.items():
        store.put(*array_entry(parts[name][0], array), parts[name][1] | shell)
    document = store.publish("ppa", view)
    keys = [key_of(r) for r in records]
    records = sorted((r for r in document["designs"] if key_of(r) in keys), key=lambda r: keys.index(key_of(r)))
    if len(records) < len(results):
        raise UserError("sources changed while columns were measured; run the same command again")
    tell(document | {"designs": records})
    best = compare_areas(records)
    if best is None:
        raise UserError(f"no conventional column meets {clock_ns} ns on {platform.name}; give a longer CLOCK_NS")
    if tables:
        print_table(records, best, platform)
    if arrays and tables:
        size = str(args.array)
        there = [r | {"array": r["arrays"][size]} for r in records if size in r.get("arrays", {})]
        print_arrays(arrays, compare_arrays(there), platform, clock_ns)
    return records


def array_entry(record: dict, array: Array) -> tuple[str, dict, dict]:
    """An array as the store keeps it: kind, key, data."""
    data = array_record(array) | {"column_netlist_sha256": record["netlist_sha256"]}
    return "array", key_of(record) | {"size": array.columns}, data


if __name__ == "__main__":
    run_cli(main)
