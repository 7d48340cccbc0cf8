"""Mutation testing itself: what it changes, what it must and must not call killed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from models.errors import UserError
from tb.build import ROOT
from tb.mutants.__main__ import (
    EQUIVALENT,
    Notes,
    Verdict,
    campaign,
    equivalents,
    explain,
    judge,
    prepare_worker,
    report,
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
    assert shares({"a": 2, "b": 9, "c": 9}, 10) == {"a": 2, "b": 4, "c": 4}


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


def judged(mutant: Mutant, scratch: Path) -> Verdict:
    """What a worker says of a mutant."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, initializer=prepare_worker) as pool:
        return pool.submit(judge, mutant, RTL, 1, scratch).result()


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


def verdict_of(status: str, number: int = 1) -> list[Verdict]:
    """Verdicts without a simulation."""
    return [Verdict(Mutant(COUNTER, n, 0, "a", "b", "gate", f"a{n}", f"b{n}"), status) for n in range(number)]


def test_a_survivor_fails_unless_its_reason_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    reasons = {(COUNTER, "a0", "b0"): "the sum is the same"}
    survivor = verdict_of("survived")
    assert report(survivor, [], 1, tmp_path) == 1
    assert "SURVIVED accum/bit_counter.sv:0 (gate)" in capsys.readouterr().out
    explained, faults = explain(survivor + verdict_of("killed", 3)[1:], reasons)
    assert (report(explained, faults, 1, tmp_path), faults) == (0, [])
    assert "the sum is the same" in capsys.readouterr().out
    record = json.loads((tmp_path / "mutants.json").read_text())
    assert record["totals"] == {"mutants": 3, "percent": 100.0, "target": 98.0} | {
        "killed": 2,
        "survived": 0,
        "equivalent": 1,
        "refused": 0,
    }
    # a reason for a mutant that is killed is no reason
    explained, faults = explain(verdict_of("killed"), reasons)
    assert report(explained, faults, 1, tmp_path) == 1
    assert "is called equivalent, but was killed" in capsys.readouterr().out
    assert report([], [], 1, tmp_path) == 1
    assert report(verdict_of("refused"), [], 1, tmp_path) == 1


def test_a_design_that_fails_kills_nothing(scratch: Path) -> None:
    rtl = broken_rtl(scratch, COUNTER, {SUM: "count_o = row0 | row1;"})
    with pytest.raises(UserError, match="the design itself fails array_smoke_corners"):
        campaign({COUNTER: queue(rtl, COUNTER, 1)}, {COUNTER: 1}, rtl, 1, scratch, 1)


def test_an_interrupted_run_goes_on(scratch: Path) -> None:
    path = scratch / "verdicts.jsonl"
    killed, refused = verdict_of("killed")[0], verdict_of("refused", 2)[1]
    notes = Notes(path, RTL, 1)
    notes.add(killed)
    notes.add(refused)
    path.write_text(path.read_text() + '{"of": "cut o')
    assert Notes(path, RTL, 1).known == {killed.mutant: killed, refused.mutant: refused}
    assert Notes(path, RTL, 2).known == {}  # of another seed
    rtl = broken_rtl(scratch, COUNTER, {SUM: "count_o = row0 | row1;"})
    assert Notes(path, rtl, 1).known == {}  # of another design


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
