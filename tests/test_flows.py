"""Flows: platforms, the choice of forms, and netlists that must not be believed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from flows.gls import simulate_column
from flows.platform import PLATFORMS, load_platform
from flows.sta import worst_slack_ns
from flows.synth.__main__ import forms, measure
from flows.synth.netlist import ROOT, TOP, read_netlist

HAVE_LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file()
needs_library = pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")
CONFIG = (PLATFORMS / "osu018" / "config.toml").read_text()


def test_unknown_platform_names_the_known() -> None:
    with pytest.raises(UserError, match=r"unknown platform 'tsmc5'.*osu018"):
        load_platform("tsmc5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("osu018_stdcells.lib", "nothing.lib", r"config.toml: .*nothing.lib does not exist; mend it with: apt-get"),
        ("clock_ns = 10.0", "clock = 10.0", "clock"),
        ("[full_adder]", "[full_adder", "config.toml"),
        ('cell = "FAX1"', "", "cell"),
    ],
)
def test_bad_platform_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CONFIG
    (tmp_path / "config.toml").write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        load_platform(f"{tmp_path}/")
    assert "\n" not in str(caught.value)


def test_every_form_has_variants_smallest_first() -> None:
    table = forms(8, ["exact64", "and36"])
    assert sum(name.startswith("conv") for name in table) == 4
    assert {"enc exact64 merged", "enc and36 counted"} <= set(table)
    assert all(variants[0].adders == "ripple" for variants in table.values())


@needs_library
def test_column_is_mapped_timed_and_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = load_platform("osu018")
    monkeypatch.chdir(tmp_path)  # a user's own encoding, by a path that holds here alone
    text = (ROOT / "models/encodings/m20p.json").read_text()
    Path("mine.json").write_text(text.replace('"name": "m20p"', '"name": "mine"'))
    design = forms(4, ["mine.json"])["enc mine merged"][0]
    result = measure(design, 4, platform, 10.0, tmp_path)
    assert result.meets
    assert result.gate.status == "passed"
    assert result.gate.matches == 192
    assert 0 < result.netlist.sequential_um2 < result.netlist.area_um2
    assert worst_slack_ns(result.netlist.path, TOP, platform, 0.5) < 0

    # one cell exchanged: the gate-level run must see it
    text = result.netlist.path.read_text()
    assert "  NAND2X1 " in text
    result.netlist.path.write_text(text.replace("  NAND2X1 ", "  NOR2X1 ", 1))
    broken = simulate_column(result.netlist.path, design, 4, platform)
    assert broken.status == "failed"

    # a cell the library lacks: timing must refuse
    result.netlist.path.write_text(text.replace("  NAND2X1 ", "  NAND9X9 ", 1))
    with pytest.raises(UserError, match="timing of"):
        worst_slack_ns(result.netlist.path, TOP, platform, 10.0)


@needs_library
@pytest.mark.parametrize(("name", "options"), [("merged g2", {}), ("counted g2", {"counted": True})])
def test_columns_in_groups_and_counted_ones(name: str, options: dict, tmp_path: Path) -> None:
    table = forms(4, ["m12p"], group=2, **options)
    for design in (table[f"enc m12p {name}"][0], table["f(a) of m12p"][0]):
        result = measure(design, 4, load_platform("osu018"), 10.0, tmp_path, efforts=("amap",))
        assert (result.gate.status, result.gate.matches) == ("passed", 192)


@needs_library
def test_foreign_cells_are_refused(tmp_path: Path) -> None:
    (tmp_path / "netlist.v").write_text("module column_top; endmodule\n")
    stat = {"design": {"num_cells": 1, "num_cells_by_type": {"$_XOR_": 1}, "area": 1.0, "sequential_area": 0.0}}
    (tmp_path / "stat.json").write_text(json.dumps(stat))
    with pytest.raises(UserError, match=r"left cells that osu018 has not: \$_XOR_"):
        read_netlist(tmp_path, load_platform("osu018"))


def test_missing_library_on_the_command_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PLATFORMS / "osu018", tmp_path / "mine"))
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("osu018_stdcells.lib", "nothing.lib"))
    command = [sys.executable, "-m", "flows.synth", "--platform", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "does not exist" in done.stderr
