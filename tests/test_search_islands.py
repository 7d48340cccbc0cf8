"""Islands: same archive whatever runs them, nothing lost when a worker or the driver is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.provenance import ROOT
from models.search.anneal import Task
from models.search.histogram import joint_distribution
from models.search.islands import (
    Archipelago,
    Archive,
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


def command(name: str, *options: str) -> list[str]:
    """A search of four islands, 10 rounds, by the command line."""
    task = ["-M", "6", "--weights", "pow2", "--seed", "3", "--steps", "20000", "--islands", "4", "--rounds", "10"]
    return [sys.executable, "-m", "models.search", *task, "--quiet", "--name", name, "--out", ".", *options]


def archive_when(path: Path, ready: Callable[[Archive], bool], process: subprocess.Popen) -> Archive:
    """The archive once `ready` says so of it."""
    limit = time.monotonic() + 600
    while time.monotonic() < limit:
        if path.exists() and ready(found := load_archive(path)):
            return found
        assert process.poll() is None, "the search ended too early"
        time.sleep(0.05)
    raise AssertionError(f"{path} is not ready after 600 s")


@pytest.fixture
def cluster():
    """Address of a Dask scheduler with two workers, as a user starts them; and the processes."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    quietly = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    port = address.rpartition(":")[2]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **quietly
    )
    started = [scheduler]
    try:
        for _ in range(2):
            work = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
            started.append(subprocess.Popen([*work, "--local-directory", tempfile.gettempdir()], **quietly))
        from distributed import Client

        with Client(address, timeout="30s") as client:
            client.wait_for_workers(2, timeout=1200)
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_killed_driver_goes_on_to_the_same_archive(cluster, tmp_path):
    address, started = cluster
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command("x", "--workers", "2"), cwd=calm, env=environment, check=True, capture_output=True)
    driver = subprocess.Popen(
        command("x", "--scheduler", address),
        cwd=killed,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    path = killed / "build/search/x.json"
    archive_when(path, lambda a: a.turn >= 2, driver)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    left = load_archive(path)
    assert 2 <= left.turn < 10
    subprocess.run(command("x", "--scheduler", address), cwd=killed, env=environment, check=True, capture_output=True)
    assert path.read_bytes() == (calm / "build/search/x.json").read_bytes()
    assert load_archive(path).turn == 10
    figures = [json.loads((folder / "x.json").read_text())["figures"] for folder in (calm, killed)]
    assert figures[0] == figures[1]

    # the scheduler itself: one line, and what was finished is kept
    driver = subprocess.Popen(
        command("y", "--scheduler", address),
        cwd=killed,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    archive_when(killed / "build/search/y.json", lambda a: a.turn >= 1, driver)
    started[0].kill()
    _, errors = driver.communicate(timeout=1200)
    assert driver.returncode == 2
    assert "lost the Dask scheduler" in errors and len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-M", "0"], "-M 0: must be 1 to 256"),
        (["-M", "230"], "candidates"),
        (["-M", "8", "--weights", "csd0"], "unknown position weights 'csd0'"),
        (["-M", "8", "--hist", "zero.npz"], "no mass"),
        (["-M", "8", "--hist", "small.npz"], r"shape [16, 16]"),
        (["-M", "8", "--hist", "zero.npz", "--net", "resnet20_cifar10"], "give one"),
        (["-M", "8", "--net", "lenet"], "unknown network"),
        (["-M", "8", "--name", "Bad Name"], "choose another --name"),
        (["-M", "8", "--islands", "2", "--name", "old"], "format"),
        (["-M", "8", "--islands", "0"], "at least 1"),
        (["-M", "8", "--islands", "2", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler"),
        (["-M", "8", "--islands", "2", "--scheduler", "nonsense://x"], "an address is tls://host:port"),
        (["-M", "8", "--scheduler", "tcp://127.0.0.1:1"], "--islands"),
        (["-M", "8", "--islands", "2", "--preset", "greedy"], "--islands"),
    ],
)
def test_mistakes_are_one_line(tmp_path, options, words):
    np.savez(tmp_path / "zero.npz", joint=np.zeros((256, 256)))
    np.savez(tmp_path / "small.npz", joint=np.ones((16, 16)))
    (tmp_path / "build/search").mkdir(parents=True)
    (tmp_path / "build/search/old.json").write_text(json.dumps({"format": "encmac-archive/0"}))
    done = subprocess.run(
        [sys.executable, "-m", "models.search", "--out", ".", *options],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and words in done.stderr
    assert not done.stdout


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
    run_islands(Archipelago(TASK, 2, 2), target, Serial(), path, quiet)  # more rounds go on
    with pytest.raises(UserError, match="2 rounds were run, more than ROUNDS=1"):
        run_islands(Archipelago(TASK, 2, 1), target, Serial(), path, quiet)
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
