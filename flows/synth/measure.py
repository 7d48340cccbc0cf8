"""One design measured: mapped in every way, timed, the smallest that meets the clock simulated at gate level.

Results are kept beside the netlist with the hash of all that they depend on, and are not made twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, file_fault
from common.files import locked, making, sweep, write_text
from common.processes import ended, spawn
from common.store import check_steady, sources_of
from flows.gls import Simulated, simulate_column, surplus_of_pairs
from flows.platform import Platform
from flows.ppa import package_sha256
from flows.sta import worst_slack_ns
from flows.synth.netlist import ADDERS, EFFORTS, ROOT, TOP, Design, Netlist, read_netlist, synthesise
from models.encoding import check_name, encoding_file, export_package, load_encoding
from models.rivals import ACTIVATION_BITS, WEIGHT_BITS, widths

CONVENTIONAL = (  # name, form in RTL, Booth recoding by Yosys
    ("conv written", 0, False),
    ("conv booth", 0, True),
    ("conv tree", 1, False),
    ("conv carry-save", 2, False),
)
EXACT = (  # other exact designs, shown beside the conventional ones
    ("exact recoded", 3, False),
    ("exact OPT1-WS", 4, False),
    ("exact FIP", 6, False),
    ("exact FIP booth", 5, True),
)
SURPLUS = 6  # form of the extra column of a fast inner product
RIVALS = ("w4a8", "w4a7", "w5a8")  # fewer bits at an accuracy near that of the encodings
ZERO_GATED = "zero-gated"  # ends the names of designs whose activation registers stand still at 0

# what every column depends on beside its encoding and its library
SOURCES = ("rtl/encmac_pkg.sv", "rtl/encmac_checks.svh", "rtl/mult", "rtl/accum")
SOURCES += ("rtl/array", "flows/synth/netlist.py", "flows/synth/measure.py", "flows/synth/column_top.sv")
SOURCES += ("flows/cells.py", "flows/platform.py", "flows/sta", "flows/gls", "tb/tests/column.py", "models/hardware")
KEPT_RESULTS = 4  # of a design on a platform: those before a change of its sources


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
    rivals: Sequence[str] = (),
    zeros: bool = False,
) -> dict[str, list[Design]]:
    """For each line of the table its variants, the smallest first; extra columns have lines of their own.

    With `exact`, exact designs that are not conventional are among them (fast inner products of even rows only).
    Encoded columns have a register after every `group` rows (default: after all), and, `counted`, count each
    position and weigh the counts, where otherwise one tree adds the bits of powers of two. Every form is there with
    the widths of each of the `rivals` (names such as w4a8) as well, and with `zeros` every line a second time, its
    activation registers standing still while activations are 0.
    """
    common = (("Rows", rows), ("Cols", columns), ("GateWeights", int(gated)))
    groups = (("RowsPerGroup", group),) if group else ()
    table = {}
    for rival in ("", *rivals):
        weight_bits, activation_bits = widths(rival) or (8, 8)
        narrow = (("ABits", activation_bits), ("WBits", weight_bits)) if rival else ()
        for name, form, booth in (*CONVENTIONAL, *(EXACT if exact else ())):
            if form >= 5 and rows % 2:
                continue
            name = f"{name} {rival}".strip()
            table[name] = [Design(name, (*common, ("Form", form), *narrow), None, booth, adders) for adders in ADDERS]
            if form == SURPLUS:
                name = f"surplus of FIP a{activation_bits}"
                sizes = (("Rows", rows), ("Form", form), ("ABits", activation_bits), ("WBits", 0))
                table[name] = [Design(name, sizes, None, booth, adders, True) for adders in ADDERS]

    def variants(name: str, encoding: str, common: tuple, merged: int, shared: bool) -> list[Design]:
        return [
            Design(name, (*common, ("Merged", merged), ("SumRegister", register)), encoding, False, adders, shared)
            for register in (0, 1)
            for adders in ADDERS
        ]

    sources: dict[str, str] = {}
    for encoding in dict.fromkeys([*encodings, *rivals]):
        loaded = load_encoding(encoding)
        check_name(loaded.name, loaded.sha256, encoding)
        if sources.setdefault(loaded.name, loaded.sha256) != loaded.sha256:
            raise UserError(f"two of the encodings are called '{loaded.name}' and differ; rename one of them")
        merged = int(loaded.is_power_of_two and not counted)
        name = f"enc {loaded.name} {'merged' if merged else 'counted'}{f' g{group}' if group else ''}"
        table[name] = variants(name, encoding, (*common, *groups), merged, False)
        if loaded.shared_bits():
            name = f"f(a) of {loaded.name}"
            table[name] = variants(name, encoding, (("Rows", rows), *groups), 0, True)
    if zeros:
        for name, plain in [(name, plain) for name, plain in table.items() if not plain[0].shared]:
            gated_name = f"{name} {ZERO_GATED}"
            table[gated_name] = [
                dataclasses.replace(d, name=gated_name, parameters=(*d.parameters, ("GateZeros", 1))) for d in plain
            ]
    return table


def rivals_of(names: str | None) -> tuple[str, ...]:
    """Rivals from the user's list: `1` stands for RIVALS, `all` for every width; UserError for what is none."""
    if not names:
        return ()
    if names == "1":
        return RIVALS
    if names == "all":
        return tuple(f"w{w}a{a}" for w in WEIGHT_BITS for a in ACTIVATION_BITS if (w, a) != (8, 8))
    for name in names.split(","):
        if not widths(name):
            raise UserError(f"'{name}' is no rival; give widths of weights and activations, for example w4a8,w5a7")
    return tuple(names.split(","))


def fingerprint(design: Design, rows: int, platform: Platform, clock_ns: float, efforts: tuple[str, ...]) -> str:
    """Hash of all that a result depends on: RTL, encoding, library, constraints, flow, tools."""
    nameless = dataclasses.replace(design, encoding=None)  # where a user's encoding lies does not matter
    what = (nameless, package_sha256(design.encoding), rows, clock_ns, efforts, platform.sha256, flow_sources())
    return hashlib.sha256(repr(what).encode()).hexdigest()


def flow_sources() -> dict[str, str]:
    """RTL, flow and tools of every column, by name and hash."""
    return sources_of(*(ROOT / name for name in SOURCES), packages=["pyosys"], programs=["sta"])


def sources_of_column(design: Design, platform: Platform) -> dict[str, str]:
    """What a result in the store depends on, by name and hash."""
    files = [path for path in (platform.folder / "config.toml",) if path.is_file()]
    files += [platform.liberty, platform.cell_models]
    files += [path for path in [encoding_file(design.encoding or "")] if path.is_file()]
    return flow_sources() | sources_of(*files)


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
    key = fingerprint(design, rows, platform, clock_ns, efforts)
    place = folder / design.label / key[:12]
    # one command makes it, others wait for it; a folder of its own until it is whole
    with locked(place.with_name(f"{place.name}.lock")):
        if found := _kept(place, key, design, rows, simulate):
            return found
        with making(place) as made:
            packages = [export_package(load_encoding(design.encoding), made)] if design.encoding else []
            in_a_process(synthesise, design, packages, platform, clock_ns, made, efforts)
            netlist, slack = choose([made / effort for effort in efforts], TOP, platform, clock_ns)
            wanted = simulate and slack >= 0
            gate = simulate_column(netlist.path, design, rows, platform) if wanted else Simulated("not_run", 0, 0)
            netlist = dataclasses.replace(netlist, path=place / netlist.path.relative_to(made))
            check_steady(design.label, key, fingerprint(design, rows, platform, clock_ns, efforts))
            document = {"key": key, "netlist": dataclasses.asdict(netlist), "slack_ns": slack}
            document |= {"gate": dataclasses.asdict(gate)}
            write_text(made / "result.json", json.dumps(document, default=str))
    sweep(folder / design.label, "[0-9a-f]*", KEPT_RESULTS, spare=place)
    return Result(design, rows, netlist, slack, gate)


def in_a_process(target: Callable, *arguments: object) -> None:
    """Run what Yosys may end in a process of its own, which ends with this one; UserError if it was killed."""
    process = spawn(_child, target, *arguments)
    ended(process)
    if process.exitcode == os.EX_IOERR:
        raise UserError("synthesis could not write its files: is the disk full? Nothing of it is kept; run it again")
    if process.exitcode and process.exitcode < 0:
        name = signal.Signals(-process.exitcode).name
        raise UserError(f"synthesis was killed by {name}; nothing of it is kept, run the same command again")


def _child(target: Callable, *arguments: object) -> None:
    try:
        target(*arguments)
    except OSError as error:
        if not file_fault(error):
            raise
        os._exit(os.EX_IOERR)


def _kept(place: Path, key: str, design: Design, rows: int, simulate: bool) -> Result | None:
    """A result that was made before from the same inputs and whose netlist is still the same."""
    try:
        found = json.loads((place / "result.json").read_text())
        netlist = Netlist(**found["netlist"] | {"path": place / found["netlist"]["effort"] / "netlist.v"})
        gate = Simulated(**found["gate"])
        same = found["key"] == key and unchanged(netlist)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    ran = not simulate or gate.status == "passed" or found["slack_ns"] < 0
    return Result(design, rows, netlist, found["slack_ns"], gate) if same and ran else None


def unchanged(netlist: Netlist) -> bool:
    """Whether a netlist that was kept is still the one that was mapped; told if it is not, since it is overwritten."""
    same = hashlib.sha256(netlist.path.read_bytes()).hexdigest() == netlist.sha256
    if not same:
        path = os.path.relpath(netlist.path)
        print(f"encmac: {path} was changed since it was mapped; it is mapped anew", file=sys.stderr, flush=True)
    return same


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


def rival_of(design: Design) -> str | None:
    """Widths of a design of fewer bits, such as w4a8; None of another."""
    if design.encoding:
        return design.encoding if widths(design.encoding) else None
    parameters = dict(design.parameters)
    return f"w{parameters['WBits']}a{parameters['ABits']}" if parameters.get("WBits") else None


def record(result: Result, platform: Platform, clock_ns: float) -> dict:
    """One entry of ppa.json."""
    netlist, parameters = result.netlist, dict(result.design.parameters)
    area = netlist.area_um2
    flags = {"adders": result.design.adders, "booth": result.design.booth, "effort": netlist.effort}
    return {
        "design": result.design.name,
        "platform": platform.name,
        "platform_sha256": platform.sha256,
        "parameters": parameters | flags,
        "encoding": Path(result.design.encoding).stem if result.design.encoding else None,
        "encoding_source": result.design.encoding,
        "shared": result.design.shared,
        "surplus": surplus_of_pairs(result.design),
        "rival": rival_of(result.design),
        "package_sha256": package_sha256(result.design.encoding),
        "encoding_sha256": load_encoding(result.design.encoding).sha256 if result.design.encoding else None,
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
