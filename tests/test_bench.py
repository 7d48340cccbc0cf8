"""The benchmark: records what it says, and does not pass when a result is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bench import emulate, search
from bench.timing import Effort, calls_per_second

TINY = Effort(1, 0.0)


def run(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_command_writes_the_report(tmp_path):
    done = run("--bench", "search,emulate", "--rounds", "1", "--seconds", "0", "--size", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "reports" / "bench.json").read_text())
    assert report["format"] == "encmac-bench/1"
    assert {row["benchmark"] for row in report["benchmarks"]} == {"search", "emulate"}
    for row in report["benchmarks"]:
        assert row["agrees"] and row["ours"] > 0 and row["peer"] > 0 and row["unit"] and row["machine"]
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=1e-3)
    assert set(report["tools"]) == {"python", "numpy", "torch"}


@pytest.mark.parametrize("arguments", [("--bench", "speed"), ("--rounds", "0"), ("--size", "0"), ("--seconds", "-1")])
def test_bad_arguments_are_one_line(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_a_wrong_table_sum_is_seen(monkeypatch):
    right = emulate.TableEngine.__call__
    monkeypatch.setattr(emulate.TableEngine, "__call__", lambda *args: right(*args) + 1)
    rows = emulate.measure(emulate.Shape("tiny", 3, 4, 2), np.zeros((256, 256), np.int32), TINY, 1)
    assert rows and not any(row.agrees for row in rows)


def test_a_wrong_objective_is_seen(monkeypatch):
    right = search.reference_objective
    monkeypatch.setattr(search, "reference_objective", lambda *args: (right(*args)[0] * (1 + 1e-5), None))
    assert not any(row.agrees for row in search.run(TINY, 1))


@pytest.mark.parametrize(("groups", "stride", "kernel"), [(1, 1, 3), (4, 1, 3), (2, 2, 1)])
def test_macs_are_counted(groups, stride, kernel):
    shape = emulate.Shape("tiny", 4, 6, 8, kernel, stride, groups)
    x, weights = np.ones((2, 4, 6, 6), np.int8), np.ones((8, 4 // groups, kernel, kernel), np.int8)
    assert shape.macs(2) == emulate.int64_sums(x, weights, shape, np.ones((256, 256), int)).sum()


def test_rounds_are_interleaved():
    calls = []
    calls_per_second({name: lambda name=name: calls.append(name) for name in "ab"}, Effort(3, 0.0))
    assert "".join(calls) == "aabb" + "ab" * 3
