"""Designs for other flows: whole, elaborated by slang from their own lists, taken by LibreLane where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from flows.openroad.export import export
from flows.openroad.routed import chosen
from tb.lint import YOSYS

LIBRELANE = os.environ.get("LIBRELANE_PYTHON", "")  # Python of an environment with librelane==3.0.17
# what a process sets is left out, every other name and type is checked
CHECK = """
import sys
from librelane.config import Config
from librelane.config.flow import flow_common_variables, pdk_variables
from librelane.flows import Flow
flow = Flow.factory.get("Classic")
known = {}
for v in [*flow_common_variables, *pdk_variables, *flow.config_vars, *(v for s in flow.Steps for v in s.config_vars)]:
    if not v.pdk or v.name == "STD_CELL_LIBRARY":
        known.setdefault(v.name, v)
file, folder = sys.argv[1:]
place = {"design_dir": folder, "pdk": "sky130A", "pdk_root": folder}
config, _ = Config.load(file, list(known.values()), **place, _load_pdk_configs=False)
print(config["DESIGN_NAME"], len(config["VERILOG_FILES"]), config["CLOCK_PERIOD"])
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A column and an array of m14p, and a conventional array, small ones."""
    out = tmp_path_factory.mktemp("exported")
    found = chosen(["enc m14p merged", "conv booth"], 4, True)
    encoded, booth = (found[name][0] for name in ("enc m14p merged", "conv booth"))
    return [
        export(d, columns, "sky130hd", 10.0, 55.0, out) for d, columns in ((encoded, None), (encoded, 2), (booth, 2))
    ]


def slang(options: str, folder: Path) -> str:
    """What slang says of sources, "" if it takes them."""
    done = subprocess.run(
        [sys.executable, "-c", YOSYS, f"read_slang {options}"], capture_output=True, text=True, cwd=folder
    )
    return "" if "Build succeeded: 0 errors" in done.stdout and not done.returncode else done.stdout + done.stderr


def test_a_folder_holds_all_that_its_librelane_lists_need(folders):
    for folder in folders:
        config = json.loads((folder / "config.json").read_text())
        words = [
            f"-I {config['VERILOG_INCLUDE_DIRS'][0]}",
            f"--top {config['DESIGN_NAME']}",
            *config["SLANG_ARGUMENTS"],
        ]
        words += [f"-D{d}" for d in config["VERILOG_DEFINES"]] + [f"-G{p}" for p in config["SYNTH_PARAMETERS"]]
        assert slang(" ".join([*words, *config["VERILOG_FILES"]]).replace("dir::", ""), folder) == ""


def test_a_folder_holds_all_that_its_orfs_lists_need(folders):
    """`config.mk` read by make, as the flow reads it."""
    for folder in folders:
        (folder / "show.mk").write_text("include $(DESIGN_CONFIG)\n%:\n\t@echo '$($@)'\n")

        def value(name: str, folder: Path = folder) -> str:
            command = ["make", "-s", "-f", "show.mk", f"DESIGN_CONFIG={folder}/config.mk", name]
            return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.strip()

        pairs = value("VERILOG_TOP_PARAMS").split()
        words = [f"-I {value('VERILOG_INCLUDE_DIRS')}", f"--top {value('DESIGN_NAME')}", value("SYNTH_SLANG_ARGS")]
        words += [value("VERILOG_DEFINES"), *(f"-G {k}={v}" for k, v in zip(pairs[::2], pairs[1::2], strict=True))]
        assert slang(" ".join([*words, value("VERILOG_FILES")]), folder) == ""
        assert all(Path(value(name)).is_file() for name in ("SDC_FILE", "IO_CONSTRAINTS"))


def test_a_source_that_is_missing_is_noticed(folders, tmp_path):
    """The two tests above fail if a list lacks a file."""
    config = json.loads((folders[0] / "config.json").read_text())
    files = [f.removeprefix("dir::") for f in config["VERILOG_FILES"] if "enc_group" not in f]
    assert "enc_group" in slang(f"-I rtl --top column_top -DENCODING_PKG=m14p_pkg {' '.join(files)}", folders[0])


def test_a_core_has_the_shape_of_our_own_layout(folders, tmp_path):
    """SkyWater's script has a square one; elsewhere a column is twice as high as wide, an array is square."""
    assert [json.loads((folder / "config.json").read_text())["FP_ASPECT_RATIO"] for folder in folders] == [1.0] * 3
    design = chosen(["enc m14p merged"], 4, True)["enc m14p merged"][0]
    for columns, shape in ((None, 2), (2, 1)):
        folder = export(design, columns, "nangate45", 2.5, 55.0, tmp_path / str(columns))
        assert f"CORE_ASPECT_RATIO = {shape}\n" in (folder / "config.mk").read_text()


def test_times_are_in_the_units_of_the_library(folders, tmp_path):
    assert "-period 10 " in (folders[0] / "constraint.sdc").read_text()
    design = chosen(["enc m14p merged"], 4, True)["enc m14p merged"][0]
    folder = export(design, None, "asap7", 1.5, 55.0, tmp_path)
    assert "-period 1500 " in (folder / "constraint.sdc").read_text()
    assert not (folder / "config.json").exists(), "LibreLane has no ASAP7"


def test_again_replaces_and_spares_what_is_not_its_own(tmp_path):
    design = chosen(["conv booth"], 4, True)["conv booth"][0]
    folder = export(design, None, "nangate45", 2.5, 55.0, tmp_path)
    (folder / "runs").mkdir()
    (folder / "runs" / "result").write_text("hours of another flow")
    (folder / "rtl" / "gone.sv").write_text("of an earlier version")
    assert export(design, None, "nangate45", 5.0, 55.0, tmp_path) == folder
    assert "-period 5 " in (folder / "constraint.sdc").read_text()
    assert (folder / "runs" / "result").is_file() and not (folder / "rtl" / "gone.sv").exists()
    assert not list(folder.glob(".scratch*"))
    with pytest.raises(UserError, match=r"holds another design \(nangate45, conv booth, not sky130hd, conv booth\)"):
        export(design, None, "sky130hd", 10.0, 55.0, tmp_path)
    (folder / "constraint.sdc").unlink()
    with pytest.raises(UserError, match="no design of this command"):
        export(design, None, "nangate45", 2.5, 55.0, tmp_path)


def test_a_platform_that_no_flow_knows_is_refused(tmp_path):
    design = chosen(["conv booth"], 4, True)["conv booth"][0]
    with pytest.raises(UserError, match="osu018; they have asap7"):
        export(design, None, "osu018", 10.0, 55.0, tmp_path)


@pytest.mark.skipif(not LIBRELANE, reason="LIBRELANE_PYTHON names no Python with librelane==3.0.17")
def test_librelane_takes_its_configuration(folders, tmp_path):
    def said(file: Path, folder: Path) -> str:
        done = subprocess.run([LIBRELANE, "-c", CHECK, str(file), str(folder)], capture_output=True, text=True)
        return done.stdout + done.stderr

    for folder in folders:
        (folder / "sky130A").mkdir(exist_ok=True)
        assert said(folder / "config.json", folder).endswith(" 10.0\n")
    config = json.loads((folders[0] / "config.json").read_text()) | {"FP_CORE_UTIL": "wide", "USE_SLANGG": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    wrong = said(tmp_path / "config.json", folders[0])
    assert "FP_CORE_UTIL" in wrong and "Unknown key 'USE_SLANGG'" in wrong
