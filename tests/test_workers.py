"""Lost workers: what they ran is run again and reported so, in a pool of processes and on a Dask cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_verification import runner

from tb.control.workers import ATTEMPTS, Processes

# a simulator that kills its worker, the first time
VVP = """#!/bin/sh
mkdir {marker} 2>/dev/null && kill -9 $PPID && exit 1
exec {vvp} "$@"
"""


def lose(path: Path, times: int, value: int) -> int:
    """Give the value, after the worker that should have was killed so many times."""
    seen = path.read_text() if path.exists() else ""
    if len(seen) < times:
        path.write_text(seen + "x")
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def test_what_a_lost_process_ran_is_run_again(tmp_path: Path) -> None:
    tasks = [(tmp_path / str(n), int(n == 2), n) for n in range(5)]
    done = sorted(Processes(2).run(lose, tasks), key=lambda d: d.index)
    assert [d.result for d in done] == [0, 1, 2, 3, 4]
    assert done[2].lost and done[2].lost[0].startswith("process ")
    assert sum(bool(d.lost) for d in done) <= 2  # only what was running


def test_what_always_kills_its_worker_has_no_result(tmp_path: Path) -> None:
    done = sorted(Processes(1).run(lose, [(tmp_path / "a", 99, 1), (tmp_path / "b", 0, 2)]), key=lambda d: d.index)
    assert (done[0].result, len(done[0].lost)) == (None, ATTEMPTS)
    assert done[1].result == 2


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options of a regression whose first simulator kills its worker."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "vvp"
    fake.write_text(VVP.format(marker=tmp_path / "killed", vvp=shutil.which("vvp")))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    chosen = ("--suite", "tiny-conv", "--sim", "icarus", "--test", "corners|back_pressure")
    return (*chosen, "--out", str(tmp_path / "build"))


def lost_and_passed(out: Path, code: int, text: str) -> list[dict]:
    """The tests of a regression that passed although a worker was lost, which the record says."""
    assert code == 0, text
    assert (out.parent / "killed").exists(), text
    tests = json.loads((out / "reports" / "sim.json").read_text())["tests"]
    assert [t["status"] for t in tests] == ["passed", "passed"]
    assert all(len(t["lost_workers"]) == 1 for t in tests)
    assert "run again" in text and "RUN AGAIN icarus conv written 4x4 array_smoke_corners" in text
    assert "was lost while it ran" in (out / "reports" / "sim.html").read_text()
    return tests


def test_regression_survives_a_lost_process(options: tuple[str, ...], tmp_path: Path) -> None:
    lost_and_passed(tmp_path / "build", *runner(*options))


@pytest.fixture
def cluster() -> Iterator[str]:
    """Address of a Dask scheduler with two workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as started:
        yield started.scheduler_address


def test_regression_on_dask_survives_a_lost_worker(options: tuple[str, ...], cluster: str, tmp_path: Path) -> None:
    tests = lost_and_passed(tmp_path / "build", *runner(*options, "--scheduler", cluster))
    for test in tests:
        assert test["worker"].startswith("tcp://")
        assert test["worker"] not in test["lost_workers"]
        # its log came back from the worker
        assert Path(test["log"]).parent == tmp_path / "build" / "reports" / "logs"
        assert "array_smoke_corners" in Path(test["log"]).read_text()


def test_no_scheduler_is_one_line(tmp_path: Path) -> None:
    code, text = runner("--suite", "tiny-conv", "--scheduler", "tcp://127.0.0.1:1", "--out", str(tmp_path))
    assert code == 2
    assert "no Dask scheduler at tcp://127.0.0.1:1" in text
    code, text = runner("--suite", "coverage", "--scheduler", "tcp://127.0.0.1:1", "--out", str(tmp_path))
    assert code == 2
    assert "leave out SCHEDULER" in text


def test_worker_of_another_checkout_is_refused(cluster: str, tmp_path: Path) -> None:
    import distributed

    with distributed.Client(cluster) as client:
        client.run(pretend_other_sources)
    code, text = runner("--suite", "tiny-conv", "--sim", "icarus", "--scheduler", cluster, "--out", str(tmp_path))
    assert code == 2
    assert "the checkout of worker tcp://" in text
    assert len([line for line in text.splitlines() if "error" in line]) == 1


def pretend_other_sources() -> None:
    """Make a worker believe that its sources are others."""
    from tb.control import run as module

    module.sources_sha256 = lambda: "another"
