"""Where the runs of a regression happen: processes of this machine, or Dask workers on many.

A worker may be lost at any time (killed, out of memory, its machine gone). What it was running is run
again by another and the result says so; after `ATTEMPTS` losses the run has none.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.console import interruptible
from common.processes import begin

ATTEMPTS = 3


@dataclass(frozen=True)
class Done:
    """A run that has ended: which one, what it returned (None: lost for good), the workers lost with it."""

    index: int
    result: object
    lost: tuple[str, ...] = ()


class Workers(Protocol):
    """Runs `function(*task)` for every task, in any order."""

    def run(self, function: Callable, tasks: list[tuple]) -> Iterator[Done]: ...


def _noted(notes: str, index: int, function: Callable, task: tuple) -> object:
    """Run a task; a file tells that this process began it. Ctrl-C ends the process, or it would go on to the next."""
    (Path(notes) / f"{index}-{os.getpid()}").touch()
    try:
        return function(*task)
    except KeyboardInterrupt:
        os._exit(130)


class Processes:
    """A pool of processes. If one dies the pool is gone with all that it was running: a new one does that again."""

    def __init__(self, jobs: int) -> None:
        self.jobs = max(1, jobs)

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.jobs, initializer=begin, initargs=(os.getpid(),))

    def run(self, function: Callable, tasks: list[tuple]) -> Iterator[Done]:
        waiting = dict(enumerate(tasks))
        lost: dict[int, list[str]] = {index: [] for index in waiting}
        while waiting:
            with tempfile.TemporaryDirectory() as notes, interruptible(self._new()) as pool:
                futures = {pool.submit(_noted, notes, index, function, task): index for index, task in waiting.items()}
                for future in as_completed(futures):
                    index = futures[future]
                    try:
                        result = future.result()
                    except BrokenExecutor:
                        continue
                    del waiting[index]
                    yield Done(index, result, tuple(lost[index]))
                for note in sorted(Path(notes).iterdir()):
                    index, process = note.name.split("-")
                    if int(index) in waiting:
                        lost[int(index)].append(f"process {process}")
            for index in [i for i in waiting if len(lost[i]) >= ATTEMPTS]:
                del waiting[index]
                yield Done(index, None, tuple(lost[index]))


def _on_worker(topic: str, index: int, function: Callable, task: tuple) -> object:
    """Run a task on a Dask worker; an event tells the scheduler that this one began it."""
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(topic, {"index": index, "worker": worker.address})
    return function(*task)


class Dask:
    """Workers of a Dask scheduler (`SCHEDULER=`, as in search). They need the checkout, not a shared disk."""

    def __init__(self, address: str) -> None:
        from models.search.islands import Dask as Cluster

        self.cluster = Cluster(address)

    def run(self, function: Callable, tasks: list[tuple]) -> Iterator[Done]:
        from distributed import KilledWorker
        from distributed import as_completed as dask_completed

        client, topic = self.cluster.client, f"encmac-{uuid.uuid4()}"
        with self.cluster.faults():
            futures = {
                client.submit(_on_worker, topic, index, function, task, pure=False): index
                for index, task in enumerate(tasks)
            }
            for future in dask_completed(futures):
                index = futures[future]
                try:
                    result = future.result()
                except KilledWorker:
                    result = None
                began = [event for _, event in client.get_events(topic) if event["index"] == index]
                others = began if result is None else began[:-1]
                yield Done(index, result, tuple(event["worker"] for event in others))
