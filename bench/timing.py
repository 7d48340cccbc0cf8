"""Interleaved timing: every round times each candidate once, the median of the rounds counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Effort:
    """Rounds of each measurement and the least seconds that one candidate runs in a round."""

    rounds: int = 7
    seconds: float = 0.05


@dataclass(frozen=True)
class Row:
    """One comparison. `ours` and `peer` are rates in `unit`; `agrees` is False if a result was wrong."""

    benchmark: str
    case: str
    peer_name: str
    ours: float
    peer: float
    unit: str
    agrees: bool
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer we are."""
        return self.ours / self.peer

    def record(self) -> dict:
        """One entry of bench.json."""
        rounded = {"ours": float(f"{self.ours:.5g}"), "peer": float(f"{self.peer:.5g}")}
        return asdict(self) | rounded | {"ratio": float(f"{self.ratio:.4g}")}


def calls_per_second(
    candidates: Mapping[str, Callable[[], object]], effort: Effort, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median rate of each candidate; the candidates take turns, so a busy machine slows them alike.

    `clock` `time.process_time` counts what this process computes and not what others do meanwhile: for
    candidates that are one thread and never wait.
    """
    repeats = {}
    for name, call in candidates.items():
        call()  # first use: caches, lazily compiled code
        repeats[name] = max(1, round(effort.seconds / max(_seconds(call, 1, clock), 1e-9)))
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(effort.rounds):
        for name, call in candidates.items():
            rates[name].append(repeats[name] / _seconds(call, repeats[name], clock))
    return {name: statistics.median(found) for name, found in rates.items()}


def _seconds(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(repeats):
        call()
    return clock() - started


def peak_growth(call: Callable[[], object]) -> int | None:
    """Bytes by which the process grew at most during `call`; None where Linux's /proc does not tell."""
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is used now
        before = _kilobytes(status.read_text(), "VmRSS")
        call()
        return max(0, _kilobytes(status.read_text(), "VmHWM") - before) * 1024
    except OSError:
        return None


def _kilobytes(status: str, name: str) -> int:
    return int(status.partition(f"{name}:")[2].split()[0])
