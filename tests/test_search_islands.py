"""Islands: same archive whatever runs them, nothing lost when a worker or the driver is killed."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from models.errors import UserError
from models.search.anneal import Task
from models.search.histogram import joint_distribution
from models.search.islands import (
    Archipelago,
    Dask,
    Processes,
    Serial,
    add_to_front,
    dominates,
    island_round,
    load_archive,
    run_islands,
)
from models.search.target import Target

TASK = Task(6, "pow2", steps=3000, seed=3)
PLAN = Archipelago(TASK, islands=2, rounds=3)


def quiet(_stage: str, _error: float) -> None:
    pass


@pytest.fixture(scope="module")
def target() -> Target:
    values = np.arange(-128, 128)
    return Target(joint_distribution(np.exp(-np.add.outer(np.abs(values) / 20, np.abs(values) / 30))))


@pytest.fixture(scope="module")
def expected(target, tmp_path_factory) -> list[dict]:
    return run_islands(PLAN, target, Serial(), tmp_path_factory.mktemp("serial") / "a.json", quiet).front


def killer(marker, *arguments):
    """The island's round, but the first worker to come by dies by SIGKILL."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return island_round(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


class Killing:
    """An executor whose first task kills its worker."""

    def __init__(self, inner, marker) -> None:
        self.inner, self.marker = inner, str(marker)

    def map(self, _function, arguments):
        return self.inner.map(killer, [(self.marker, *a) for a in arguments])


def test_interrupted_run_goes_on_to_the_same_archive(target, expected, tmp_path):
    path = tmp_path / "archive.json"

    def stop(stage: str, _error: float) -> None:
        if stage == "round 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_islands(PLAN, target, Serial(), path, stop)
    assert load_archive(path).turn == 1
    assert run_islands(PLAN, target, Serial(), path, quiet).front == expected
    assert [p.name for p in tmp_path.iterdir()] == ["archive.json"]


def test_killed_process_costs_no_result(target, expected, tmp_path):
    executor = Processes(1)
    archive = run_islands(PLAN, target, Killing(executor, tmp_path / "killed"), tmp_path / "a.json", quiet)
    executor.pool.shutdown()
    assert (tmp_path / "killed").exists()
    assert archive.front == expected


@pytest.mark.slow
def test_killed_dask_worker_costs_no_result(target, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        executor = Dask(cluster.scheduler_address)
        archive = run_islands(PLAN, target, Killing(executor, tmp_path / "killed"), tmp_path / "a.json", quiet)
        executor.client.close()
    assert (tmp_path / "killed").exists()
    assert archive.front == expected


def test_front_holds_what_nothing_dominates():
    rng = np.random.default_rng(1)
    entries = [
        dict(zip(("cost", "error", "max_error"), rng.integers(6, size=3).tolist(), strict=True)) for _ in range(60)
    ]
    front: list[dict] = []
    for entry in entries:
        front = add_to_front(front, entry)
    assert not any(dominates(p, q) for p in front for q in front)
    assert all(any(dominates(p, e) or p == e for p in front) for e in entries)


def test_wrong_archives_are_refused(target, expected, tmp_path):
    path = tmp_path / "a.json"
    run_islands(Archipelago(TASK, 2, 1), target, Serial(), path, quiet)
    with pytest.raises(UserError, match="another search"):
        run_islands(Archipelago(TASK, 3, 1), target, Serial(), path, quiet)
    path.write_text(json.dumps({"format": "encmac-archive/0"}))
    with pytest.raises(UserError, match="format"):
        load_archive(path)
    path.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        load_archive(path)
    with pytest.raises(UserError, match="at least 1"):
        Archipelago(TASK, 0, 1)


def test_missing_scheduler_is_one_line():
    pytest.importorskip("distributed")
    with pytest.raises(UserError, match="no Dask scheduler"):
        Dask("tcp://127.0.0.1:1")
