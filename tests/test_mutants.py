"""Mutation testing itself: what it changes, what it must and must not call killed."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from common.store import Store
from tb.control.build import ROOT
from tb.control.workers import Done, Processes
from tb.mutants import __main__ as campaign_module
from tb.mutants.__main__ import (
    EQUIVALENT,
    Bench,
    Notes,
    Verdict,
    campaign,
    count_of,
    equivalents,
    explain,
    judge,
    report,
    score,
    shares,
)
from tb.mutants.bench import DESIGNS, every_gate, files
from tb.mutants.mutate import Mutant, mutants_of, queue

RTL = ROOT / "rtl"
SOURCE = """`include "encmac_checks.svh"
module small #(parameter int Rows = 1 + 1) (input logic clk_i, rst_ni, input logic [Rows-1:0] x_i, output logic y_o);
  `ENCMAC_REQUIRE(gen_check, Rows > 0, "Rows")
  logic [Rows-1:0] q;
  logic unused_x;
  assign unused_x = ^x_i & q[0];
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) q <= '0;
    else q <= x_i;
  end
  for (genvar r = 0; r < Rows; r++) begin : gen_row
  end
  assign y_o = q[Rows-1] && (x_i[0] ? q[0] : 1'b1);
`ifndef SYNTHESIS
  Holds :
  assert property (@(posedge clk_i) x_i == '0 |-> y_o);
`endif
endmodule
"""


def small(tmp_path: Path) -> list[Mutant]:
    """The mutants of the source above."""
    (tmp_path / "small.sv").write_text(SOURCE)
    (tmp_path / "encmac_checks.svh").write_text((RTL / "encmac_checks.svh").read_text())
    return mutants_of(tmp_path, "small.sv")


def test_faults_of_a_module(tmp_path: Path) -> None:
    changes = {(m.kind, m.old, m.new) for m in small(tmp_path)}
    assert {
        ("inversion", "!", ""),
        ("enable", "!rst_ni", "1'b1"),
        ("condition", "!rst_ni", "!(!rst_ni)"),
        ("constant", "'0", "'1"),
        ("lost update", "q <= x_i", "q <= q"),
        ("handshake", "&&", "||"),
        ("selection", "x_i[0] ? q[0] : 1'b1", "x_i[0] ? 1'b1 : q[0]"),
        ("arithmetic", "-", "+"),
        ("off by one", "0", "1"),
    } <= changes


def test_what_is_no_fault_of_the_design_is_left_alone(tmp_path: Path) -> None:
    lines = SOURCE.splitlines()
    touched = {lines[m.line - 1] for m in small(tmp_path)}
    for word in ("module", "REQUIRE", "unused", "logic [", "posedge", "r < Rows", "assert"):
        assert not [line for line in touched if word in line and "for (" not in line], word
    for mutant in small(tmp_path):
        text = mutant.apply(SOURCE)
        assert text != SOURCE
        assert " ".join(text.splitlines()[mutant.line - 1].split()) == mutant.after
    with pytest.raises(AssertionError, match="is not the file"):
        mutant.apply("another file")


def test_every_module_that_is_simulated_has_mutants() -> None:
    known = files(RTL)
    modules = {
        str(p.relative_to(RTL)) for folder in ("accum", "array", "mult", "tile") for p in (RTL / folder).glob("*.sv")
    }
    assert modules <= set(known)
    assert set(DESIGNS) >= {file for file in known if file.startswith("encodings/")}
    for file in known:
        assert mutants_of(RTL, file), file


def test_same_seed_same_mutants_and_kinds_take_turns() -> None:
    first, again, other = (queue(RTL, "tile/tile_engine.sv", seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == sorted(other) == mutants_of(RTL, "tile/tile_engine.sv")
    kinds = len({m.kind for m in first})
    assert max(Counter(m.kind for m in first[:kinds]).values()) == 1


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where mutants are built, with the encoding of every gate."""
    every_gate().save(tmp_path / "every_gate.json")
    return tmp_path


def by_hand(file: str, old: str, new: str) -> Mutant:
    """A mutant that is written down here."""
    text = (RTL / file).read_text()
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times: mend this test"
    start = text.index(old)
    return Mutant(file, text.count("\n", 0, start) + 1, start, old, new, "by hand", old, new)


COUNTER = "accum/bit_counter.sv"
SUM = "count_o = row0 + row1;"


def bench(scratch: Path, rtl: Path = RTL, **seconds: float) -> Bench:
    """What mutants are judged with here."""
    return Bench(rtl, 1, scratch, seconds)


def judged(mutant: Mutant, scratch: Path) -> Verdict:
    """What a worker says of a mutant."""
    (done,) = Processes(1).run(judge, [(mutant, bench(scratch))])
    return done.result


@pytest.mark.parametrize(
    ("new", "status"),
    [
        ("count_o = row1 + row0;", "survived"),
        ("count_o = row0 | row1;", "killed"),
        ("count_o = row0 + nothing;", "refused"),
    ],
)
def test_verdicts(new: str, status: str, scratch: Path) -> None:
    verdict = judged(by_hand(COUNTER, SUM, new), scratch)
    assert verdict.status == status, verdict
    assert verdict.test == {"killed": "array_smoke_corners", "refused": "build", "survived": ""}[status]


def test_what_shows_nothing_of_the_suite_is_no_kill(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = by_hand(COUNTER, SUM, SUM.replace("row0 + row1", "row1 + row0"))
    monkeypatch.setattr(campaign_module, "SOUND_S", 0.01)
    assert judged(sound, scratch).status == "timeout"
    monkeypatch.setattr(campaign_module, "SOUND_S", 60)
    monkeypatch.setattr("common.files.FULL_DISK_BYTES", 1 << 60)
    broken = by_hand(COUNTER, SUM, "count_o = row0 + nothing;")
    assert judged(broken, scratch).status == "disk"
    monkeypatch.setattr("common.files.FULL_DISK_BYTES", 0)
    fake = scratch / "bin" / "vvp"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    assert judged(sound, scratch).status == "crash"


def verdict_of(status: str, number: int = 1, file: str = COUNTER) -> list[Verdict]:
    """Verdicts without a simulation."""
    return [Verdict(Mutant(file, n, 0, "a", "b", "gate", f"a{n}", f"b{n}"), status) for n in range(number)]


POSSIBLE = {COUNTER: 9}


def test_a_survivor_fails_unless_its_reason_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    reasons = {(COUNTER, "a0", "b0"): "the sum is the same"}
    for status in ("survived", "timeout", "crash", "disk"):
        missed = verdict_of(status)
        assert report(missed + verdict_of("killed", 99)[1:], [], 1, tmp_path, POSSIBLE, 1.0) == 1
        assert f"{status.upper()} accum/bit_counter.sv:0 (gate)" in capsys.readouterr().out
        explained, faults = explain(missed + verdict_of("killed", 3)[1:], reasons)
        assert (report(explained, faults, 1, tmp_path, POSSIBLE, 1.0), faults) == (0, [])
        assert "the sum is the same" in capsys.readouterr().out
    record = json.loads((tmp_path / "mutants.json").read_text())
    counts = {"mutants": 3, "percent": 100.0, "killed": 2, "survived": 0, "equivalent": 1, "timeout": 0, "crash": 0}
    counts |= {"disk": 0, "refused": 0, "possible": 9}
    assert record["totals"] == counts | {"target": 98.0}
    assert record["files"] == {COUNTER: counts}
    # a reason for a mutant that is killed is no reason
    explained, faults = explain(verdict_of("killed"), reasons)
    assert report(explained, faults, 1, tmp_path, POSSIBLE, 1.0) == 1
    assert "is called equivalent, but was killed" in capsys.readouterr().out
    assert report([], [], 1, tmp_path, POSSIBLE, 1.0) == 1
    assert report(verdict_of("refused"), [], 1, tmp_path, POSSIBLE, 1.0) == 1


def test_what_is_not_killed_counts_against_the_score() -> None:
    verdicts = [
        v
        for status in ("killed", "survived", "timeout", "crash", "disk", "refused", "equivalent")
        for v in verdict_of(status, 6 if status == "killed" else 1)
    ]
    assert score(verdicts)["percent"] == 60.0
    assert score(verdicts)["mutants"] == 11


def test_a_design_that_fails_kills_nothing(scratch: Path) -> None:
    rtl = broken_rtl(scratch, COUNTER, {SUM: "count_o = row0 | row1;"})
    notes = Notes(Store(scratch / "reports"), bench(scratch, rtl))
    with pytest.raises(UserError, match="the design itself fails array_smoke_corners"):
        campaign({COUNTER: queue(rtl, COUNTER, 1)}, 1, bench(scratch, rtl), notes, 1, None)


def test_an_interrupted_run_goes_on(scratch: Path) -> None:
    store = Store(scratch / "reports")
    known = [verdict_of(status, n + 1)[n] for n, status in enumerate(("killed", "refused", "timeout"))]
    notes = Notes(store, bench(scratch))
    for verdict in known:
        notes.add(verdict)
    assert Notes(store, bench(scratch)).known == {v.mutant: v for v in known}
    assert Notes(store, Bench(RTL, 2, scratch, {})).known == {}  # of another seed
    rtl = broken_rtl(scratch, COUNTER, {SUM: "count_o = row0 | row1;"})
    assert Notes(store, bench(scratch, rtl)).known == {}  # of another design


def test_a_kill_depends_on_what_killed(scratch: Path) -> None:
    store = Store(scratch / "reports")
    file = "tile/tile_counter.sv"
    mutants = [v.mutant for v in verdict_of("killed", 3, file)]
    alone, engine = (f"icarus {config.design}" for config in DESIGNS[file][:2])
    alone_kills = Verdict(mutants[0], "killed", alone, "tile_counter_walks")
    engine_kills = Verdict(mutants[1], "killed", engine, "tile_smoke")
    survivor = Verdict(mutants[2], "survived")
    rtl = Path(shutil.copytree(RTL, scratch / "rtl"))
    notes = Notes(store, bench(scratch, rtl))
    for verdict in (alone_kills, engine_kills, survivor):
        notes.add(verdict)
    assert set(Notes(store, bench(scratch, rtl)).known) == set(mutants)
    other = rtl / "tile" / "requantiser.sv"
    other.write_text(other.read_text() + "// another module\n")
    assert set(Notes(store, bench(scratch, rtl)).known) == {mutants[0]}
    own = rtl / file
    own.write_text(own.read_text() + "// this module\n")
    assert not Notes(store, bench(scratch, rtl)).known


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Mutant]:
    """Verdicts without simulation: every third mutant is refused, every seventh hangs; those that were asked for."""
    asked: list[Mutant] = []

    class Pool:
        def __init__(self, _jobs: int) -> None: ...

        def run(self, _function: object, tasks: list[tuple]) -> Iterator[Done]:
            for n, (mutant, _) in enumerate(tasks):
                asked.append(mutant)
                status = "refused" if mutant.line % 3 == 0 else "timeout" if mutant.line % 7 == 0 else "killed"
                yield Done(n, None if mutant.line == 10 else Verdict(mutant, status))

    monkeypatch.setattr(campaign_module, "Processes", Pool)
    monkeypatch.setattr(campaign_module, "check_designs", lambda *_: None)
    return asked


def test_files_take_turns_and_refused_mutants_are_replaced(quick: list[Mutant], tmp_path: Path) -> None:
    queues = {file: [v.mutant for v in verdict_of("killed", 40, file)] for file in ("accum/a", "mult/b", "tile/c")}
    notes = Notes(Store(tmp_path), bench(tmp_path))
    found = campaign(queues, 30, bench(tmp_path), notes, 1, None)
    assert {m.file for m in quick[:3]} == {"accum/a", "mult/b", "tile/c"}
    for file in queues:
        own = [v for v in found if v.mutant.file == file]
        assert [v.mutant for v in own] == queues[file][: len(own)]
        assert sum(v.status != "refused" for v in own) == 10
    assert {v.mutant.line for v in found if v.status == "crash"} == {10}  # it killed its worker, again and again
    # the same again: only what showed nothing is tried once more
    quick.clear()
    again = campaign(queues, 30, bench(tmp_path), Notes(notes.store, bench(tmp_path)), 1, None)
    assert again == found
    assert {m.line for m in quick} == {7, 10, 14} & {v.mutant.line for v in found}
    # all of them; and nothing once the time is over
    assert len(campaign(queues, None, bench(tmp_path), notes, 1, None)) == 120
    quick.clear()
    assert campaign(queues, None, bench(tmp_path), Notes(Store(tmp_path / "new"), bench(tmp_path)), 1, 0.0) != []
    assert len(quick) == 1


def test_shares_and_numbers() -> None:
    assert shares({"a": 2, "b": 9, "c": 9}, 10) == {"a": 2, "b": 4, "c": 4}
    assert shares({"a": 2, "b": 9}, None) == {"a": 2, "b": 9}
    assert (count_of("all"), count_of("600")) == (None, 600)
    for word in ("0", "-1", "many", "1.5"):
        with pytest.raises(UserError, match="how many mutants"):
            count_of(word)


def test_wide_encoded_engines_are_among_the_designs() -> None:
    for file in ("tile/tile_engine.sv", "tile/requantiser.sv", "array/mac_array.sv", "array/enc_column.sv"):
        configs = DESIGNS.get(file) or DESIGNS[file.split("/")[0]]
        assert any(c.array == "enc" and c.columns >= 12 and c.depth for c in configs), file


def test_committed_reasons_are_of_mutants_that_exist(tmp_path: Path) -> None:
    known = {(m.file, m.before, m.after) for file in files(RTL) for m in mutants_of(RTL, file)}
    assert set(equivalents(EQUIVALENT)) <= known
    for text, message in (('[[mutant]]\nfile = "x"', "KeyError"), ("[", "TOMLDecodeError")):
        (tmp_path / "e.toml").write_text(text)
        with pytest.raises(UserError, match=message):
            equivalents(tmp_path / "e.toml")
    (tmp_path / "e.toml").write_text('[[mutant]]\nfile = "x"\nbefore = "y"\nafter = "z"\nreason = " "')
    with pytest.raises(UserError, match="gives no reason"):
        equivalents(tmp_path / "e.toml")
