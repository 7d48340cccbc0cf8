"""Workers of a replay on a Dask cluster: `SCHEDULER=tcp://host:port`.

Operands travel with the tasks, no file system is shared. Each Dask worker, started in a checkout of its
own, builds the design once and keeps simulators alive, as many as it has threads. Parts of a worker that is
lost are run again by the scheduler, those of a lost simulator too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.search.islands import RETRIES, Dask
from tb.control.build import ROOT, build, prepare_environment
from tb.control.suites import Config
from tb.replay.pool import Worker, WorkerLost
from tb.replay.store import Done, Part, store_array

_lock = threading.Lock()
_idle: dict[str, list[Worker]] = defaultdict(list)  # in the process of a Dask worker: simulators by build


def run_part(config: Config, name: str, part: Part, inputs: np.ndarray, weights: np.ndarray) -> Done | str:
    """On a Dask worker: run a part on the build called `name`; what a user must mend is returned as text."""
    try:
        with _lock:
            directory = _build(config)
            simulator = _idle[name].pop() if _idle[name] else None
        if directory.name != name:
            raise UserError(f"a Dask worker has {directory.name}, not {name}; bring its checkout and tools up to date")
        operands = [store_array(values, _scratch() / "operands") for values in (inputs, weights)]
        for found, sent in zip(operands, (part.layer.inputs, part.layer.weights), strict=True):
            if found[1] != sent[1]:
                raise UserError(f"layer {part.layer.name}: operands changed on their way to a Dask worker; run again")
        part = replace(part, layer=replace(part.layer, inputs=operands[0], weights=operands[1]))
        if simulator is None:
            simulator = Worker(config, directory, Path(tempfile.mkdtemp(dir=_scratch())) / str(os.getpid()))
            simulator.start()
        done = simulator.run(part)
    except UserError as error:
        return str(error)
    with _lock:
        _idle[name].append(simulator)
    return done


@cache
def _build(config: Config) -> Path:
    """The design, built in this checkout unless it is there."""
    prepare_environment()
    return build(config, ROOT / "rtl", ROOT / "build" / "sim")


def _scratch() -> Path:
    """A folder of this process."""
    folder = Path(tempfile.gettempdir()) / f"encmac-replay-worker-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


def release() -> None:
    """On a Dask worker: end idle simulators, remove what lies in its folder."""
    with _lock:
        for simulator in [s for members in _idle.values() for s in members]:
            simulator.stop()
        _idle.clear()
    shutil.rmtree(_scratch(), ignore_errors=True)


class DaskPool:
    """`tb.replay.pool.Pool` on the workers of a Dask scheduler."""

    def __init__(self, config: Config, directory: Path, address: str) -> None:
        self._config, self._name = config, directory.name
        self._dask = Dask(address)
        self._seen = set(self._dask.client.nthreads())

    @property
    def size(self) -> int:
        """Simulators that can run at a time."""
        return max(1, sum(self._dask.client.nthreads().values()))

    @property
    def lost(self) -> int:
        """Dask workers that were there and are not any more."""
        return len(self._seen - set(self._dask.client.nthreads()))

    def warm(self) -> None:
        """Nothing to do: simulators start with their first part."""

    def run(self, parts: list[Part]) -> Iterator[tuple[int, Done]]:
        """(index of the part, result), in the order in which they end."""
        from distributed import as_completed

        client = self._dask.client
        with self._dask.faults():
            stored = {digest: path for part in parts for path, digest, _ in (part.layer.inputs, part.layer.weights)}
            # as tasks, which the scheduler can do again: data that is scattered is lost with its worker
            sent = {digest: client.submit(np.asarray, np.load(path), pure=False) for digest, path in stored.items()}
            tasks = {}
            for index, part in enumerate(parts):
                operands = sent[part.layer.inputs[1]], sent[part.layer.weights[1]]
                task = client.submit(run_part, self._config, self._name, part, *operands, pure=False, retries=RETRIES)
                tasks[task] = index
            for task in as_completed(tasks, loop=client.loop):
                self._seen |= set(client.nthreads())
                try:
                    answer = task.result()
                except WorkerLost as error:
                    raise UserError(f"{error}; {RETRIES + 1} simulators ended with the same tiles") from error
                if isinstance(answer, str):
                    raise UserError(answer)
                yield tasks[task], answer

    def close(self) -> None:
        """End the simulators of all workers; tasks that wait are given up."""
        try:
            self._dask.client.run(release)
        except (OSError, TimeoutError, *self._dask.lost):
            pass
        self._dask.client.close(timeout=5)
