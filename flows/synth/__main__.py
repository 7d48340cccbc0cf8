"""Area and timing of one column in all its forms: `python -m flows.synth`.

Conventional columns (as written, Booth, hand-structured tree, carry-save) and encoded columns are
mapped to one library by the same passes and timed at one clock. Each form is tried first with
ripple adders, the smallest; if that misses the clock, with lookahead; encoded columns first without
a register before the final addition, then with it. The headline compares with the smallest
conventional form that meets the clock.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flows.gls import Simulated, simulate_column
from flows.platform import Platform, load_platform
from flows.sta import worst_slack_ns
from flows.synth.netlist import ADDERS, ROOT, TOP, Design, Netlist, read_netlist, synthesise
from models.console import add_output_options, interruptible, obey
from models.encoding import export_package, load_encoding, write_text
from models.errors import UserError, run_cli
from models.provenance import git_commit

ARRAY_COLUMNS = 64  # that share one extra column
CONVENTIONAL = (
    ("conv written", 0, False),  # name, form in RTL, Booth recoding by Yosys
    ("conv booth", 0, True),
    ("conv tree", 1, False),
    ("conv carry-save", 2, False),
)


@dataclass(frozen=True)
class Result:
    """A mapped and timed design."""

    design: Design
    rows: int
    netlist: Netlist
    slack_ns: float
    gate: Simulated

    @property
    def meets(self) -> bool:
        """True if every path is in time."""
        return self.slack_ns >= 0


def forms(rows: int, encodings: list[str], columns: int = 1, gated: bool = False) -> dict[str, list[Design]]:
    """For each line of the table its variants, the smallest first; extra columns of f(a) have lines of their own."""
    common = (("Rows", rows), ("Cols", columns), ("GateWeights", int(gated)))
    table = {
        name: [Design(name, (*common, ("Form", form)), None, booth, adders) for adders in ADDERS]
        for name, form, booth in CONVENTIONAL
    }

    def variants(name: str, encoding: str, common: tuple, merged: int, shared: bool) -> list[Design]:
        return [
            Design(name, (*common, ("Merged", merged), ("SumRegister", register)), encoding, False, adders, shared)
            for register in (0, 1)
            for adders in ADDERS
        ]

    for encoding in encodings:
        loaded = load_encoding(encoding)
        merged = int(loaded.is_power_of_two)
        name = f"enc {loaded.name} {'merged' if merged else 'counted'}"
        table[name] = variants(name, encoding, common, merged, False)
        if loaded.shared_bits():
            name = f"f(a) of {loaded.name}"
            table[name] = variants(name, encoding, (("Rows", rows),), 0, True)
    return table


def share_of_f(records: list[dict], record: dict, value: Callable[[dict], float]) -> float:
    """What one of ARRAY_COLUMNS columns bears of the extra column of its encoding's f(a)."""
    if record["shared"]:
        return 0.0
    extra = (r for r in records if r["shared"] and r["encoding_source"] == record["encoding_source"])
    return next((value(r) / ARRAY_COLUMNS for r in extra), 0.0)


def measure(design: Design, rows: int, platform: Platform, clock_ns: float, folder: Path) -> Result:
    """Map, time and simulate one design, the mapping in a process of its own (Yosys may end it)."""
    place = folder / design.label
    packages = {name: export_package(load_encoding(name), folder) for name in {"exact64", design.encoding} if name}
    for stale in ("stat.json", "netlist.v"):
        (place / stale).unlink(missing_ok=True)
    arguments = (design, sorted(packages.values()), platform, clock_ns, place)
    process = multiprocessing.get_context("spawn").Process(target=synthesise, args=arguments)
    process.start()
    process.join()
    netlist = read_netlist(place, platform)
    slack = worst_slack_ns(netlist.path, TOP, platform, clock_ns)
    gate = simulate_column(netlist.path, design, rows, platform) if slack >= 0 else Simulated("not_run", 0, 0)
    return Result(design, rows, netlist, slack, gate)


def best_variant(variants: list[Design], rows: int, platform: Platform, clock_ns: float, folder: Path) -> Result:
    """The first variant that meets the clock, or the one that misses it least."""
    results: list[Result] = []
    for design in variants:
        result = measure(design, rows, platform, clock_ns, folder)
        print(f"{design.label}: {result.netlist.area_um2:,.0f} um2, slack {result.slack_ns:.2f} ns", flush=True)
        if result.meets:
            return result
        results.append(result)
    return max(results, key=lambda r: r.slack_ns)


def package_sha256(encoding: str | None) -> str | None:
    """What was synthesised, whatever its name: the encoding's SystemVerilog package. None for conventional columns."""
    return hashlib.sha256(load_encoding(encoding).to_systemverilog().encode()).hexdigest() if encoding else None


def record(result: Result, platform: Platform, clock_ns: float) -> dict:
    """One entry of ppa.json."""
    netlist, parameters = result.netlist, dict(result.design.parameters)
    area = netlist.area_um2
    return {
        "design": result.design.name,
        "platform": platform.name,
        "parameters": parameters | {"adders": result.design.adders, "booth": result.design.booth},
        "encoding": Path(result.design.encoding).stem if result.design.encoding else None,
        "encoding_source": result.design.encoding,
        "shared": result.design.shared,
        "package_sha256": package_sha256(result.design.encoding),
        "clock_ns": clock_ns,
        "wns_ns": round(result.slack_ns, 3),
        "fmax_mhz": round(1000 / (clock_ns - result.slack_ns), 1),
        "cells": netlist.cells,
        "area_um2": {
            "total": area,
            "sequential": netlist.sequential_um2,
            "combinational": round(area - netlist.sequential_um2, 3),
            "per_mac": round(area / result.rows / parameters.get("Cols", 1), 3),
        },
        "power_mw": None,
        "activity": None,
        "netlist": os.path.relpath(netlist.path, ROOT),
        "netlist_sha256": netlist.sha256,
        "gate_sim": result.gate.status,
        "gate_sim_matches": result.gate.matches,
    }


def column_area(records: list[dict], record: dict) -> float:
    """um2 of one column, with its share of an extra column."""
    area = record["area_um2"]["total"] / record["parameters"].get("Cols", 1)
    return area + share_of_f(records, record, lambda extra: extra["area_um2"]["total"])


def compare(records: list[dict]) -> str:
    """Fill in areas of a column and their reductions; returns the smallest conventional design that meets its clock."""
    for r in records:
        r["area_um2"]["column"] = round(column_area(records, r), 3)
    conventional = {
        r["design"]: r["area_um2"]["column"] for r in records if r["encoding_source"] is None and r["wns_ns"] >= 0
    }
    if not conventional:
        clock_ns, platform = records[0]["clock_ns"], records[0]["platform"]
        raise UserError(f"no conventional column meets {clock_ns} ns on {platform}; give a longer CLOCK_NS")
    exact = {r["design"]: r["area_um2"]["column"] for r in records if r["encoding"] == "exact64" and not r["shared"]}
    for r in records:
        bases = {} if r["shared"] else conventional | exact
        area = r["area_um2"]["column"]
        r["area_reduction_percent"] = {name: round(100 * (1 - area / base), 2) for name, base in bases.items()}
    return min(conventional, key=conventional.get)


def print_table(records: list[dict], best: str, platform: Platform) -> None:
    """The figures as text; "column" is one column with its share of the extra column of f(a)."""
    first = records[0]
    parameters = first["parameters"]
    gated = "gated" if parameters["GateWeights"] else "ungated"
    print(
        f"\n{parameters['Rows']} rows, {parameters['Cols']} column(s) for each activation register, {gated} weights, "
        f"{platform.title}, {first['clock_ns']} ns; area of a column against {best}"
    )
    rows = [("design", "adders", "cells", "area um2", "flip-flops um2", "slack ns", "column um2", "area", "gate-level")]
    for r in records:
        area, change = r["area_um2"], r["area_reduction_percent"].get(best)
        figures = (f"{r['cells']:,}", f"{area['total']:,.0f}", f"{area['sequential']:,.0f}", f"{r['wns_ns']:.2f}")
        column = f"/{ARRAY_COLUMNS}" if r["shared"] else f"{area['column']:,.0f}"
        gate = f"{r['gate_sim']} ({r['gate_sim_matches']})"
        change = "" if change is None else f"{-change:+.1f} %"
        rows.append((r["design"], r["parameters"]["adders"], *figures, column, change, gate))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [c.rjust(w) if 2 <= i <= 7 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells))


def tool_versions() -> dict[str, str]:
    """Yosys and OpenSTA."""
    done = subprocess.run(["sta", "-version"], capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return {"pyosys": importlib.metadata.version("pyosys"), "opensta": found.group(0) if found else ""}


def main() -> int:
    """Command line; exit code 0 if every design meets the clock and its netlist computed right."""
    parser = argparse.ArgumentParser(prog="flows.synth", description=__doc__.splitlines()[0])
    parser.add_argument("--platform", default="osu018", help="name, or a folder with a config.toml")
    parser.add_argument(
        "--designs", default="exact64,exact36,m28p,m20p,m16p,m12p", help="encodings, names or JSON files, with commas"
    )
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--columns", type=int, default=1, help="that share the activation registers")
    parser.add_argument("--ungated", action="store_true", help="weight registers with enables, not gated clocks")
    parser.add_argument("--clock-ns", type=float, help="default: the platform's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    add_output_options(parser)
    args = parser.parse_args()
    obey(args, args.out / "reports/ppa.json")
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    if args.rows < 1 or args.columns < 1 or clock_ns <= 0:
        raise UserError(f"rows ({args.rows}), columns ({args.columns}) and clock ({clock_ns} ns) must be positive")
    if not platform.clock_gate and not args.ungated:
        raise UserError(f"platform {platform.name} names no clock_gate; add it to its config.toml or give --ungated")
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{args.rows}"
    table = forms(args.rows, args.designs.split(","), args.columns, not args.ungated)
    with interruptible(ThreadPoolExecutor(max(1, args.jobs))) as pool:
        futures = [
            pool.submit(best_variant, variants, args.rows, platform, clock_ns, folder) for variants in table.values()
        ]
        results = [future.result() for future in futures]
    records = [record(r, platform, clock_ns) for r in results]
    best = compare(records)
    document = {
        "format": "encmac-ppa/1",
        "designs": records,
        "best_conventional": best,
        "tools": tool_versions(),
        "git_commit": git_commit(),
    }
    write_text(args.out / "reports" / "ppa.json", json.dumps(document, indent=1) + "\n")
    print_table(records, best, platform)
    wrong = [r.design.name for r in results if not r.meets or r.gate.status != "passed"]
    if wrong:
        print(f"NOT at {clock_ns} ns or not right at gate level: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    run_cli(main)
