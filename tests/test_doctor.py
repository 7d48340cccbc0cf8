"""tools/doctor.py: silent when all is there, one line and exit code 1 when something is missing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import doctor
from tools.commands import TARGETS

ROOT = Path(__file__).parent.parent
ALL_TARGETS = list(doctor.NEEDS)


def run(*arguments: str, path: Path | None = None, root: Path = ROOT) -> subprocess.CompletedProcess:
    """Run the doctor of the checkout `root` with `path` as the only folder on PATH."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}  # not by make
    environment |= {"PATH": str(path)} if path else {}
    command = [sys.executable, str(root / "tools" / "doctor.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with an executable of the name of each program that doctor looks for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in doctor.TOOLS:
        if not tool.path:
            (folder / tool.name).write_text("#!/bin/sh\necho version 1.2\n")
            (folder / tool.name).chmod(0o755)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the doctor, the requirements and a .venv that seems to hold every wheel as pinned."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    for name in ("tools/doctor.py", "requirements.txt"):
        (root / name).write_text((ROOT / name).read_text())
    packages = root / ".venv" / "lib" / "python3.11" / "site-packages"
    for pin in doctor.pins():
        (packages / f"{pin.name.replace('-', '_')}-{pin.version}.dist-info").mkdir(parents=True)
    (root / ".venv" / "bin").mkdir()
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return root


def assert_one_line(done: subprocess.CompletedProcess, text: str) -> None:
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert text in done.stderr


class TestQuick:
    def test_silent_when_all_is_there(self, programs: Path, checkout: Path) -> None:
        done = run("--quick", "sim", "verilator", path=programs, root=checkout)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_missing_program(self, programs: Path, checkout: Path) -> None:
        (programs / "iverilog").unlink()
        done = run("--quick", "sim", "icarus", path=programs, root=checkout)
        assert_one_line(done, "make sim lacks iverilog; mend it with: make setup (or apt-get install iverilog)")
        assert run("--quick", "sim", path=programs, root=checkout).returncode == 0

    def test_missing_optional_program(self, programs: Path, checkout: Path) -> None:
        (programs / "lcov").unlink()
        assert run("--quick", "sim", path=programs, root=checkout).returncode == 0

    def test_missing_wheel(self, programs: Path, checkout: Path) -> None:
        next(checkout.glob(".venv/lib/*/*/cocotb_bus-*")).rmdir()
        assert_one_line(
            run("--quick", "sim", path=programs, root=checkout), "lacks cocotb-bus; mend it with: make setup"
        )

    def test_no_venv(self, programs: Path, checkout: Path) -> None:
        (checkout / ".venv" / "bin" / "python").unlink()
        assert_one_line(run("--quick", "train", path=programs, root=checkout), "make train lacks a complete .venv")

    def test_interrupted_setup(self, programs: Path, checkout: Path) -> None:
        (checkout / ".venv" / ".setup").write_text("incomplete\n")
        assert_one_line(run("--quick", "train", path=programs, root=checkout), "lacks a complete .venv")

    def test_unknown_target(self) -> None:
        assert_one_line(run("--quick", "dance"), "doctor knows no 'dance'; known: lint, sim")


class TestSetup:
    def test_a_second_setup_waits_for_the_first(self, checkout: Path) -> None:
        """It would take the .venv that the first is making for the remains of one that was interrupted."""
        for name in ("tools/setup.sh", "requirements.lock"):
            (checkout / name).write_text((ROOT / name).read_text())
        wheels = (checkout / "requirements.txt").read_bytes() + (checkout / "requirements.lock").read_bytes()
        (checkout / ".venv" / ".setup").write_text("incomplete\n")
        with (checkout / "tools" / "setup.sh").open() as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            command = ["bash", str(checkout / "tools" / "setup.sh")]
            second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert second.stdout.readline() == "setup: waiting for another make setup in this checkout\n"
            (checkout / ".venv" / ".setup").write_text(f"{hashlib.sha256(wheels).hexdigest()}\n")
        told = second.communicate(timeout=1200)[0]
        assert (checkout / ".venv" / "lib").is_dir() and "making .venv" not in told, told


class TestTable:
    def test_all_there(self, programs: Path, checkout: Path) -> None:
        done = run(path=programs, root=checkout)
        missing_files = [t.name for t in doctor.TOOLS if t.path and not os.path.exists(t.path)]
        assert done.returncode == (1 if missing_files else 0)
        rows = done.stdout.splitlines()
        assert len([r for r in rows if r.startswith(("ok ", "FAULT "))]) == 1 + len(doctor.TOOLS) + len(doctor.pins())
        assert "\033" not in done.stdout

    def test_missing_program(self, programs: Path, checkout: Path) -> None:
        (programs / "sta").unlink()
        (programs / "lcov").unlink()
        done = run(path=programs, root=checkout)
        assert done.returncode == 1
        assert re.search(r"^FAULT +sta .*missing: apt-get install opensta$", done.stdout, re.MULTILINE)
        assert re.search(r"^absent +lcov .*missing: apt-get install lcov$", done.stdout, re.MULTILINE)

    def test_other_version(self, programs: Path, checkout: Path) -> None:
        wheel = next(checkout.glob(".venv/lib/*/*/numpy-*"))
        wheel.rename(wheel.with_name("numpy-1.0.dist-info"))
        done = run(path=programs, root=checkout)
        assert done.returncode == 1
        assert re.search(r"^FAULT +numpy \(wheel\) +1\.0 .*pinned 2\.\S+: make setup$", done.stdout, re.MULTILINE)


class TestData:
    def test_each_name_in_needs_is_known(self) -> None:
        known = {t.name for t in doctor.TOOLS} | {p.name for p in doctor.pins()}
        assert {name for names in doctor.NEEDS.values() for name in names.split()} <= known

    def test_each_needed_tool_has_a_target(self) -> None:
        needed = set(doctor.NEEDS["test"].split())
        assert {t.name for t in doctor.TOOLS if not t.optional} | {p.name for p in doctor.pins()} <= needed

    def test_setup_installs_each_package(self) -> None:
        script = (ROOT / "tools" / "setup.sh").read_text()
        listed = re.search(r"^packages=\((.*?)^\)", script, re.MULTILINE | re.DOTALL).group(1)
        words = {word for line in listed.splitlines() for word in line.partition("#")[0].split()}
        assert {t.package for t in doctor.TOOLS if not t.optional} <= words

    def test_each_requirement_is_pinned_with_its_purpose(self) -> None:
        lines = (ROOT / "requirements.txt").read_text().splitlines()
        assert len(doctor.pins()) == sum(bool(line) and not line.startswith("#") for line in lines)

    def test_targets_of_the_makefile(self) -> None:
        """Each target but those that must run in a bare checkout asks the doctor first."""
        assert set(TARGETS) - set(ALL_TARGETS) == {"help", "doctor", "clean"}

    @pytest.mark.parametrize(
        ("found", "pinned", "same"),
        [
            ("2.13.0", "2.13.0", True),
            ("2.13.0+cpu", "2.13.0", True),
            ("2.13.0", "2.13.0+cpu", False),
            ("2.13.1", "2.13.0", False),
            ("", "2.13.0", False),
        ],
    )
    def test_same_version(self, found: str, pinned: str, same: bool) -> None:
        assert doctor.same_version(found, pinned) is same


class TestInterpreter:
    def test_the_one_that_runs_us(self) -> None:
        assert run("--interpreter").returncode == 0

    def test_old_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
        assert doctor.interpreter_fault().endswith("is Python 3.9.2, needed is 3.11 or newer")

    def test_static_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            doctor.sysconfig, "get_config_var", lambda name: {"INSTSONAME": "libpython3.11.a"}.get(name)
        )
        assert "has no shared libpython" in doctor.interpreter_fault()
