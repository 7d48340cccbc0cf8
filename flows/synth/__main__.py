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


def forms(rows: int, encodings: list[str]) -> dict[str, list[Design]]:
    """For each line of the table its variants, the smallest first."""
    table = {
        name: [Design(name, (("Rows", rows), ("Form", form)), None, booth, adders) for adders in ADDERS]
        for name, form, booth in CONVENTIONAL
    }
    for encoding in encodings:
        loaded = load_encoding(encoding)
        merged = int(loaded.is_power_of_two)
        name = f"enc {loaded.name} {'merged' if merged else 'counted'}"
        table[name] = [
            Design(name, (("Rows", rows), ("Merged", merged), ("SumRegister", register)), encoding, False, adders)
            for register in (0, 1)
            for adders in ADDERS
        ]
    return table


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


def record(result: Result, baselines: dict[str, Result], platform: Platform, clock_ns: float) -> dict:
    """One entry of ppa.json."""
    netlist, rows = result.netlist, result.rows
    area = netlist.area_um2
    return {
        "design": result.design.name,
        "platform": platform.name,
        "parameters": dict(result.design.parameters) | {"adders": result.design.adders, "booth": result.design.booth},
        "encoding": Path(result.design.encoding).stem if result.design.encoding else None,
        "encoding_source": result.design.encoding,
        "package_sha256": package_sha256(result.design.encoding),
        "clock_ns": clock_ns,
        "wns_ns": round(result.slack_ns, 3),
        "fmax_mhz": round(1000 / (clock_ns - result.slack_ns), 1),
        "cells": netlist.cells,
        "area_um2": {
            "total": area,
            "sequential": netlist.sequential_um2,
            "combinational": round(area - netlist.sequential_um2, 3),
            "per_mac": round(area / rows, 3),
        },
        "power_mw": None,
        "activity": None,
        "netlist": os.path.relpath(netlist.path, ROOT),
        "netlist_sha256": netlist.sha256,
        "gate_sim": result.gate.status,
        "gate_sim_matches": result.gate.matches,
        "area_reduction_percent": {
            name: round(100 * (1 - area / base.netlist.area_um2), 2) for name, base in baselines.items()
        },
    }


def print_table(results: list[Result], best: Result, clock_ns: float, platform: Platform) -> None:
    """The figures as text."""
    print(f"\none column of {results[0].rows} rows, {platform.title}, {clock_ns} ns; area against {best.design.name}")
    rows = [("design", "adders", "cells", "area um2", "flip-flops um2", "slack ns", "area", "gate-level")]
    for r in results:
        change = 100 * (r.netlist.area_um2 / best.netlist.area_um2 - 1)
        figures = (f"{r.netlist.cells:,}", f"{r.netlist.area_um2:,.0f}", f"{r.netlist.sequential_um2:,.0f}")
        gate = f"{r.gate.status} ({r.gate.matches})"
        rows.append((r.design.name, r.design.adders, *figures, f"{r.slack_ns:.2f}", f"{change:+.1f} %", gate))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [c.rjust(w) if 2 <= i <= 6 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
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
    parser.add_argument("--clock-ns", type=float, help="default: the platform's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    add_output_options(parser)
    args = parser.parse_args()
    obey(args, args.out / "reports/ppa.json")
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    if args.rows < 1 or clock_ns <= 0:
        raise UserError(f"rows ({args.rows}) and clock ({clock_ns} ns) must be positive")
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{args.rows}"
    table = forms(args.rows, args.designs.split(","))
    with interruptible(ThreadPoolExecutor(max(1, args.jobs))) as pool:
        futures = [
            pool.submit(best_variant, variants, args.rows, platform, clock_ns, folder) for variants in table.values()
        ]
        results = [future.result() for future in futures]
    conventional = {r.design.name: r for r in results if r.design.encoding is None and r.meets}
    if not conventional:
        raise UserError(f"no conventional column meets {clock_ns} ns on {platform.name}; give a longer CLOCK_NS")
    best = min(conventional.values(), key=lambda r: r.netlist.area_um2)
    baselines = conventional | {r.design.name: r for r in results if r.design.encoding == "exact64"}
    document = {
        "format": "encmac-ppa/1",
        "designs": [record(r, baselines, platform, clock_ns) for r in results],
        "best_conventional": best.design.name,
        "tools": tool_versions(),
        "git_commit": git_commit(),
    }
    write_text(args.out / "reports" / "ppa.json", json.dumps(document, indent=1) + "\n")
    print_table(results, best, clock_ns, platform)
    wrong = [r.design.name for r in results if not r.meets or r.gate.status != "passed"]
    if wrong:
        print(f"NOT at {clock_ns} ns or not right at gate level: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    run_cli(main)
