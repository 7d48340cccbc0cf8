"""The campaign of faults itself: everything that must not be is seen, and nothing else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.store import Store
from tools import chaos
from tools.chaos import CROSSED, FALSE_FAILURE, FALSE_PASS, FAULTS, LEFT, LOST, Campaign, Run, conclude

KEY = {"name": "full_adder/1"}
PROVEN = {"result": "proven", "detail": "8 cases"}
SAID = ["1 of 1 proven"]


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """A clone that holds one proof, as the undisturbed run left it."""
    clone = tmp_path / "clone"
    Store(clone / "build" / "reports").put("proof", KEY, PROVEN)
    found = Campaign(clone, tmp_path, random.Random(1), said={"formal": SAID})
    found.truth = found.entries()
    found.counts["kill"] = 1
    return found


def ended(campaign: Campaign, text: str, code: int, hit: bool = False) -> list[Run]:
    """A command that has ended."""
    out = campaign.data / "out"
    out.write_text(text)
    return [Run("formal", SimpleNamespace(returncode=code), out, hit)]


def judged(campaign: Campaign, text: str = SAID[0], code: int = 0, hit: bool = False) -> dict[str, int]:
    """What is blamed after a round."""
    campaign.judge(ended(campaign, text, code, hit), campaign.truth)
    return {what: number for what, number in campaign.wrong.items() if number}


def test_nothing_is_blamed_where_nothing_is_wrong(campaign: Campaign) -> None:
    assert judged(campaign) == {}
    assert judged(campaign, "encmac: error: make formal (process 1, since 1) is at work on x; wait", 2) == {}
    assert judged(campaign, "killed", -9, hit=True) == {}


def test_a_result_that_is_gone_is_seen(campaign: Campaign) -> None:
    Store(campaign.clone / "build" / "reports").remove("proof", [KEY])
    assert judged(campaign) == {LOST: 1}


def test_a_result_of_another_is_seen(campaign: Campaign) -> None:
    Store(campaign.clone / "build" / "reports").put("proof", KEY, PROVEN | {"detail": "9 cases"})
    assert judged(campaign) == {CROSSED: 1}


def test_a_failure_that_is_kept_is_seen(campaign: Campaign) -> None:
    Store(campaign.clone / "build" / "reports").put("proof", {"name": "other"}, {"result": "error", "detail": "killed"})
    assert judged(campaign) == {FALSE_FAILURE: 1}


def test_a_pass_without_its_results_is_seen(campaign: Campaign) -> None:
    assert judged(campaign, "0 of 1 proven", 0, hit=True) == {FALSE_PASS: 1}


def test_a_command_that_another_broke_is_seen(campaign: Campaign) -> None:
    assert judged(campaign, "no such file", 1) == {CROSSED: 1}


def test_a_damaged_store_and_half_a_record_are_seen(campaign: Campaign) -> None:
    reports = campaign.clone / "build" / "reports"
    (reports / "formal.json").write_text('{"proofs"')
    assert judged(campaign) == {LOST: 1}
    (reports / "formal.json").unlink()
    (reports / "records.sqlite").write_text("no store at all, but long enough to have a header" * 40)
    assert judged(campaign) == {LOST: 2}


def test_a_process_that_is_left_is_seen_and_ended(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "LEFT_S", 0)
    environment = os.environ | {chaos.MARK: str(campaign.clone)}
    code = "import time; print('begun', flush=True); time.sleep(600)"
    left = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert left.stdout.readline() == "begun\n"
    campaign.wait([])
    assert campaign.wrong[LEFT] == 1 and left.wait(1200) == -9


def test_the_exit_code_tells(campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert conclude(campaign, Store(tmp_path), 1, 1) == 0
    assert "1 faults (1 kill, 0 interrupt" in capsys.readouterr().out
    campaign.blame(LOST, "a result")
    assert conclude(campaign, Store(tmp_path), 1, 1) == 1
    assert "lost 1, crossed 0" in capsys.readouterr().out
    campaign.wrong.clear()
    campaign.counts.clear()
    assert conclude(campaign, Store(tmp_path), 1, 1) == 1, "nothing was tried"
    assert len(FAULTS) == 6
