"""Two commands at once, results that are kept, and what is no verdict on a design."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import flows.power.__main__ as power
import flows.synth.array as array
import flows.synth.measure as synth
import models.search.__main__ as search
import models.train.__main__ as train
from common.errors import UserError
from common.files import locked
from common.processes import CRASH
from common.store import Store, sources_of
from flows.gls import Simulated
from flows.platform import load_platform
from flows.report.facts import same_encoding
from flows.synth.netlist import Netlist
from models.accuracy import update_report
from models.encoding import LIBRARY, OWN, load_encoding
from tb.reporting import testplan
from tb.reporting.results import About, Outcome, report
from tools.options import parse

HAVE_LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file()
needs_library = pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Synthesis without its tools: what was mapped, what the gate-level run says, an event that it waits for."""
    made = SimpleNamespace(mapped=[], gate=Simulated("passed", 9, 0), go=threading.Event(), begun=threading.Event())
    made.go.set()

    def synthesise(_target: object, *arguments: object) -> None:
        made.mapped.append(arguments[0].label)
        made.begun.set()
        assert made.go.wait(1200)
        place = arguments[4] / "amap"
        place.mkdir()
        (place / "netlist.v").write_text("module column_top; endmodule\n")

    def choose(places: list[Path], *_: object) -> tuple[Netlist, float]:
        path = places[0] / "netlist.v"
        sha256 = synth.hashlib.sha256(path.read_bytes()).hexdigest()
        return Netlist(path, sha256, 1, 1.0, 0.5, {}, {}, "amap"), 1.0

    def simulate(netlist: Path, *_: object) -> Simulated:
        if isinstance(made.gate, Exception):
            raise made.gate
        (netlist.parent / "sim.log").write_text("what the simulator said")
        return made.gate

    monkeypatch.setattr(synth, "in_a_process", synthesise)
    monkeypatch.setattr(synth, "choose", choose)
    monkeypatch.setattr(synth, "simulate_column", simulate)
    return made


def measured(folder: Path) -> synth.Result:
    """A small column."""
    design = synth.forms(4, [])["conv tree"][0]
    return synth.measure(design, 4, load_platform("osu018"), 10.0, folder, ("amap",))


@needs_library
def test_two_at_once_map_a_column_once(tools: SimpleNamespace, tmp_path: Path) -> None:
    tools.go.clear()
    found: list[synth.Result] = []
    threads = [threading.Thread(target=lambda: found.append(measured(tmp_path))) for _ in range(2)]
    threads[0].start()
    assert tools.begun.wait(1200)
    threads[1].start()
    tools.go.set()
    for thread in threads:
        thread.join()
    assert len(tools.mapped) == 1 and found[0] == found[1] and found[0].gate.status == "passed"
    assert found[0].netlist.path.is_file() and ".scratch" not in str(found[0].netlist.path)


@needs_library
def test_a_simulator_that_was_killed_leaves_no_verdict(tools: SimpleNamespace, tmp_path: Path) -> None:
    tools.gate = UserError(f"ended badly; see {tmp_path}")
    with pytest.raises(UserError, match="ended badly"):
        measured(tmp_path)
    tools.gate = Simulated("passed", 9, 0)
    assert measured(tmp_path).gate.status == "passed" and len(tools.mapped) == 2
    assert measured(tmp_path).gate.status == "passed" and len(tools.mapped) == 2


@needs_library
def test_a_netlist_that_did_not_pass_is_made_again(tools: SimpleNamespace, tmp_path: Path) -> None:
    tools.gate = Simulated("failed", 8, 1)
    assert measured(tmp_path).gate.status == "failed"
    tools.gate = Simulated("passed", 9, 0)
    assert measured(tmp_path).gate.status == "passed" and len(tools.mapped) == 2


@needs_library
def test_a_netlist_that_was_edited_is_mapped_anew_and_it_is_told(
    tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A column, and the shell of an array."""
    mapped = synth.in_a_process
    monkeypatch.setattr(array, "in_a_process", lambda target, *given: mapped(target, *given[:2], *given[3:]))
    monkeypatch.setattr(array, "choose", synth.choose)
    path = measured(tmp_path).netlist.path
    measured(tmp_path)
    assert len(tools.mapped) == 1 and capsys.readouterr().err == ""
    path.write_text(path.read_text() + "// by hand\n")
    found = measured(tmp_path)
    assert len(tools.mapped) == 2 and "by hand" not in found.netlist.path.read_text()
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"encmac: \S*netlist\.v was changed since it was mapped; it is mapped anew", line)
    shell = array.measure_array(found, 2, load_platform("osu018"), 10.0, tmp_path).shell
    shell.path.write_text("// by hand\n")
    array.measure_array(found, 2, load_platform("osu018"), 10.0, tmp_path)
    assert "was changed since it was mapped" in capsys.readouterr().err and "by hand" not in shell.path.read_text()


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "netlist.v")


def test_a_full_disk_in_synthesis_is_one_line(capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match="synthesis could not write its files: is the disk full"):
        synth.in_a_process(_no_room)
    assert "Traceback" not in capfd.readouterr().err


@needs_library
def test_a_clock_that_was_set_back_does_not_cost_the_newest_result(tools: SimpleNamespace, tmp_path: Path) -> None:
    """Results of other sources lie beside it and say that they are of tomorrow."""
    label = synth.forms(4, [])["conv tree"][0].label
    tomorrow = time.time() + 86_400
    for digit in range(synth.KEPT_RESULTS + 2):
        other = tmp_path / label / f"{digit}00000000000"
        other.mkdir(parents=True)
        os.utime(other, (tomorrow, tomorrow))
    assert measured(tmp_path).netlist.path.is_file()
    assert measured(tmp_path).netlist.path.is_file() and len(tools.mapped) == 1


@needs_library
def test_sources_that_change_while_a_column_is_mapped_leave_no_result(
    tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"rtl": "before"}
    monkeypatch.setattr(synth, "flow_sources", lambda: dict(now))
    mapped = synth.in_a_process

    def edited(*arguments: object) -> None:
        now["rtl"] = "after"
        mapped(*arguments)

    monkeypatch.setattr(synth, "in_a_process", edited)
    with pytest.raises(UserError, match="sources changed while it was made; run the same command again"):
        measured(tmp_path)
    monkeypatch.setattr(synth, "in_a_process", mapped)
    now["rtl"] = "before"
    assert measured(tmp_path).gate.status == "passed" and len(tools.mapped) == 2


@needs_library
def test_power_measures_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def side_by_side(_platform: object, clock_ns: float, args: SimpleNamespace, tables: bool) -> list[dict]:
        asked.append((args.rows, args.columns, clock_ns, args.designs))
        return [{"design": "conv tree", "wns_ns": -1.0, "gate_sim": "passed"}]

    monkeypatch.setattr(power, "side_by_side", side_by_side)
    monkeypatch.setattr("sys.argv", ["power", "--out", str(tmp_path)])
    with pytest.raises(UserError, match="no power: at 10 ns conv tree did not pass"):
        power.main()
    rows, columns, clock_ns, _ = asked[0]
    assert (rows, columns, clock_ns) == (64, 1, 10.0), "whatever make synth measured last"


def outcome(name: str, status: str = "passed", design: str = "conv written 8x8", **more: object) -> Outcome:
    """A test on a made-up design."""
    return Outcome(name, "smoke", "conv", design, "icarus", 1, status, 5, 0, 0.1, "make sim", **more)


def ended(reports: Path, outcomes: list[Outcome], whole: bool, sources: dict[str, str] | None = None) -> dict:
    """sim.json after a run."""
    about = About("smoke" if whole else "smoke TEST=x", 1, 0.1, "", sources or {}, whole)
    report(outcomes, testplan.load_plan(testplan.PLAN), None, reports, {}, about)
    return json.loads((reports / "sim.json").read_text())


def test_a_narrow_run_leaves_the_regression_whole(tmp_path: Path) -> None:
    first = [outcome("a"), outcome("b", "failed"), outcome("simulation", "failed", "enc m20p 8x8", cause=CRASH)]
    assert "regression" not in ended(tmp_path, first, True)
    record = ended(tmp_path, [outcome("b")], False)
    assert record["totals"]["tests"] == 1
    whole = record["regression"]["totals"]
    assert (whole["tests"], whole["passed"], whole["failed"]) == (2, 2, 0)
    # a simulator that was killed is no verdict, and does not take the place of one
    record = ended(tmp_path, [outcome("a", "failed", cause=CRASH)], False)
    assert record["totals"]["failed"] == 1 and record["regression"]["totals"]["passed"] == 2


def test_a_design_that_builds_again_has_failed_no_more(tmp_path: Path) -> None:
    ended(tmp_path, [outcome("a"), outcome("build", "failed")], True)
    totals = ended(tmp_path, [outcome("c", design="another")], False)["regression"]["totals"]
    assert (totals["tests"], totals["failed"]) == (2, 1)
    totals = ended(tmp_path, [outcome("b")], False)["regression"]["totals"]
    assert (totals["tests"], totals["passed"], totals["failed"]) == (2, 2, 0)


def test_outcomes_of_other_sources_are_missing(tmp_path: Path) -> None:
    source = tmp_path / "top.sv"
    source.write_text("old")
    ended(tmp_path / "reports", [outcome("a"), outcome("b")], True, sources_of(source))
    source.write_text("new")
    record = ended(tmp_path / "reports", [outcome("b")], False, sources_of(source))["regression"]
    assert (record["totals"]["tests"], record["totals"]["missing"], record["stale"]) == (1, 1, [str(source)])


def test_two_files_of_one_name_are_two_things(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "accuracy.json"
    row = {"network": "n", "dataset": "d", "encoding": "mine", "images": 9, "top1": {"int8": 0.9, "encoded": 0.8}}
    update_report(path, row | {"encoding_sha256": "of mine.json"})
    update_report(path, row | {"encoding_sha256": "of mine.npy"})
    assert len(json.loads(path.read_text())["rows"]) == 2
    update_report(path, row | {"encoding_sha256": "of mine.npy", "top1": {"int8": 0.9, "encoded": 0.7}})
    rows = json.loads(path.read_text())["rows"]
    assert [r["top1"]["encoded"] for r in rows] == [0.8, 0.7]
    cost = {"encoding": "mine", "encoding_sha256": "of mine.json"}
    assert [same_encoding(cost, row) for row in rows] == [True, False]


def test_rows_of_an_earlier_version_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    old = {"network": "n", "encoding": "old", "top1": {}}
    path.write_text(json.dumps({"format": "encmac-accuracy/1", "rows": [old]}))
    update_report(path, old | {"encoding": "new"})
    assert [row["encoding"] for row in json.loads(path.read_text())["rows"]] == ["old", "new"]

    def encodings(path: Path) -> set[str]:
        return {row["encoding"] for row in json.loads(path.read_text())["rows"]}

    # a report that was copied over it: what it has more is taken over, what it has of a key is not put back
    mine = [old | {"encoding": "third"}, old | {"encoding": "new", "top1": {"int8": 0.1}}]
    path.write_text(json.dumps({"format": "encmac-accuracy/1", "rows": mine}))
    update_report(path, old | {"encoding": "fourth"})
    assert encodings(path) == {"old", "new", "third", "fourth"}
    assert not any(row["top1"] for row in json.loads(path.read_text())["rows"])
    # another report of the same folder has its own rows, and a link stays one
    other, link = tmp_path / "of-others.json", tmp_path / "link.json"
    other.write_text(json.dumps({"format": "encmac-accuracy/1", "rows": mine}))
    link.symlink_to(other)
    update_report(other, old | {"encoding": "fifth"})
    assert encodings(other) == {"third", "new", "fifth"} and "fifth" not in encodings(path)
    update_report(link, old | {"encoding": "sixth"})
    assert link.is_symlink() and encodings(other) == {"third", "new", "fifth", "sixth"}


def test_searched_encodings_lie_outside_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["search", "-M", "8"])
    assert parse("models.search").out == OWN != LIBRARY
    monkeypatch.setattr("models.encoding.OWN", tmp_path)
    dataclasses.replace(load_encoding("m12p"), name="mine").save(tmp_path / "mine.json")
    assert load_encoding("mine").name == "mine" and load_encoding("m12p").name == "m12p"
    with pytest.raises(UserError, match="unknown encoding 'none'"):
        load_encoding("none")


def test_stored_kinds_do_not_mix(tmp_path: Path) -> None:
    ended(tmp_path, [outcome("a")], True)
    assert [len(Store(tmp_path).entries(kind)) for kind in ("test", "regression", "run", "area")] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("main", "words", "lock"),
    [
        (search.main, ["-M", "8", "--name", "mine"], "build/search/mine.lock"),
        (train.main, ["--net", "resnet20_cifar10"], "build/train/resnet20_cifar10/train.lock"),
    ],
    ids=["search", "train"],
)
def test_who_would_write_to_the_same_place_is_refused_in_one_line(
    main: Callable, words: list[str], lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENCMAC_COMMAND", "1 make first")
    monkeypatch.setattr("sys.argv", ["command", *words])
    with (
        locked(Path(lock)),
        pytest.raises(UserError, match=r"make first \(process \d+, since .*\) is at work on build/"),
    ):
        main()
