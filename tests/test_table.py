"""The paper's table: records of made-up figures, nothing in them was measured; halves of a sample are pooled."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import flows.table
import models.accuracy
from common.errors import UserError
from flows.report.records import load_records
from models.accuracy import interval_of, pooled
from models.encoding import load_encoding
from tests.test_equal_accuracy import column

NETWORK, OTHER = "resnet18_cifar10", "resnet50_imagenet"
WHERE = "osu018, 16 rows, 10 ns"


def row(network: str, encoding: str, lost: int, dataset: str = "cifar10", images: int = 1000, way: str = "chosen"):
    """`lost` images are wrong that int8 has right; with correction alone twice as many."""
    against = {"chosen": interval_of(0, lost, images), "corrected": interval_of(0, 2 * lost, images)}
    kept = 0.9 - {"chosen": 1, "corrected": 2}[way] * lost / images
    top1 = {"fp32": 0.91, "int8": 0.9, "corrected": 0.9 - 2 * lost / images, "chosen": 0.9 - lost / images}
    top1 |= {"encoded": kept, "encoded_finetuned": None}
    found = {"network": network, "dataset": dataset, "encoding": encoding, "images": images, "top1": top1, "seed": 1}
    found |= {"encoding_sha256": load_encoding(encoding).sha256, "way": way, "against_int8": against, "choose": True}
    found |= {"correction": {"scope": "gain"}, "seconds": 1800.0, "preparation": {"seconds": 1800.0}}
    found["checkpoint_sha256"] = f"of {network}"
    return found | {"agreement_with_int8": 0.9 if way == "chosen" else 0.8, "product_bits": 20}


def on_tiles(design: dict, milliwatts: dict[str, float]) -> dict:
    """`design` with power on tiles of networks."""
    runs = [
        {"power_mw": {"column": mw}, "activity": {"workload": {"network": network}}}
        for network, mw in milliwatts.items()
    ]
    sizes = {"parameters": {"Rows": 16, "GateWeights": 1}}
    return design | sizes | runs[0] | {"workloads": {str(i): run for i, run in enumerate(runs[1:])}}


DESIGNS = [
    on_tiles(column("conv tree", 900), {OTHER: 20.0, NETWORK: 11.0}),
    on_tiles(column("conv booth", 1000), {OTHER: 16.0, NETWORK: 10.0}),
    on_tiles(column("conv tree w4a8", 450, rival="w4a8"), {OTHER: 9.0, NETWORK: 6.0}),
    on_tiles(column("enc exact36 merged", 350, encoding="exact36"), {OTHER: 9.0, NETWORK: 5.0}),
    on_tiles(column("enc m12p merged", 225, encoding="m12p"), {OTHER: 4.0}),
    on_tiles(column("enc m20p merged", 360, encoding="m20p"), {OTHER: 4.0, NETWORK: 3.0}),
]
ROWS = [row(NETWORK, "m20p", 3), row(NETWORK, "m12p", 8), row(NETWORK, "w4a8", 2)]
ROWS += [row(OTHER, "m20p", 1, "half1", 500), row(OTHER, "m20p", 2, "half2", 500, "corrected")]


@pytest.fixture
def reports(tmp_path):
    for name, data in (("accuracy", {"rows": ROWS}), ("ppa", {"designs": DESIGNS})):
        (tmp_path / f"{name}.json").write_text(json.dumps({"format": f"encmac-{name}/1"} | data))
    return tmp_path


def test_halves_of_a_sample_are_one():
    (one,) = pooled(ROWS[3:])
    assert one["images"] == 1000 and one["way"] == "chosen or corrected" and one["agreement_with_int8"] == 0.85
    kept = one["against_int8"]["chosen or corrected"]
    assert kept["lost"] == 1 + 4 and kept["points"] == -0.5 and kept == interval_of(0, 5, 1000)
    assert one["against_int8"]["chosen"]["lost"] == 3 and one["top1"]["encoded"] == pytest.approx(0.895)
    assert one["top1"]["encoded_finetuned"] is None and one["preparation"]["seconds"] == 3600
    assert not pooled(ROWS[3:4]), "half a sample is no sample"
    assert len(pooled([*ROWS[3:], row(OTHER, "m12p", 1, "half1", 500)])) == 1
    fewer = row(OTHER, "m20p", 9, "half2", 500) | {"correction": {"scope": "gain", "training_images": 128}}
    assert pooled([*ROWS[3:], fewer]) == [one], "halves made by other numbers of images are none of one sample"
    assert pooled(ROWS[:3]) == ROWS[:3]


def test_table_takes_the_smallest_that_keeps_to_it(reports, monkeypatch, capsys):
    page = reports / "page.md"
    page.write_text("before\n<!-- begin table -->\nold\n<!-- end table -->\nafter\n")
    words = ["--reports", reports, "--rows", 16, "--page", page]
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    flows.table.main()
    lines = json.loads((reports / "table.json").read_text())["lines"]
    found = {(line["network"], line["loss"]): line for line in lines}
    half, one = found[NETWORK, 0.5], found[NETWORK, 1.0]
    assert (half["design"], half["points"], half["area"], half["power"]) == ("enc m20p merged", -0.3, -60.0, -70.0)
    assert (half["rival"], half["area_against_rival"], half["power_against_rival"]) == ("conv tree w4a8", -20.0, -50.0)
    assert (one["design"], one["area"], one["power"]) == ("enc m12p merged", -75.0, None), "no such tiles, no power"
    sample = found[OTHER, 0.5]
    assert (sample["images"], sample["points"], sample["power"]) == (1000, -0.5, -75.0)
    assert sample["rival"] == "conv tree", "no rival of fewer bits was measured on it: the 8-bit column is left"
    text = page.read_text()
    assert text.startswith("before\n<!-- begin table -->\n| network |") and text.endswith("<!-- end table -->\nafter\n")
    assert (
        "old" not in text and "| ResNet-18, CIFAR-10 | 1,000 | 91.00 | 90.00 | 0.5 | enc m20p merged, chosen |" in text
    )
    assert "-48.79 % | -64.41 %" in text and "5.0 hours" in text
    assert text.count("\n|") == 2 + 4 + 1
    assert text.split("begin table -->\n")[1].split("\n<!-- end")[0] in capsys.readouterr().out


def test_nothing_is_divided_by_and_no_time_is_none(reports):
    assert flows.table._change(5.0, [0.0, None]) is None and flows.table._change(5.0, [0.0, 10.0]) == -50.0
    rows = [{"seconds": None, "preparation": None}, {"seconds": 1800, "preparation": {"seconds": 1800}}]
    (reports / "accuracy.json").write_text(json.dumps({"format": "encmac-accuracy/1", "rows": rows}))
    assert flows.table.hours(load_records(reports)) == 1.0


def test_records_that_do_not_do(reports, monkeypatch):
    def run(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["command", "--reports", str(reports), *map(str, words)])
        flows.table.main()

    with pytest.raises(UserError, match=r"no encoded column of osu018, 64 rows, 10 ns in .* loses at most 1 point"):
        run()
    (reports / "page.md").write_text("no marks\n")
    with pytest.raises(UserError, match="has no lines '<!-- begin table -->'"):
        run("--rows", 16, "--page", reports / "page.md")
    assert (reports / "page.md").read_text() == "no marks\n" and not (reports / "table.json").exists()
    damaged = [{"network": "x", "way": "chosen", "against_int8": {"chosen": {}}}]
    (reports / "accuracy.json").write_text(json.dumps({"format": "encmac-accuracy/1", "rows": damaged}))
    with pytest.raises(UserError, match="damaged"):
        run("--rows", 16)
    (reports / "accuracy.json").unlink()
    with pytest.raises(UserError, match="no accuracy in"):
        run("--rows", 16)


ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "records"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (models.accuracy, ("--table", "--out", KEPT / "accuracy.json")),
        (flows.table, ("--reports", "{records}", "--rows", 16)),
    ],
    ids=["accuracy", "table"],
)
def test_tables_of_the_docs_are_what_the_kept_records_give(module, words, tmp_path, monkeypatch):
    shutil.copytree(KEPT, tmp_path / "records", ignore=lambda _, names: [n for n in names if not n.endswith(".json")])
    page, kept = tmp_path / "accuracy.md", (ROOT / "docs" / "accuracy.md").read_text()
    page.write_text(re.sub(r"(<!-- begin (?:accuracy|table) -->\n).*?(<!-- end)", r"\1old\n\2", kept, flags=re.DOTALL))
    before = page.read_text()
    told = [str(word).format(records=tmp_path / "records") for word in words]
    monkeypatch.setattr(sys, "argv", ["command", *told, "--page", str(page)])
    module.main()
    name = module.__name__.rpartition(".")[2]
    part = re.compile(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", re.DOTALL)
    assert before != page.read_text() and part.search(page.read_text())[1] == part.search(kept)[1]
