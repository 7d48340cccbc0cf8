"""What commands say on stdout, and that Ctrl-C ends them at once with one line and exit code 130."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.errors import UserError
from common.provenance import ROOT

FORMAL = [sys.executable, "-m", "flows.formal", "--proof", "full_adder/1"]
WAITING = """
import sys, time
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from common.console import interruptible
from common.errors import run_cli
from tb.control.workers import Processes

def step(folder, number):
    (Path(folder) / f"begun{number}").touch()
    time.sleep(3600 if number == 0 else 0.5)

def main():
    tasks = [(sys.argv[2], number) for number in range(6)]
    if sys.argv[1] == "processes":
        list(Processes(1).run(step, tasks))
    else:
        with interruptible(ThreadPoolExecutor(1)) as pool:
            futures = [pool.submit(step, sys.argv[2], number + 1) for number in range(60)]
            [future.result() for future in futures]

run_cli(main)
"""


def formal(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """A short proof."""
    return subprocess.run([*FORMAL, "--out", folder, *options], cwd=ROOT, capture_output=True, text=True)


def test_json_is_the_record_alone(tmp_path):
    done = formal(tmp_path, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads((tmp_path / "reports/formal.json").read_text())
    assert "1 of 1 proven" in done.stderr


def test_verbose_tells_commands_of_workers_too(tmp_path):
    command = [sys.executable, "-m", "tb.runner", "--suite", "pairs", "--verbose", "--out", tmp_path, "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    started = [line for line in done.stderr.splitlines() if line.startswith("+ ")]
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("+ iverilog ") for line in started) == 2
    assert any(line.startswith("+ vvp ") for line in started)


def test_quiet_says_nothing_and_fails_as_loudly(tmp_path):
    done = formal(tmp_path, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = formal(tmp_path, "--quiet", "--time-limit", "0")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("encmac: error: ")


def test_json_prints_no_older_record(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/formal.json").write_text("{}")
    done = formal(tmp_path, "--json", "--time-limit", "0")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_ctrl_c_ends_at_once(kind, tmp_path):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    command = [sys.executable, script, kind, tmp_path]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        begun = tmp_path / ("begun0" if kind == "processes" else "begun1")
        limit = time.monotonic() + 1200
        while not begun.exists() and time.monotonic() < limit:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=1200)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130
    assert errors.splitlines() == ["encmac: interrupted; nothing is left half-written; run the same command again"]
    assert len(list(tmp_path.glob("begun*"))) <= 3, "what waited was worked off"


CHILDREN = """
import sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from common.console import interruptible
from common.errors import run_cli
from common.processes import run_process

def main():
    script = f"echo $$ > {sys.argv[1]}/pid.new; mv {sys.argv[1]}/pid.new {sys.argv[1]}/pid; sleep 600; true"
    with interruptible(ThreadPoolExecutor(1)) as pool:
        pool.submit(run_process, ["bash", "-c", script], 600).result()

run_cli(main)
"""


STUBBORN = """
import sys
from contextlib import suppress
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from common.console import interruptible
from common.errors import run_cli
from common.processes import SimulatorFault, run, run_process

def work():
    script = f"echo $$ > {sys.argv[1]}/pid.new; mv {sys.argv[1]}/pid.new {sys.argv[1]}/pid; sleep 600; true"
    with suppress(SimulatorFault):
        run_process(["bash", "-c", script], 600)
    run(["sleep", "600"], capture_output=True)  # the next step of a task whose first was ended

def main():
    with interruptible(ThreadPoolExecutor(2)) as pool:
        pool.submit(run, ["sleep", "600"])
        pool.submit(work).result()

run_cli(main)
"""
PAGE = """
import sys
from pathlib import Path
from common.errors import run_cli
from tools.docs import Block, run_block

def main():
    script = f"bash -c 'echo $$ > {sys.argv[1]}/pid.new; mv {sys.argv[1]}/pid.new {sys.argv[1]}/pid; sleep 600; true'"
    run_block(Block(Path("page.md"), 1, script), Path(sys.argv[1]))

run_cli(main)
"""
ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
ONLY_ASKED = [(text, *end) for text in (STUBBORN, PAGE) for end in ENDS[:2]]


@pytest.mark.parametrize(("program", "number", "code"), [*((CHILDREN, *end) for end in ENDS), *ONLY_ASKED])
def test_children_end_with_their_command(program: str, number: int, code: int, tmp_path: Path) -> None:
    (tmp_path / "children.py").write_text(program)
    command = [sys.executable, tmp_path / "children.py", tmp_path]
    running = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
    while not (tmp_path / "pid").exists():
        assert running.poll() is None
        time.sleep(0.02)
    child = int((tmp_path / "pid").read_text())
    os.kill(running.pid, number)
    assert running.wait(1200) == code
    limit = time.monotonic() + 1200
    while Path(f"/proc/{child}").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()


def test_what_a_damaged_file_says_is_cut():
    error = UserError(f"damaged.npz ({'x' * 100_000}); make it again")
    assert len(str(error)) < 5000 and str(error).startswith("damaged.npz (xxx")
    assert str(error).endswith("xxx); make it again")
    assert str(copy.copy(error)) == str(error)
