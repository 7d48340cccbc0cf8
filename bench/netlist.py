"""Simulations of a mapped column beside Icarus Verilog on the same netlist, from netlist to transitions of every net.

Ours is the event-driven simulation (flows/power/simulate.cpp), without delays and with them, and words (flows/words),
which `make gates` runs. All compare every result of the column with the golden model's; transitions may differ from
Icarus' by a percent, as in `make power CHECK=1`. Seconds are those of the processor, of children as well.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.timing import Effort, Row, calls_per_second
from common.provenance import ROOT
from flows.platform import load_platform
from flows.power.activity import measure_activity, stimulus, workload
from flows.power.circuit import read_circuit
from flows.power.icarus import icarus_counts
from flows.sta import write_delays
from flows.synth.__main__ import forms
from flows.synth.measure import measure as synthesise
from flows.synth.netlist import TOP
from flows.words.column import LANES, Column
from flows.words.network import GateEngine
from models.replay import load_capture

Result = TypeVar("Result")
DESIGNS = ("enc m14p merged", "conv tree")
VECTORS = 128  # of each of six tiles
DIFFERENCE = 0.01  # of transitions
EFFORT = ("nf",)  # of mapping


def seconds_of(call: Callable[[], Result]) -> tuple[Result, float]:
    """What a call gives, and the seconds of processors that it and its children took."""

    def now() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + used.ru_utime + used.ru_stime

    began = now()
    found = call()
    return found, now() - began


def measure(name: str, effort: Effort, rows: int) -> list[Row]:
    """One column of so many rows."""
    platform = load_platform("osu018")
    clock_ns, design = platform.clock_ns, forms(rows, ["m14p"], columns=1, gated=True)[name][0]
    place = ROOT / "build" / "bench" / f"{platform.name}-{rows}"
    mapped = synthesise(design, rows, platform, clock_ns, place, EFFORT, simulate=False)
    circuit = read_circuit(mapped.netlist.path, platform)
    given = stimulus(workload(load_capture(), rows, VECTORS), design, rows)
    cycles = len(next(iter(given.ports.values())))
    found: list[Row] = []
    peers: dict[Path | None, float] = {}
    with tempfile.TemporaryDirectory(prefix="encmac-bench-") as scratch:
        folder = Path(scratch)
        sdf = folder / "delays.sdf"
        write_delays(circuit.path, TOP, platform, clock_ns, sdf)
        for delays in (None, sdf):
            rates: dict[str, list[float]] = {"ours": [], "peer": []}
            for _ in range(effort.rounds):
                ours, seconds = seconds_of(partial(measure_activity, circuit, design, clock_ns, given, delays))
                rates["ours"].append(cycles / seconds / 1e3)
                arguments = (circuit, design, platform, clock_ns, given, folder, delays is not None)
                theirs, seconds = seconds_of(partial(icarus_counts, *arguments))
                rates["peer"].append(cycles / seconds / 1e3)
            moved, expected = ours.toggles.sum(), (theirs.rises + theirs.falls).sum()
            same = bool(ours.matches and abs(moved - expected) <= DIFFERENCE * expected)
            mine, peers[delays] = (statistics.median(rates[side]) for side in ("ours", "peer"))
            case = f"{name}, {rows} rows, {'with' if delays else 'without'} delays"
            note = f"{case}: {moved / cycles:,.0f} transitions a cycle, {100 * (moved / expected - 1):+.2f} %"
            found.append(Row("netlist", case, "Icarus", mine, peers[delays], "kcycle/s", same, note))
    engine, call = words(Column(circuit, design, rows, clock_ns, counted=False))
    call()
    right = engine.matches > 0 and not engine.wrong
    macs = engine.macs
    rate = calls_per_second({"words": call}, effort, time.process_time)["words"] * macs / 1e6
    case, note = f"{name}, {rows} rows, words", "words: against Icarus without delays, one product a row and cycle"
    return [*found, Row("netlist", case, "Icarus", rate, peers[None] * rows / 1e3, "MMAC/s", right, note)]


def words(column: Column) -> tuple[GateEngine, Callable[[], object]]:
    """An engine of a column's gates, and a layer of random operands through it."""
    rng, engine = np.random.default_rng(1), GateEngine(column)
    x = rng.integers(-128, 128, (LANES, column.rows, 4, 4), dtype=np.int8)
    weights = rng.integers(-128, 128, (8, column.rows, 1, 1), dtype=np.int8)
    return engine, lambda: engine(x, weights)


def run(effort: Effort, size: int) -> list[Row]:
    """All columns, of `size` rows."""
    return [row for name in DESIGNS for row in measure(name, effort, size)]
