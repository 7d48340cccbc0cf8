"""Two runs compared: what differs is told, what is the same is not, and folders without records are refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from common.errors import UserError
from flows.report.compare import compare, main, print_differences, same
from tests import example_records as example

TEST = {"name": "array_random", "design": "enc m14p 8x8", "simulator": "icarus", "seed": 1, "status": "passed"}
TEST |= {"matches": 100, "mismatches": 0, "duration_s": 1.0}
SIM = {"format": "encmac-sim/1", "tests": [TEST, TEST | {"name": "array_corners"}], "totals": {}}
ROW = {"network": "resnet20_cifar10", "encoding": "m14p", "images": 1000, "top1": {"int8": 0.92, "encoded": 0.91}}
ACCURACY = {"format": "encmac-accuracy/1", "rows": [ROW]}


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same records."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, SIM, ACCURACY)
    return tmp_path / "before", tmp_path / "after"


def write(folder: Path, sim: dict, accuracy: dict) -> None:
    (folder / "sim.json").write_text(json.dumps(sim))
    (folder / "accuracy.json").write_text(json.dumps(accuracy))


def test_the_same_run_differs_in_nothing(runs, capsys):
    before, after = runs
    late = copy.deepcopy(SIM)
    late["tests"][0]["duration_s"] = 99.0  # time is no result
    write(after, late, ACCURACY)
    document = compare(after, before, 0.0)
    assert document["compared"] == {"sim": 2, "accuracy": 1} and not document["differences"]
    print_differences(document)
    assert "sim: 2 in both, none of them differs\n" in capsys.readouterr().out


def test_a_failure_a_figure_and_a_test_that_is_gone_are_told(runs, capsys, monkeypatch):
    before, after = runs
    sim, accuracy = copy.deepcopy(SIM), copy.deepcopy(ACCURACY)
    sim["tests"][0] |= {"status": "failed", "mismatches": 3}
    del sim["tests"][1]
    accuracy["rows"][0]["top1"]["encoded"] = 0.9009
    write(after, sim, accuracy)
    monkeypatch.setattr("sys.argv", ["compare", "--before", str(before), "--reports", str(after)])
    assert main() == 1
    out = capsys.readouterr().out
    assert "status: passed -> failed" in out and "wrong: 0 -> 3" in out
    assert "only before: enc m14p 8x8, icarus: array_corners, seed 1" in out
    assert "top-1, encoded: 0.91 -> 0.9009  -1.00 %" in out


def test_a_tolerance_is_in_percent(runs):
    before, after = runs
    accuracy = copy.deepcopy(ACCURACY)
    accuracy["rows"][0]["top1"]["encoded"] = 0.9009
    write(after, SIM, accuracy)
    assert len(compare(after, before, 0.5)["differences"]) == 1
    assert not compare(after, before, 1.1)["differences"]


def test_a_figure_of_a_new_kind_is_a_difference(runs):
    before, after = runs
    accuracy = copy.deepcopy(ACCURACY)
    accuracy["rows"][0]["top1"]["chosen"] = 0.915
    write(after, SIM, accuracy)
    (told,) = compare(after, before, 50.0)["differences"]
    assert (told.figure, told.before, told.after) == ("top-1, chosen", None, 0.915)


def test_tests_of_one_name_are_told_apart(runs):
    before, after = runs
    twice = SIM | {"tests": [TEST, TEST | {"matches": 50}]}
    write(before, twice, ACCURACY)
    write(after, SIM | {"tests": [TEST, TEST | {"matches": 51}]}, ACCURACY)
    (told,) = compare(after, before, 0.0)["differences"]
    assert told.what.endswith("(2)") and (told.before, told.after) == (50, 51)


@pytest.mark.parametrize("damage", ["{", '{"format": "encmac-sim/9"}', '{"format": "encmac-sim/1", "tests": [{}]}'])
def test_a_damaged_record_is_named(runs, damage):
    before, after = runs
    (before / "sim.json").write_text(damage)
    with pytest.raises(UserError, match="before/sim.json"):
        compare(after, before, 0.0)


def test_folders_that_share_no_record_are_refused(runs, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no record in common"):
        compare(runs[0], empty, 0.0)


def test_a_record_of_one_run_only_is_told(runs, capsys, monkeypatch):
    before, after = runs
    (before / "accuracy.json").unlink()
    document = compare(after, before, 0.0)
    assert document["missing"] == [str(before / "accuracy.json")]
    print_differences(document)
    assert f"not compared: there is no {before}/accuracy.json" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["compare", "--before", str(before), "--reports", str(after)])
    assert main() == 1  # not "the same"


def test_a_test_set_through_the_gates_and_its_power_are_compared(runs):
    before, after = runs
    for folder in runs:
        for name, record in (("gates", example.gates()), ("ppa", ppa_of(0.9))):
            (folder / f"{name}.json").write_text(json.dumps(record))
    assert not compare(after, before, 0.0)["differences"]
    gates = example.gates()
    gates["designs"][0] |= {"wrong": 3, "gmac_per_s_a_core": 99.0}  # a speed is no result
    (after / "gates.json").write_text(json.dumps(gates))
    (after / "ppa.json").write_text(json.dumps(ppa_of(1.0)))
    found = compare(after, before, 0.0)["differences"]
    assert [(d.record, d.figure, d.before, d.after) for d in found] == [
        ("gates", "wrong", 0, 3),
        ("ppa", "power mW, 512 images of made_up", 0.9, 1.0),
    ]


def ppa_of(test_set_mw: float) -> dict:
    """A column with power on a test set."""
    design = example.ppa()["designs"][0] | {"package_sha256": None, "platform_sha256": "ab", "encoding": None}
    design["test_set"] = design["test_set"] | {"total": test_set_mw}
    return {"format": "encmac-ppa/1", "designs": [design]}


def test_rows_are_the_same_whatever_their_order(runs):
    before, after = runs
    rows = [ROW | {"seed": 1}, ROW | {"seed": 2, "top1": {"int8": 0.9}}, ROW | {"dataset": "half1"}]
    rows += [
        ROW | {"encoding_sha256": "b", "top1": {"int8": 0.5}},
        ROW | {"encoding_sha256": "a"},
        ROW | {"choose": True},
    ]
    write(before, SIM, ACCURACY | {"rows": rows})
    write(after, SIM, ACCURACY | {"rows": rows[::-1]})
    document = compare(after, before, 0.0)
    assert document["compared"]["accuracy"] == 6 and not document["differences"]
    assert not document["only_before"]["accuracy"] and not document["only_after"]["accuracy"]


def test_records_in_which_everything_is_stale_are_not_alike(runs, monkeypatch, capsys):
    for folder in runs:
        write(folder, SIM | {"tests": []}, ACCURACY | {"rows": []})
    monkeypatch.setattr("sys.argv", ["compare", "--before", str(runs[0]), "--reports", str(runs[1])])
    assert main() == 1
    assert "nothing was compared" in capsys.readouterr().out


def test_a_tolerance_is_of_the_first():
    assert same(100, 110, 10) and same(100, 90, 10) and not same(100, 111, 10) and not same(0, 1e-9, 10)
    assert same(0, 0, 0) and not same(None, 0, 10)
