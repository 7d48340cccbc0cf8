"""The suite on mapped netlists: what ppa.json measured is what sim.json says was simulated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from test_verification import runner

from common.errors import UserError
from flows.platform import load_platform
from flows.synth.__main__ import forms, measure, record
from tb.control.suites import columns

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
