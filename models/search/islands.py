"""Islands: searches that run side by side, exchange results, and survive what happens to computers.

Rounds are synchronous. In each round every island anneals from its own best or its left neighbour's,
whichever has the lower energy under the island's own price. A round is a pure function of the round
before, so the archive depends on the seed and the number of islands alone, not on scheduling: a
worker that is lost only costs the time to run its round again. After each round the whole state is
written (temporary file, then rename); the same command goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np

from common.errors import UserError
from common.files import write_text
from common.processes import begin
from common.provenance import ROOT
from models.encoding import Encoding, from_json
from models.search.anneal import HEATS, Task, allowed_weights, energy, integers, start
from models.search.assemble import build_encoding
from models.search.cost import gate_areas
from models.search.moments import Moments
from models.search.native import CODES, Annealed, Schedule, anneal
from models.search.presets import all_figures
from models.search.select import Progress
from models.search.target import Target

FORMAT = "encmac-archive/1"
PRICES = (0.0, 0.3, 1.0, 3.0)  # of relative gate area, one after another over the islands
RETRIES = 5


@dataclass(frozen=True)
class Archipelago:
    """What to search: `task` (its price and restarts are not used), number of islands and rounds."""

    task: Task
    islands: int = 4
    rounds: int = 8

    def __post_init__(self) -> None:
        if self.islands < 1 or self.rounds < 1:
            raise UserError(f"{self.islands} islands, {self.rounds} rounds; both must be at least 1")


@dataclass(frozen=True)
class Island:
    """State of an island: circuits [M][7], weights [M], error variance."""

    circuits: list
    weights: list
    error: float

    def annealed(self) -> Annealed:
        """The arrays of models.search.native."""
        return Annealed(np.array(self.circuits, np.int32), np.array(self.weights, np.float64), self.error, 0)


class Executor(Protocol):
    """Runs `function` on each argument tuple and returns the results in order."""

    def map(self, function: object, arguments: list[tuple]) -> list: ...


class Serial:
    """One after another in this process."""

    def map(self, function, arguments: list[tuple]) -> list:
        return [function(*a) for a in arguments]


class Processes:
    """A pool of processes; if one dies, a new pool runs what is missing."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        spawn = get_context("spawn")
        return ProcessPoolExecutor(self.workers, spawn, initializer=begin, initargs=(os.getpid(),))

    def map(self, function, arguments: list[tuple]) -> list:
        done: dict[int, object] = {}
        for _ in range(RETRIES):
            waiting = {i: self.pool.submit(function, *a) for i, a in enumerate(arguments) if i not in done}
            broken = False
            for i, future in waiting.items():
                try:
                    done[i] = future.result()
                except BrokenProcessPool:
                    broken = True
            if not broken:
                return [done[i] for i in range(len(arguments))]
            self.pool = self._new()
        raise UserError(
            f"worker processes died {RETRIES} times in one round; is there enough memory? fewer workers help"
        )


def certificates() -> object:
    """Who we are for a scheduler over TLS: ca.pem, cert.pem, key.pem of the folder `tls` or $ENCMAC_TLS."""
    from distributed import Security

    folder = Path(os.environ.get("ENCMAC_TLS") or ROOT / "tls")
    ca, cert, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
    for path in (ca, cert, key):
        if not path.is_file():
            raise UserError(f"tls:// needs {path}; make certificates with tools/certificates.sh, or set ENCMAC_TLS")
    return Security(tls_ca_file=str(ca), tls_client_cert=str(cert), tls_client_key=str(key), require_encryption=True)


class Dask:
    """A cluster of Dask `distributed`; its scheduler runs tasks of lost workers again."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise UserError("SCHEDULER needs Dask; install it: pip install distributed==2026.7.1") from error
        for part in ("client", "batched", "core"):  # what they log of a lost scheduler, `map` says in one line
            logging.getLogger(f"distributed.{part}").setLevel(logging.CRITICAL)
        self.address, self.lost = address, (distributed.CancelledError, distributed.comm.CommClosedError, TimeoutError)
        self.killed = distributed.KilledWorker
        try:
            security = certificates() if address.startswith("tls://") else None
            self.client = distributed.Client(address.removeprefix("insecure-"), timeout="3s", security=security)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"no Dask scheduler at {address}; start one in the checkout: .venv/bin/python -m dask scheduler"
            ) from error
        if not self.client.scheduler_info()["workers"]:
            start_one = f".venv/bin/python -m dask worker {address}"
            print(f"the scheduler has no workers yet; start some in the checkout: {start_one}", file=sys.stderr)

    def map(self, function, arguments: list[tuple]) -> list:
        with self.faults():
            futures = [self.client.submit(function, *a, pure=False, retries=RETRIES) for a in arguments]
            return self.client.gather(futures)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """What a cluster may raise within, as one line for the user."""
        try:
            yield
        except self.killed as error:
            raise UserError(
                "workers died again and again with the same task; is there enough memory on them? fewer threads help"
            ) from error
        except self.lost as error:
            raise UserError(
                f"lost the Dask scheduler at {self.address}; start it anew, then the same command goes on"
            ) from error
        except (ModuleNotFoundError, RuntimeError) as error:
            missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
            if not isinstance(missing, ModuleNotFoundError):
                raise
            raise UserError(
                f"the Dask scheduler or a worker cannot import '{missing.name}'; start both in the checkout: "
                f".venv/bin/python -m dask scheduler, .venv/bin/python -m dask worker {self.address}"
            ) from error


@lru_cache(maxsize=2)
def _moments(key: bytes, joint: bytes, coherent: bytes | None) -> Moments:
    as_array = [np.frombuffer(v).reshape(256, 256) if v else None for v in (joint, coherent)]
    return Target(as_array[0], as_array[1]).moments()


def island_round(target: tuple, plan: dict, number: int, turn: int, own: Island | None, left: Island | None) -> Island:
    """One island's round: a pure function of its arguments. `target` is (joint, coherent) as bytes."""
    moments = _moments(hashlib.sha256(target[0]).digest(), *target)
    task = Task(**plan)
    area = gate_areas()
    area = area / area[CODES["xor"]] / task.m
    price = PRICES[number % len(PRICES)]
    if own is None:
        circuits, weights = start(task, moments, lambda _stage, _error: None)
        best = origin = Annealed(circuits, weights, np.inf, 0)
    else:
        states = [s.annealed() for s in (own, left) if s is not None]
        best = origin = min(states, key=lambda s: energy(s, area, price))
    schedule = Schedule(
        task.steps, HEATS[(turn + number) % len(HEATS)], 1e-4, (task.seed * 1009 + number) * 1013 + turn
    )
    found = anneal(moments, origin.circuits, origin.weights, schedule, allowed_weights(task.weights), area, price)
    if energy(found, area, price) < energy(best, area, price):
        best = found
    return Island(best.circuits.tolist(), best.weights.tolist(), float(best.error))


@dataclass
class Archive:
    """State of a run: finished rounds, islands, Pareto front (noise or error against column area)."""

    plan: dict
    fingerprint: str
    turn: int
    islands: list[Island | None]
    front: list[dict]
    history: list[dict] = field(default_factory=list)  # of each round: error of the best island, members of the front

    def save(self, path: Path) -> None:
        """Write the archive whole or not at all."""
        data = {"format": FORMAT} | asdict(self)
        write_text(path, json.dumps(data) + "\n")

    def encodings(self) -> list[Encoding]:
        """The front, least area first."""
        return [from_json(entry["encoding"], "archive") for entry in self.front]


def load_archive(path: Path) -> Archive:
    """Read an archive; UserError if it is damaged or of another version."""
    try:
        data = json.loads(path.read_text())
        if data.pop("format", None) != FORMAT:
            raise UserError(
                f"{path}: the archive's format is not '{FORMAT}'; delete it or use the version that wrote it"
            )
        data["islands"] = [Island(**i) if i else None for i in data["islands"]]
        return Archive(**data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: damaged archive ({error}); delete it to start anew") from error


def dominates(p: dict, q: dict) -> bool:
    """True if p is no worse than q in cost, error and maximal error, and better in one."""
    keys = ("cost", "error", "max_error")
    return all(p[k] <= q[k] for k in keys) and any(p[k] < q[k] for k in keys)


def add_to_front(front: list[dict], entry: dict) -> list[dict]:
    """The Pareto front with `entry`, if nothing in it is as good; ordered by cost."""
    if any(dominates(e, entry) or all(e[k] == entry[k] for k in ("cost", "error", "max_error")) for e in front):
        return front
    kept = [e for e in front if not dominates(entry, e)]
    return sorted([*kept, entry], key=lambda e: (e["cost"], e["error"], e["max_error"]))


def run_islands(
    plan: Archipelago, target: Target, executor: Executor, path: Path, progress: Progress, name: str = "island"
) -> Archive:
    """Search until `plan.rounds` rounds are done, going on from `path` if it exists."""
    settings = asdict(plan.task) | {"islands": plan.islands}
    fingerprint = hashlib.sha256(
        target.joint.tobytes() + (b"" if target.coherent is None else target.coherent.tobytes())
    )
    archive = Archive(settings, fingerprint.hexdigest()[:16], 0, [None] * plan.islands, [])
    if path.exists():
        stored = load_archive(path)
        if (stored.plan, stored.fingerprint) != (archive.plan, archive.fingerprint):
            raise UserError(
                f"{path}: the archive is of another search (M, weights, seed, islands or target); delete it"
            )
        if stored.turn > plan.rounds:
            raise UserError(f"{path}: {stored.turn} rounds were run, more than ROUNDS={plan.rounds}; delete it")
        archive = stored
    data = (
        target.joint.tobytes(),
        None if target.coherent is None else np.ascontiguousarray(target.coherent).tobytes(),
    )
    moments = _moments(hashlib.sha256(data[0]).digest(), *data)
    while archive.turn < plan.rounds:
        turn, states = archive.turn, archive.islands
        arguments = [(data, asdict(plan.task), i, turn, states[i], states[i - 1]) for i in range(plan.islands)]
        archive.islands = executor.map(island_round, arguments)
        for number, state in enumerate(archive.islands):
            archive.front = add_to_front(archive.front, _entry(f"{name}{number}", state, target, moments))
        archive.turn += 1
        best = min(s.error for s in archive.islands)
        archive.history.append({"round": archive.turn, "error": best, "front": len(archive.front)})
        archive.save(path)
        progress(f"round {archive.turn}", best)
    return archive


def _entry(name: str, state: Island, target: Target, moments: Moments) -> dict:
    """An island's best as a member of the front."""
    found = integers(state.annealed(), moments)
    encoding = build_encoding(name, f"{len(found.circuits)} product bits", found.circuits, found.weights, target.joint)
    encoding.figures.update(all_figures(encoding, None if target.uniform else target))
    noise = target.noise(encoding.product_table)
    values = {"cost": encoding.figures["column_area_um2"], "error": noise, "max_error": encoding.max_relative_error()}
    return values | {"encoding": encoding.to_json()}
