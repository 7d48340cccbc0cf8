"""The report's facts, files and errors; tests/test_report_page.py looks at the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from common.console import signed
from common.errors import UserError
from common.provenance import ROOT
from common.store import Store, sources_of
from flows.formal.__main__ import view as formal_view
from flows.report.__main__ import shown
from flows.report.facts import COST_MODEL, gather, tiles_mw
from flows.report.records import KINDS, load_records
from tests import example_records as example


def report(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the command."""
    command = [sys.executable, "-m", "flows.report", "--reports", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path) -> Path:
    """Every record."""
    return example.write_records(tmp_path / "reports")


def test_cards_are_the_records(folder):
    facts = gather(load_records(folder))
    cards = {card.title: card for card in facts.cards}
    assert (cards["tests"].value, cards["tests"].state) == ("11 of 12", "bad")
    assert (cards["proofs"].value, cards["proofs"].state) == ("1 of 2", "bad")
    assert (cards["replay"].value, cards["replay"].state) == ("800,000 equal", "good")
    # m12p loses 1.6 points on the first network, m16p at most 0.79 (0.32 fine-tuned on the second)
    assert facts.headline == "m16p"
    assert cards["accuracy"].value == "-0.79"
    assert cards["area"].value == f"{100 * (320_000 / 950_000 - 1):+.1f} %"
    assert "conv tree" in cards["area"].detail


def test_verdicts_have_their_place(folder):
    (found,) = gather(load_records(folder)).verdicts
    assert found["answer"] == "Build it: enc m16p merged." and found["build_it"]
    assert [row["roles"] for row in found["rows"]] == ["best encoding", "smallest exact"]
    assert report(folder).returncode == 0
    page = (folder / "report.html").read_text()
    assert "Build it: enc m16p merged." in page and "-0.20 (-0.40 to +0.00)" in page
    assert "With them 20 % of the energy of enc w4a8 merged are saved." in page
    (folder / "verdict_resnet20_cifar10.json").write_text("{}")
    run = report(folder)
    assert run.returncode == 2 and "verdict_resnet20_cifar10.json has format 'None'" in run.stderr


def test_only_sound_designs_are_baselines(folder):
    record = example.ppa()
    tree = next(d for d in record["designs"] if d["design"] == "conv tree" and d["platform"] == "osu018")
    tree["gate_sim"] = "not_run"
    (folder / "ppa.json").write_text(json.dumps(record))
    facts = gather(load_records(folder))
    m20p = next(c for c in facts.costs if c["encoding"] == "m20p" and c["platform"].startswith("osu018"))
    assert m20p["area_change_base"] == "conv booth"
    assert m20p["area_change"] == 100 * (400_000 / 1_060_000 - 1), "rounded where it is shown, once"


def test_layouts_stand_beside_what_was_mapped(folder, tmp_path):
    record = example.ppa()
    figures = {"core_um": [100.0, 200.0], "wire_um": 5000.0, "clock_buffers": 9, "clock_latency_ns": 0.1, "drc": 0}
    figures |= {"wns_ns": 0.5, "hold_wns_ns": 0.25, "seconds": 90, "openroad": "26Q1"}
    (tmp_path / "layout.png").write_bytes(b"a picture")
    for name, area, power in (("conv tree", 16_000.0, 20.0), ("enc m20p merged", 4_000.0, 10.0)):
        design = next(d for d in record["designs"] if d["design"] == name and d["platform"] == "osu018")
        agreement = {"openroad": {"total": power + 1}}
        design["routed"] = figures | {"area_um2": {"total": area, "column": area}, "power_mw": {"column": power}}
        design["routed"] |= {"agreement_mw": agreement, "picture": os.path.relpath(tmp_path / "layout.png", ROOT)}
        whole = design["routed"] | {"columns": 16, "mapped_um2": area * 16, "mapped_mw": power * 16}
        whole |= {"area_um2": {"total": area * 20}, "power_mw": {"total": power * 20}}
        design["arrays"] = {"16": {"columns": 16, "area_um2": {"total": area * 16}, "routed": whole}}
        if name == "conv tree":  # of another size: no base
            small = {"columns": 2, "area_um2": {"total": 1.0}, "power_mw": {"total": 1.0}}
            design["arrays"]["2"] = {"columns": 2, "area_um2": {"total": 1.0}, "routed": whole | small}
    (folder / "ppa.json").write_text(json.dumps(record))
    found = gather(load_records(folder)).costs
    row = next(c for c in found if c["encoding"] == "m20p" and c["routed_um2"])
    (array,) = row["arrays"]
    assert (array["routed_um2"], array["routed_um2_change"]) == (80_000.0, -75.0)
    assert (array["routed_mw_change"], array["core_percent"]) == (-50.0, 400.0)
    assert (row["routed_area_change"], row["routed_power_change"]) == (-75.0, -50.0)
    assert (row["core_percent"], row["openroad_mw"], row["wire_mm"]) == (20.0, 11.0, 5.0)
    assert all(c["routed_area_change"] is None for c in found if not c["routed_um2"])
    assert report(folder).returncode == 0
    page = (folder / "report.html").read_text()
    assert "Arrays, placed and routed" in page and "Layout of an array, enc m20p merged" in page
    assert "Placed and routed, OpenROAD 26Q1" in page and "data:image/png;base64,YSBwaWN0dXJl" in page


def test_columns_bear_their_share_of_an_extra_column(folder):
    record = example.ppa()
    design = next(d for d in record["designs"] if d["encoding"] == "m20p" and d["platform"] == "osu018")
    design["parameters"] |= {"Cols": 4, "GateWeights": 1}
    design["area_um2"]["column"] = design["area_um2"]["total"] / 4 + 500
    design["power_mw"]["column"] = design["power_mw"]["total"] / 4 + 0.5
    (folder / "ppa.json").write_text(json.dumps(record))
    facts = gather(load_records(folder))
    assert not any(cost["design"].startswith("f(a)") for cost in facts.costs)
    (row,) = (c for c in facts.costs if c["platform"] == "osu018, 64 rows, 4 columns, gated weights, 10 ns")
    assert (row["area_um2"], row["area_change"]) == (100_500, None)  # nothing of the same kind to compare with
    parts = {p["part"]: p["value"] for p in facts.parts if p["platform"] == row["platform"] and p["quantity"] == "area"}
    assert parts["share of the column for f(a)"] == 500
    assert sum(parts.values()) == pytest.approx(row["area_um2"])


def test_headline_needs_every_network(folder):
    record = example.accuracy()
    record["rows"] = [r for r in record["rows"] if (r["network"], r["encoding"]) != ("mobilenet_made_up", "m16p")]
    (folder / "accuracy.json").write_text(json.dumps(record))
    assert gather(load_records(folder)).headline == "m20p"
    assert gather(load_records(folder), "m12p").headline == "m12p"
    with pytest.raises(UserError, match="unknown encoding of the records 'm13p'; did you mean .*m12p"):
        gather(load_records(folder), "m13p")


def test_pareto_joins_accuracy_and_cost_by_name(folder):
    points = gather(load_records(folder)).points
    of = [p for p in points if p["network"] == "resnet_made_up" and p["platform"].startswith("osu018")]
    assert {p["encoding"]: p["area_um2"] for p in of} == {
        "int8": 950_000.0, "exact36": 720_000.0, "m28p": 560_000.0,
        "m20p": 400_000.0, "m16p": 320_000.0, "m12p": 240_000.0,
    }  # fmt: skip
    assert [p["encoding"] for p in of if not p["front_area_um2"]] == ["exact36", "int8"]  # m28p is better and smaller
    model = [p for p in points if p["platform"] == COST_MODEL]
    assert {p["encoding"] for p in model} == set(example.ENCODINGS) and all(p["power_mw"] is None for p in model)


def test_files_and_json(folder, tmp_path):
    out = tmp_path / "elsewhere"
    done = report(folder, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["headline"] == "m16p" and told["cards"]["tests"]["value"] == "11 of 12"
    page = (out / "report.html").read_text()
    assert "expected &lt;3&gt;, got 4" in page and "<3>" not in page
    assert "make sim SEED=1 TEST=array_made_up_7 WAVES=1" in page
    names = {"accuracy_area", "accuracy_power", "area_parts", "power_parts", "replay_utilisation", "replay_cycles"}
    names |= {"speed", "search_front", "search_history"}
    figures = out / "figures"
    assert {path.name for path in figures.iterdir()} == {f"{n}.{k}" for n in names for k in ("svg", "png", "csv")}
    for name in names:
        assert ElementTree.parse(figures / f"{name}.svg").getroot().tag.endswith("svg")
        assert Image.open(figures / f"{name}.png").width > 1000
    lines = (figures / "accuracy_area.csv").read_text().splitlines()
    assert lines[0].startswith("network,dataset,encoding") and len(lines) > 20


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
@pytest.mark.parametrize("harm", ["cut", "version", "hollow"])
def test_a_damaged_record_is_one_line(kind, harm, folder):
    path = folder / f"{kind}.json"
    whole = json.loads(path.read_text())
    harmed = {"cut": path.read_text()[:-9], "version": json.dumps(whole | {"format": f"encmac-{kind}/99"})}
    lists = {
        "accuracy": "rows",
        "ppa": "designs",
        "formal": "proofs",
        "mutants": "mutants",
        "replay": "layers",
        "gates": "designs",
        "bench": "benchmarks",
    }
    part = lists.get(kind)
    hollow = {"format": whole["format"], part: [{}]} if part else {"format": whole["format"], "tests": [{}]}
    path.write_text(harmed.get(harm) or json.dumps(hollow))
    with pytest.raises(UserError) as caught:
        from flows.report.__main__ import figures, render

        records = load_records(folder)
        facts = gather(records)
        render(records, facts, figures(facts))
    text = str(caught.value)
    assert "\n" not in text and f"{kind}.json" in text and "make it anew with: " in text
    assert harm != "version" or "has format" in text


def test_test_sets_through_the_gates_and_their_power_are_on_the_page(folder, tmp_path):
    facts = gather(load_records(folder))
    assert [(row["status"], row["wrong"], row["top1"]) for row in facts.gates] == [("passed", 0, 91), ("failed", 7, 91)]
    conditions = {row["platform"] for row in facts.costs}
    assert {row["platform"] for row in facts.test_sets} == conditions
    assert all(row["difference"] == pytest.approx(-10) for row in facts.test_sets)
    design = next(d for d in example.ppa()["designs"] if d.get("test_set"))
    other = design | {"activity": {"workload": {"network": "other"}}}
    assert tiles_mw(other, "made_up") is None
    both = other | {"workloads": {"made_up 0123abcd, 128 vectors": {k: design[k] for k in ("power_mw", "activity")}}}
    assert tiles_mw(both, "made_up") == tiles_mw(design, "made_up") == design["power_mw"]["total"]
    assert load_records(folder).found["gates"].stale == ()
    old = example.gates() | {"stale": [{"key": {}, "written": "", "changed": ["flows/words"]}]}
    (folder / "gates.json").write_text(json.dumps(old))
    assert load_records(folder).found["gates"].stale == ("flows/words",)
    page = report(folder, "--out", str(tmp_path / "out"))
    assert page.returncode == 0, page.stderr
    html = (tmp_path / "out" / "report.html").read_text()
    assert "Sources have changed since a netlist ran" in html and "6,999,993" in html and "1.140 to 1.160" in html
    for name in ("gates", "ppa"):
        (folder / f"{name}.json").unlink()
    assert not gather(load_records(folder)).gates and not gather(load_records(folder)).test_sets


def test_errors_of_the_command(tmp_path):
    done = report(tmp_path / "none")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "make sim" in done.stderr
    (tmp_path / "sim.json").write_text("{")
    done = report(tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "sim.json is damaged" in done.stderr
    (tmp_path / "sim.json").write_text('{"seconds": NaN}')  # would be no JSON on the page, and leave it empty
    done = report(tmp_path)
    assert done.returncode == 2 and "sim.json is damaged (NaN is no number of JSON)" in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_narrow_run_does_not_hide_the_regression(folder):
    whole = example.sim()
    part = whole | {"tests": whole["tests"][:1], "totals": whole["totals"] | {"tests": 1, "passed": 1, "failed": 0}}
    part |= {"choice": "smoke TEST=array_made_up_0", "regression": whole}
    (folder / "sim.json").write_text(json.dumps(part))
    records = load_records(folder)
    assert {card.title: card.value for card in gather(records).cards}["tests"] == "11 of 12"
    assert records.found["sim"].narrow == "smoke TEST=array_made_up_0: 1 of 1 passed"


def test_sources_that_changed_are_named(folder, tmp_path):
    source = tmp_path / "top.sv"
    source.write_text("old")
    sim = example.sim() | {"sources": sources_of(source)}
    ppa = example.ppa() | {"stale": [{"key": {}, "written": "", "changed": ["rtl/array"]}]}
    (folder / "sim.json").write_text(json.dumps(sim))
    (folder / "ppa.json").write_text(json.dumps(ppa))
    assert load_records(folder).found["sim"].stale == ()
    source.write_text("new")
    found = load_records(folder).found
    assert found["sim"].stale == (str(source),) and found["ppa"].stale == ("rtl/array",)
    page = report(folder, "--out", str(tmp_path / "out"))
    assert page.returncode == 0, page.stderr
    assert "changed since: rtl/array" in (tmp_path / "out" / "report.html").read_text()


def test_proofs_of_other_rtl_are_marked_although_nothing_ran_since(tmp_path):
    """A view that is older than a change: the report marks it."""
    rtl, reports = tmp_path / "rtl", tmp_path / "reports"
    rtl.mkdir()
    (rtl / "top.sv").write_text("module top; endmodule\n")
    store = Store(reports)
    (proof,) = example.formal()["proofs"][:1]
    store.put("proof", {"name": proof["name"]}, proof, sources_of(rtl))
    store.publish("formal", formal_view)
    assert load_records(reports).found["formal"].stale == ()
    (rtl / "top.sv").write_text("module top; wire x; endmodule\n")
    assert load_records(reports).found["formal"].stale == (str(rtl),)


def test_the_command_that_was_typed_is_shown(folder, tmp_path):
    ppa = example.ppa() | {"commands": ["make synth ROWS=64", "make power 'TILES=a b.npz'"]}
    (folder / "ppa.json").write_text(json.dumps(ppa))
    page = report(folder, "--out", str(tmp_path / "out"))
    assert page.returncode == 0, page.stderr
    html = (tmp_path / "out" / "report.html").read_text()
    assert "<code>make power &#39;TILES=a b.npz&#39;</code>, <code>make synth ROWS=64</code>" in html


def test_scores_that_a_sample_does_not_have_are_no_difference(folder):
    record = example.replay()
    record["scores"] |= {"equal_emulator": None, "equal_torch": None}
    (folder / "replay.json").write_text(json.dumps(record))
    assert report(folder).returncode == 0
    assert "differ from" not in (folder / "report.html").read_text()
    record["scores"]["equal_torch"] = False
    (folder / "replay.json").write_text(json.dumps(record))
    assert report(folder).returncode == 0
    assert '<span class="bad">differ from</span> those of torch' in (folder / "report.html").read_text()


def test_another_thing_of_one_name_does_not_join(folder):
    """A table or a file of one's own called m12p has its own rows; the cards are those of the library's."""
    before = gather(load_records(folder), "m12p").cards
    record = example.accuracy()
    mine = next(row for row in record["rows"] if row["encoding"] == "m12p")
    top1 = mine["top1"] | {"encoded": 0.3, "encoded_finetuned": 0.3}
    record["rows"].append(mine | {"encoding_sha256": "f" * 64, "top1": top1, "images": 10**6})
    (folder / "accuracy.json").write_text(json.dumps(record))
    ppa = example.ppa()
    column = next(d for d in ppa["designs"] if d["encoding"] == "m12p" and not d.get("shared"))
    area = column["area_um2"] | {"total": 1.0, "column": 1.0}
    ppa["designs"].append(json.loads(json.dumps(column)) | {"encoding_sha256": "f" * 64, "area_um2": area})
    (folder / "ppa.json").write_text(json.dumps(ppa))
    facts = gather(load_records(folder), "m12p")
    assert {c["encoding"] for c in facts.costs} >= {"m12p", "m12p of hash ffffff"}
    area = {c.title: c for c in facts.cards}["area"]
    assert area.value == {c.title: c for c in before}["area"].value


def test_without_accuracy_the_headline_says_so(folder):
    (folder / "accuracy.json").unlink()
    facts = gather(load_records(folder))
    assert facts.headline == "m12p" and "accuracy was not run" in facts.headline_rule
    assert {c.title: c.state for c in facts.cards}["accuracy"] == "absent"


def test_without_an_encoding_in_the_bound_the_best_exact_one_stands_in_the_cards(folder):
    record = example.accuracy()
    for row in record["rows"]:
        row["top1"] |= {"encoded": row["top1"]["int8"] - 0.05, "encoded_finetuned": None}
    (folder / "accuracy.json").write_text(json.dumps(record))
    facts = gather(load_records(folder))
    cards = {c.title: c for c in facts.cards}
    assert facts.headline == "" and cards["area"].detail.startswith("exact36: ")


def test_changes_are_rounded_once_and_zero_has_one_sign():
    assert [signed(x) for x in (-41.0526, -41.05 - 1e-9, -0.04, 0.0, -0.0, 0.05001)] == [
        "-41.1", "-41.1", "+0.0", "+0.0", "+0.0", "+0.1"
    ]  # fmt: skip
    assert signed(-0.004, 2) == "+0.00" and shown(-0.04, "+.1f %") == "+0.0 %" and shown(None, "+.1f %") == "-"
