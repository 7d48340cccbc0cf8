"""The suite on mapped netlists: what ppa.json measured is what sim.json says was simulated."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from test_verification import runner

from common.errors import UserError
from common.provenance import ROOT
from flows.platform import load_platform
from flows.synth.__main__ import forms, measure, record
from tb.control.build import NETLIST, build, prepare_environment
from tb.control.suites import SUITES, chosen, columns, of_netlist

HAVE_LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file()


@pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")
def test_column_is_simulated_from_the_netlist_that_was_measured(tmp_path: Path) -> None:
    platform, rows = load_platform("osu018"), 2
    result = measure(forms(rows, ["m12p"])["enc m12p merged"][0], rows, platform, 10.0, tmp_path)
    entry = record(result, platform, 10.0)
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "ppa.json").write_text(json.dumps({"designs": [entry]}))
    options = ("--suite", "columns", "--out", str(tmp_path))
    code, text = runner(*options)
    assert code == 0, text
    (test,) = json.loads((reports / "sim.json").read_text())["tests"]
    assert test["design"] == "enc m12p merged column of 2 gates"
    assert test["matches"] == 192
    assert test["netlist_sha256"] == entry["netlist_sha256"] == result.netlist.sha256

    # a netlist that has changed since is another one
    good = result.netlist.path.read_text()
    assert "  NAND2X1 " in good
    result.netlist.path.write_text(good.replace("  NAND2X1 ", "  NOR2X1 ", 1))
    code, text = runner(*options)
    assert code == 1
    assert "is not the netlist that ppa.json measured; run: make synth" in text

    # and a wrong one fails, with waves
    entry["netlist_sha256"] = hashlib.sha256(result.netlist.path.read_bytes()).hexdigest()
    (reports / "ppa.json").write_text(json.dumps({"designs": [entry]}))
    code, text = runner(*options)
    assert code == 1
    assert "results are wrong" in text
    (test,) = json.loads((reports / "sim.json").read_text())["tests"]
    assert Path(test["waves"]).stat().st_size > 1000


def test_record_of_synthesis_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run: make synth DESIGNS=m12p"):
        columns(tmp_path / "ppa.json")
    (tmp_path / "ppa.json").write_text('{"designs": [{"design": "x"}]}')
    with pytest.raises(UserError, match="not a record of make synth"):
        columns(tmp_path / "ppa.json")


@pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")
def test_a_netlist_of_the_user_is_simulated_in_place_of_ours(tmp_path: Path) -> None:
    (config,) = (c for c in SUITES["gate"] if (c.sim, c.array, c.depth) == ("verilator", "conv", 0))
    own = tmp_path / "layout.v"
    prepare_environment()
    good = (build(config, ROOT / "rtl", tmp_path / "builds") / NETLIST).read_text()
    own.write_text(good)
    options = ("--netlist", str(own), "--design", config.design, "--test", "smoke", "--no-rerun")
    options += ("--out", str(tmp_path))
    code, text = runner(*options)
    assert code == 0, text
    (test, *_) = json.loads((tmp_path / "reports" / "sim.json").read_text())["tests"]
    assert test["design"] == f"{config.design} of layout.v" and test["matches"]
    assert test["netlist_sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    own.write_text(good.replace("  NAND2X1 ", "  NOR2X1 ", 1))
    assert own.read_text() != good
    code, text = runner(*options)
    assert code == 1, text
    # a net that two cells drive is no netlist; ports may be indented as OpenROAD does
    cell = re.search(r"  NAND2X1 (\w+) \(\n(.*?)\n  \);\n", good, re.DOTALL)
    twice = f"  AND2X1 twice (\n{cell[2]}\n  );\n{cell[0]}"
    own.write_text(good.replace(cell[0], twice))
    assert "MULTIDRIVEN" in runner(*options)[1]
    own.write_text(re.sub(r"(?m)^  (input|output) ", r" \1 ", good))
    code, passed = runner(*options)
    assert code == 0, passed
    assert f"NETLIST={own} PLATFORM=osu018 DESIGN='{config.design}'" in text  # the command that shows it again


def test_a_netlist_that_is_not_the_designs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layout.v"
    configs = chosen("gate", None, None, None, None, "gate")
    ports = "  input [31:0] s_axis_a_tdata;\n  output [127:0] m_axis_y_tdata;\n"
    path.write_text(f"module array_top(s_axis_a_tdata, m_axis_y_tdata);\n{ports}endmodule\n")
    with pytest.raises(UserError, match="is of one design; name it, DESIGN=; of this choice: .* gates, "):
        of_netlist(configs, path, "osu018")
    arrays = [c for c in configs if c.sim == "verilator" and c.array == "conv"]
    assert of_netlist(arrays, path, "osu018").cells == str(path)
    tiles = [c for c in configs if c.sim == "verilator" and c.depth]
    with pytest.raises(UserError, match="has no module tile_top, which "):
        of_netlist(tiles, path, "osu018")
    good = path.read_text()
    for text, why in (
        (good.replace("[31:0]", "[15:0]"), "s_axis_a_tdata has 16 bits where 4x4 has 32"),
        (good.replace("[127:0] ", ""), "m_axis_y_tdata has no bits"),
        ("", "has no module array_top"),
        ("// \xb5m", "cannot be read as Verilog"),
    ):
        (tmp_path / "other.v").write_bytes(text.encode("latin-1"))
        with pytest.raises(UserError, match=f"other.v.*{why}"):
            of_netlist(arrays, tmp_path / "other.v", "osu018")
    with pytest.raises(UserError, match="cannot be read as Verilog"):
        of_netlist(arrays, tmp_path, "osu018")
    for words in (("--dut", "rtl"), ("--coverage",)):
        code, text = runner("--netlist", str(path), *words)
        assert code == 2 and "leave out " in text
    code, text = runner("--platform", "nangate45", "--test", "?")
    assert code == 2 and "PLATFORM= is the library of NETLIST=" in text
    code, text = runner("--netlist", str(path), "--scheduler", "tls://host:1")
    assert code == 2 and "leave out SCHEDULER" in text
