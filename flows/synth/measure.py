"""One design measured: mapped in every way, timed, the smallest that meets the clock simulated at gate level.

Results are kept beside the netlist with the hash of all that they depend on, and are not made twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

from flows.gls import Simulated, simulate_column, surplus_of_pairs
from flows.platform import Platform
from flows.sta import worst_slack_ns
from flows.synth.netlist import ADDERS, EFFORTS, ROOT, TOP, Design, Netlist, read_netlist, synthesise
from models.encoding import export_package, load_encoding
from models.errors import UserError
from models.files import write_text

CONVENTIONAL = (  # name, form in RTL, Booth recoding by Yosys
    ("conv written", 0, False),
    ("conv booth", 0, True),
    ("conv tree", 1, False),
    ("conv carry-save", 2, False),
)
EXACT = (  # other exact designs, shown beside the conventional ones
    ("exact recoded", 3, False),
    ("exact OPT", 4, False),
    ("exact FFIP", 6, False),
    ("exact FFIP booth", 5, True),
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


def forms(
    rows: int,
    encodings: list[str],
    columns: int = 1,
    gated: bool = False,
    exact: bool = False,
    group: int | None = None,
    counted: bool = False,
) -> dict[str, list[Design]]:
    """For each line of the table its variants, the smallest first; extra columns of f(a) have lines of their own.

    With `exact`, exact designs that are not conventional are among them (fast inner products of even rows only).
    Encoded columns have a register after every `group` rows (default: after all), and, `counted`, count each
    position and weigh the counts, where otherwise one tree adds the bits of powers of two.
    """
    common = (("Rows", rows), ("Cols", columns), ("GateWeights", int(gated)))
    groups = (("RowsPerGroup", group),) if group else ()
    table = {
        name: [Design(name, (*common, ("Form", form)), None, booth, adders) for adders in ADDERS]
        for name, form, booth in (*CONVENTIONAL, *(EXACT if exact else ()))
        if form < 5 or rows % 2 == 0
    }

    def variants(name: str, encoding: str, common: tuple, merged: int, shared: bool) -> list[Design]:
        return [
            Design(name, (*common, ("Merged", merged), ("SumRegister", register)), encoding, False, adders, shared)
            for register in (0, 1)
            for adders in ADDERS
        ]

    for encoding in encodings:
        loaded = load_encoding(encoding)
        merged = int(loaded.is_power_of_two and not counted)
        name = f"enc {loaded.name} {'merged' if merged else 'counted'}{f' g{group}' if group else ''}"
        table[name] = variants(name, encoding, (*common, *groups), merged, False)
        if loaded.shared_bits():
            name = f"f(a) of {loaded.name}"
            table[name] = variants(name, encoding, (("Rows", rows), *groups), 0, True)
    return table


def fingerprint(design: Design, rows: int, platform: Platform, clock_ns: float, efforts: tuple[str, ...]) -> str:
    """Hash of all that a result depends on: RTL, encoding, library, constraints, flow."""
    code = [*Path(__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.sv")]
    rtl = [p for p in (ROOT / "rtl").rglob("*.sv*") if "encodings" not in p.parts and "formal" not in p.parts]
    flow = [Path(__file__).parent.parent / name for name in ("sta/__init__.py", "gls/__init__.py", "platform.py")]
    digest = hashlib.sha256(repr((design, rows, clock_ns, efforts, package_sha256(design.encoding))).encode())
    stamp = platform.liberty.stat()
    known = dataclasses.replace(platform, folder=Path())
    digest.update(repr((known, stamp.st_size, stamp.st_mtime_ns)).encode())
    for path in sorted([*code, *rtl, *flow]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def measure(
    design: Design,
    rows: int,
    platform: Platform,
    clock_ns: float,
    folder: Path,
    efforts: tuple[str, ...] = tuple(EFFORTS),
    simulate: bool = True,
) -> Result:
    """Map in every way, time, choose, simulate one design, the mapping in a process of its own (Yosys may end it)."""
    place = folder / design.label
    key = fingerprint(design, rows, platform, clock_ns, efforts)
    kept = place / "result.json"
    if found := _kept(kept, key, design, rows, simulate):
        return found
    packages = {name: export_package(load_encoding(name), folder) for name in {"exact64", design.encoding} if name}
    arguments = (design, sorted(packages.values()), platform, clock_ns, place, efforts)
    process = multiprocessing.get_context("spawn").Process(target=synthesise, args=arguments)
    process.start()
    process.join()
    netlist, slack = choose([place / effort for effort in efforts], TOP, platform, clock_ns)
    wanted = simulate and slack >= 0
    gate = simulate_column(netlist.path, design, rows, platform) if wanted else Simulated("not_run", 0, 0)
    result = Result(design, rows, netlist, slack, gate)
    document = {"key": key, "netlist": dataclasses.asdict(netlist), "slack_ns": slack, "gate": dataclasses.asdict(gate)}
    write_text(kept, json.dumps(document, default=str))
    return result


def _kept(path: Path, key: str, design: Design, rows: int, simulate: bool) -> Result | None:
    """A result that was made before from the same inputs and whose netlist is still the same."""
    try:
        found = json.loads(path.read_text())
        netlist = Netlist(**found["netlist"] | {"path": Path(found["netlist"]["path"])})
        same = found["key"] == key and hashlib.sha256(netlist.path.read_bytes()).hexdigest() == netlist.sha256
    except (OSError, KeyError, TypeError, json.JSONDecodeError):
        return None
    gate = Simulated(**found["gate"])
    ran = not simulate or gate.status == "passed" or found["slack_ns"] < 0
    return Result(design, rows, netlist, found["slack_ns"], gate) if same and ran else None


def choose(places: list[Path], top: str, platform: Platform, clock_ns: float) -> tuple[Netlist, float]:
    """Of netlists made in several ways the smallest that meets the clock, or the one that misses it least; slack."""
    found = [read_netlist(place, platform, place.name) for place in places]
    timed = []
    for netlist in sorted(found, key=lambda n: n.area_um2):
        slack = worst_slack_ns(netlist.path, top, platform, clock_ns)
        if slack >= 0:
            return netlist, slack
        timed.append((netlist, slack))
    return max(timed, key=lambda pair: pair[1])


def best_variant(variants: list[Design], rows: int, platform: Platform, clock_ns: float, folder: Path) -> Result:
    """The first variant that meets the clock, or the one that misses it least."""
    results: list[Result] = []
    for design in variants:
        result = measure(design, rows, platform, clock_ns, folder)
        said = f"{design.label} ({result.netlist.effort}): {result.netlist.area_um2:,.0f} um2"
        print(f"{said}, slack {result.slack_ns:.3f} ns", flush=True)
        if result.meets:
            return result
        results.append(result)
    return max(results, key=lambda r: r.slack_ns)


def fastest(
    design: Design, rows: int, platform: Platform, start_ns: float, folder: Path, tolerance: float = 0.02
) -> tuple[Result, float]:
    """The shortest clock (ns) that a design meets when it is mapped for it, by bisection to `tolerance` of it.

    Every trial maps anew: a netlist made for a slow clock is no fast one. Raises UserError if no clock is met.
    """
    low, high, best, clock = 0.0, None, None, start_ns
    for _ in range(16):
        result = measure(design, rows, platform, clock, folder / f"{platform.name}-{clock:g}ns-{rows}", simulate=False)
        if result.meets:
            # the netlist itself could run at this clock
            high, best = min(clock, clock - result.slack_ns), result
        else:
            low = clock
        if high is not None and high - low <= tolerance * high:
            return best, high
        step = 2 * low if high is None else max(low, 0.7 * high) if low == 0 else (low + high) / 2
        clock = float(f"{step:.4g}")
    raise UserError(f"{design.label} meets no clock up to {clock:g} ns on {platform.name}")


def package_sha256(encoding: str | None) -> str | None:
    """What was synthesised, whatever its name: the encoding's SystemVerilog package. None for conventional columns."""
    return hashlib.sha256(load_encoding(encoding).to_systemverilog().encode()).hexdigest() if encoding else None


def record(result: Result, platform: Platform, clock_ns: float) -> dict:
    """One entry of ppa.json."""
    netlist, parameters = result.netlist, dict(result.design.parameters)
    area = netlist.area_um2
    flags = {"adders": result.design.adders, "booth": result.design.booth, "effort": netlist.effort}
    return {
        "design": result.design.name,
        "platform": platform.name,
        "parameters": parameters | flags,
        "encoding": Path(result.design.encoding).stem if result.design.encoding else None,
        "encoding_source": result.design.encoding,
        "shared": result.design.shared,
        "surplus": surplus_of_pairs(result.design),
        "package_sha256": package_sha256(result.design.encoding),
        "clock_ns": clock_ns,
        "wns_ns": round(result.slack_ns, 4),
        "fmax_mhz": round(1000 / (clock_ns - result.slack_ns), 1),
        "cells": netlist.cells,
        "area_um2": {
            "total": area,
            "sequential": netlist.sequential_um2,
            "combinational": round(area - netlist.sequential_um2, 3),
            "per_mac": round(area / result.rows / parameters.get("Cols", 1), 3),
            "by_purpose": netlist.areas_um2,
        },
        "power_mw": None,
        "activity": None,
        "netlist": os.path.relpath(netlist.path, ROOT),
        "netlist_sha256": netlist.sha256,
        "gate_sim": result.gate.status,
        "gate_sim_matches": result.gate.matches,
    }
