"""The cheapest design of equal accuracy: records of made-up figures, nothing in them was measured."""

from __future__ import annotations

import json
import sys

import pytest

import flows.pareto
from common.errors import UserError
from flows.pareto import EXACT, accuracies, choices, columns, columns_for, rows_of
from flows.report.records import load_records
from models.encoding import load_encoding


def accuracy_row(encoding: str, points: float, tuned: float | None = None, images: int = 10_000) -> dict:
    differences = {"corrected": {"points": points - 0.5, "interval": [points - 0.7, points - 0.3]}}
    differences["chosen"] = {"points": points, "interval": [points - 0.2, points + 0.2]}
    if tuned is not None:
        differences["finetuned"] = {"points": tuned, "interval": [tuned - 0.2, tuned + 0.2]}
    sha256 = load_encoding(encoding).sha256
    row = {"network": "made_up", "encoding": encoding, "encoding_sha256": sha256, "images": images, "way": "chosen"}
    return row | {"against_int8": differences, "checkpoint_sha256": "of made_up"}


def column(design: str, area: float, encoding: str | None = None, rival: str | None = None, **other: object) -> dict:
    row = {"design": design, "platform": "osu018", "platform_sha256": "0", "clock_ns": 10.0, "shared": False}
    row |= {"parameters": {"Rows": 64, "GateWeights": 1}, "encoding": encoding, "rival": rival}
    row |= {"encoding_sha256": load_encoding(encoding).sha256 if encoding else None, "wns_ns": 1.0}
    row |= {"gate_sim": "passed", "area_um2": {"column": area}, "power_mw": {"column": area / 1000}}
    return row | other


ACCURACY = [accuracy_row("m12p", -1.2, tuned=-0.4), accuracy_row("m20p", -0.1), accuracy_row("w4a8", -0.05)]
COLUMNS = [
    column("conv tree", 900),
    column("conv booth", 500, wns_ns=-0.1),  # too slow
    column("conv tree w4a8", 450, rival="w4a8"),
    column("enc w4a8 merged", 400, encoding="w4a8", rival="w4a8", power_mw={"column": 0.9}),
    column("enc m12p merged", 250, encoding="m12p"),
    column("enc m20p merged", 380, encoding="m20p"),
    column("enc m20p other", 100, encoding="m20p", encoding_sha256="of another m20p"),
    column("enc m20p wrong", 90, encoding="m20p", gate_sim="failed"),
]


@pytest.fixture
def reports(tmp_path):
    def write(rows: list[dict], designs: list[dict]):
        (tmp_path / "accuracy.json").write_text(json.dumps({"format": "encmac-accuracy/1", "rows": rows}))
        (tmp_path / "ppa.json").write_text(json.dumps({"format": "encmac-ppa/1", "designs": designs}))
        return tmp_path

    return write


def test_the_cheapest_of_each_kind(reports):
    records = load_records(reports(ACCURACY, COLUMNS))
    found = choices(columns(records), accuracies(records), (0.02, 0.25, 0.5))
    chosen = {(c.loss, c.cost, c.kind): (c.design, c.way, c.value) for c in found}
    assert chosen[0.25, "area", "encoded"] == ("enc m20p merged", "chosen", 380)
    assert chosen[0.25, "area", "rival"] == ("enc w4a8 merged", "chosen", 400)
    assert chosen[0.25, "power", "rival"] == ("conv tree w4a8", "chosen", 0.45)
    assert chosen[0.5, "area", "encoded"] == ("enc m12p merged", "finetuned", 250)
    assert chosen[0.02, "area", "rival"] == ("conv tree", "int8", 900)
    assert (0.02, "area", "encoded") not in chosen


def test_only_rows_of_all_images_count(reports):
    records = load_records(reports([*ACCURACY, accuracy_row("m12p", 0.0, images=500)], COLUMNS))
    assert {a.images for a in accuracies(records)} == {10_000}
    assert {c.products for c in columns(records)} == {EXACT, "w4a8", "m12p", "m20p"}


def test_command(reports, monkeypatch, capsys):
    folder = reports(ACCURACY, COLUMNS)
    monkeypatch.setattr(sys, "argv", ["command", "--reports", str(folder)])
    flows.pareto.main()
    text = capsys.readouterr().out
    assert "| made_up | osu018, 64 rows, 10 ns | 0.5 | area | enc m12p merged, finetuned: 250 um2 | -0.40" in text
    assert "-37.5 % |" in text
    assert json.loads((folder / "pareto.json").read_text())["format"] == "encmac-pareto/1"
    assert (folder / "figures/pareto_made_up.svg").stat().st_size > 1000
    reports(ACCURACY, [])
    with pytest.raises(UserError, match=r"no columns that meet their clock and passed in .*: make synth, make power"):
        flows.pareto.main()
    reports([{"network": "made_up"} | {"against_int8": {"chosen": {}}, "way": "chosen"}], COLUMNS)
    with pytest.raises(UserError, match="damaged"):
        flows.pareto.main()


def test_of_networks_of_one_name_the_last_one_measured_counts(reports):
    """And of several rows of the same products the last with chosen weights: nobody picks the best of seeds."""
    gain = {"correction": {"scope": "gain"}, "choose": True}
    old = accuracy_row("m20p", 2.0) | {"checkpoint_sha256": "of an earlier one"}
    rows = [old, *ACCURACY, accuracy_row("m12p", -0.3) | gain | {"seed": 1}, accuracy_row("m12p", -0.9) | gain]
    rows += [accuracy_row("m12p", 1.0) | {"correction": {"scope": "none"}}]
    found = rows_of(load_records(reports(rows, COLUMNS)))
    points = {row["encoding"]: row["against_int8"]["chosen"]["points"] for row in found}
    assert points == {"m12p": -0.9, "m20p": -0.1, "w4a8": -0.05}
    other = accuracy_row("m20p", -0.2) | {"data_sha256": "of other images"}
    found = accuracies(load_records(reports([*rows, other], COLUMNS)))
    assert [(a.products, a.points) for a in found] == [("m20p", -0.2)]


def test_every_network_has_a_picture_of_its_own(reports, monkeypatch):
    names = ["net_1.0_224", "net_1.4_224", "../../../evil"]
    folder = reports([row | {"network": name} for name in names for row in ACCURACY], COLUMNS)
    monkeypatch.setattr(sys, "argv", ["command", "--reports", str(folder)])
    flows.pareto.main()
    assert {p.name for p in (folder / "figures").glob("*.svg")} == {
        "pareto_net_1.0_224.svg",
        "pareto_net_1.4_224.svg",
        "pareto_.._.._.._evil.svg",
    }


@pytest.mark.parametrize(
    ("row", "design"),
    [({"network": None}, {}), ({"network": 3}, {}), ({"images": "x"}, {}), ({}, {"rival": 7}),
     ({"against_int8": {"chosen": {"points": [], "interval": [0, 0]}}}, {})],
)  # fmt: skip
def test_words_where_numbers_belong_are_one_line(row, design, reports, monkeypatch):
    folder = reports([r | row for r in ACCURACY], [d | design for d in COLUMNS])
    monkeypatch.setattr(sys, "argv", ["command", "--reports", str(folder)])
    with pytest.raises(UserError) as caught:
        flows.pareto.main()
    assert "\n" not in str(caught.value) and not (folder / "pareto.json").exists()


def test_power_of_other_tiles_or_of_another_library_is_not_mixed_in(reports):
    """One column measured again on fewer vectors, and columns of the library as it was before its file changed."""

    def ran(vectors: int, milliwatts: float) -> dict:
        activity = {"workload": {"network": "made_up", "tiles_sha256": "t"}, "cycles": 6 * vectors}
        return {"activity": activity, "power_mw": {"column": milliwatts}}

    sound = [d for d in COLUMNS if d["gate_sim"] == "passed" and d["wns_ns"] > 0]
    designs = [d | ran(128, 2.0) for d in sound]
    designs[2] |= ran(8, 0.5) | {"workloads": {"long": ran(128, 2.0)}}
    old = [d | {"platform_sha256": "as it was", "area_um2": {"column": 1.0}} for d in designs]
    for given in (designs, [*old, *designs]):
        for network in ("made_up", None):
            found = columns(load_records(reports(ACCURACY, given)), network)
            assert len(found) == len(sound) and min(c.area_um2 for c in found) == 100
            assert {c.power_mw for c in found} == {2.0}


def test_power_is_that_on_tiles_of_the_network(reports):
    def ran(network: str, milliwatts: float) -> dict:
        activity = {"workload": {"network": network}}
        return {"activity": activity, "power_mw": {"column": milliwatts}}

    designs = [d | ran("other", 9.0) | {"workloads": {"a": ran("made_up", 1.0)}} for d in COLUMNS]
    folder = reports(ACCURACY, designs)
    assert {c.power_mw for c in columns_for(load_records(folder), "made_up")} == {1.0}
    assert {c.power_mw for c in columns_for(load_records(folder), "a third")} == {9.0}
