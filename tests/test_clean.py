"""make clean: removes what commands wrote, leaves what a user made, and never touches what a command works in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.provenance import ROOT
from tools.clean import MADE

BUSY = """
import sys
from pathlib import Path
from tools.options import parse
parse("tb.runner", ["--out", sys.argv[1]])
print("at work", flush=True)
sys.stdin.read()
"""
CLEANING = """
import sys
from pathlib import Path
from common.files import nobody_at_work
with nobody_at_work(Path(sys.argv[1])):
    print("cleaning", flush=True)
    sys.stdin.read()
"""


def clean(folder: Path, what: str = "records") -> subprocess.CompletedProcess:
    """Clean a folder; "records" leaves the checkout's caches alone."""
    command = [sys.executable, "-m", "tools.clean", "--out", str(folder), "--what", what]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def other(program: str, folder: Path, said: str) -> subprocess.Popen:
    """Another command, which does something to a folder until its input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], cwd=ROOT, text=True, **pipes)
    assert process.stdout.readline() == said if said else True
    return process


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder with builds, records and what a user made."""
    for name in (*MADE, "sim", "synth", "reports"):
        (tmp_path / "build" / name).mkdir(parents=True)
    return tmp_path / "build"


def test_records_alone_and_all_but_what_was_made(build: Path) -> None:
    assert clean(build).returncode == 0
    assert sorted(p.name for p in build.iterdir()) == sorted([*MADE, "sim", "synth"])


def test_a_command_at_work_is_named_whatever_it_does(build: Path) -> None:
    """Also between its steps, when it holds no lock of a file: a simulator may be running in build/sim."""
    busy = other(BUSY, build, "at work\n")
    done = clean(build)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.match(rf"encmac: error: .*python.* .process {busy.pid}. is at work in build/; wait until", done.stderr)
    assert (build / "reports").is_dir()
    busy.kill()
    busy.wait()
    assert clean(build).returncode == 0 and not (build / "reports").exists()


def test_a_command_waits_for_who_cleans(build: Path) -> None:
    cleaning = other(CLEANING, build, "cleaning\n")
    waiting = other(BUSY, build, "")
    told = waiting.stderr.readline()
    assert re.match(rf"encmac: waiting for .* .process {cleaning.pid}., which cleans .*build", told)
    cleaning.communicate("")
    assert waiting.stdout.readline() == "at work\n"
    waiting.communicate("")
