"""From a network to a verdict: the order of steps, what is kept, what the verdict says; figures are made up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import flows.explore as explore
from common.errors import UserError
from flows.platform import load_platform
from flows.verdict import load_verdicts
from models.datasets import images_sha256
from models.encoding import load_encoding
from models.quant.checkpoint import load_network
from models.replay import Layer

LAYER = Layer(
    "conv1",
    np.zeros((1, 3, 32, 32), np.int8),
    np.ones((16, 3, 3, 3), np.int8),
    np.zeros(16, np.int32),
    None,
    (1, 1),
    (1, 1, 1, 1),
    1,
)
POINTS = {"m16p": -0.2, "c14p": -0.4, "m14p": -0.9, "w4a8": -0.1, "w4a7": -1.5}
TEST = SimpleNamespace(labels=np.zeros(10_000, np.int64), images=np.zeros((10_000, 1), np.uint8))
TILES = "5" * 64  # hash of the tiles that power is of
AREAS = {"conv tree": 900, "conv booth": 800, "conv tree w4a8": 450, "enc w4a8 merged": 400}
AREAS |= {"enc m16p merged": 330, "enc c14p merged": 300, "enc m14p merged": 280}

POWERS: dict[str, float] = {}  # those that are not in proportion to the area, mW


def accuracy_row(encoding: str, images: int, samples: int) -> dict:
    network, points = load_network("resnet20_cifar10"), POINTS[encoding]
    row = {"network": network.name, "checkpoint_sha256": network.sha256, "encoding": encoding, "images": images}
    row |= {"encoding_sha256": load_encoding(encoding).sha256, "way": "chosen", "choose": True}
    row |= {"data_sha256": images_sha256(explore.load_dataset(), images)}
    row |= {"samples": samples, "correction": {"training_images": min(samples, 64)}}  # there may be fewer
    return row | {"against_int8": {"chosen": {"points": points, "interval": [points - 0.2, points + 0.2]}}}


def column(design: str, area: float) -> dict:
    words = design.split()
    encoding = words[1] if words[0] == "enc" else None
    rival = next((word for word in words if word.startswith("w4")), None)
    row = {
        "design": design,
        "platform": "osu018",
        "platform_sha256": load_platform("osu018").sha256,
        "clock_ns": 10.0,
        "shared": False,
    }
    row |= {"parameters": {"Rows": 16, "GateWeights": 1}, "encoding": encoding, "rival": rival}
    row |= {"encoding_sha256": load_encoding(encoding).sha256 if encoding else None, "wns_ns": 1.0}
    parts = {"adder tree": 0.6 * area, "product bits": 0.395 * area, "weight clock": 0.005 * area}
    power = {"total": POWERS.get(design, area / 1000), "by_part": {"clock": area / 1000}}
    row |= {"activity": {"workload": {"tiles_sha256": TILES}}, "package_sha256": encoding}
    return row | {"gate_sim": "passed", "area_um2": {"total": area, "by_part": parts}, "power_mw": power}


def extra_column(encoding: str, area: float) -> dict:
    """The one column of an array that sums f(a)."""
    return column(f"enc {encoding} merged", area) | {"design": f"f(a) of {encoding}", "shared": True}


EXTRA: dict[str, float] = {}


@pytest.fixture
def steps(tmp_path, monkeypatch) -> list[list[str]]:
    """The commands that were started; those of accuracy and power write made-up records."""
    started: list[list[str]] = []
    reports = tmp_path / "reports"
    reports.mkdir()

    def write(name: str, field: str, rows: list[dict]) -> None:
        there = reports / f"{name}.json"
        old = json.loads(there.read_text())[field] if there.exists() else []
        there.write_text(json.dumps({"format": f"encmac-{name}/1", field: old + rows}))

    def step(name: str, words: list[str]) -> None:
        started.append([name, *words])
        if name == "accuracy":
            images, samples = (int(words[words.index(option) + 1]) for option in ("--images", "--samples"))
            names = words[words.index("--encoding") + 1].split(",")
            write("accuracy", "rows", [accuracy_row(e, images, samples) for e in names])
        if name == "area and power":
            wanted = words[words.index("--designs") + 1].split(",") + words[words.index("--rivals") + 1].split(",")
            rows = [column(d, a) for d, a in AREAS.items() if d.startswith("conv") or d.split()[1] in wanted]
            rows += [extra_column(e, a) for e, a in EXTRA.items()]
            write("ppa", "designs", rows)

    monkeypatch.setattr(explore, "BUILD", tmp_path)
    monkeypatch.setattr(explore, "step", step)
    monkeypatch.setattr(explore, "shapes", lambda network, data: {"conv1": LAYER})
    monkeypatch.setattr(explore, "tiles_of", lambda plan: tmp_path / "tiles.npz")
    monkeypatch.setattr(explore, "load_capture", lambda path: None)
    monkeypatch.setattr(explore, "tiles_sha256", lambda capture: TILES)
    monkeypatch.setattr(explore, "load_dataset", lambda *words: TEST)
    return started


def pages(folder: Path) -> str:
    """The verdicts as Markdown."""
    return "\n".join(path.read_text() for path in (folder / "reports").glob("verdict_*.md"))


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["command", "--net", "resnet20_cifar10", "--quick", *words])
    return explore.main()


def test_the_cheapest_that_keeps_enough_wins(steps, monkeypatch, tmp_path, capsys) -> None:
    assert run(monkeypatch) == 0
    assert [words[0] for words in steps] == ["accuracy", "area and power", "RTL", "report"]
    power, rtl = steps[1], steps[2]
    # m14p and w4a7 lose too much: not mapped at all
    assert power[power.index("--designs") + 1] == "exact36,c14p,m16p" and power[power.index("--rivals") + 1] == "w4a8"
    assert rtl[rtl.index("--encoding") + 1] == "c14p" and "--sample" in rtl
    (found,) = load_verdicts(tmp_path / "reports")
    assert (found["build_it"], found["encoding"]) == (True, "enc c14p merged")
    assert found["rivals"] == {"area": "enc w4a8 merged", "power": "enc w4a8 merged"}
    assert found["saved"]["area_against_rival_percent"] == 25.0  # 300 against 400
    assert found["saved"]["area_against_8_bits_percent"] == 62.5  # 300 against 800
    text = capsys.readouterr().out
    assert "**Build it: enc c14p merged.** Within 0.5 points of int8" in text
    lines = ["| enc c14p merged, chosen | best encoding | -0.40 (-0.60 to -0.20) |"]
    lines += ["| enc w4a8 merged, chosen | smallest exact; exact, least power | -0.10"]
    lines += ["| conv booth | smallest of 8 bits; 8 bits, least power | +0.00 (+0.00 to +0.00) |"]
    assert all(line in pages(tmp_path) for line in lines)
    # figures of an array: 64 columns of 300 um2; 2 operations a product
    row = next(r for r in found["choices"] if r["design"] == "enc c14p merged")
    cycles, macs = found["per_image"]["cycles"], found["per_image"]["macs"]
    assert macs == 16 * 27 * 1024 and row["array_mm2"] == pytest.approx(0.0192)
    assert row["tops_per_w"] == pytest.approx(2 * macs / (cycles * 10e-9) / 1e12 / (64 * 0.3e-3), rel=1e-3)


def test_what_is_measured_is_not_measured_again(steps, monkeypatch, tmp_path) -> None:
    run(monkeypatch)
    run(monkeypatch, "--loss", "1")
    assert [words[0] for words in steps[4:]] == ["area and power", "RTL", "report"]  # accuracy is known
    assert steps[4][steps[4].index("--designs") + 1] == "exact36,c14p,m14p,m16p"
    run(monkeypatch, "--images", "500")
    assert steps[7][0] == "accuracy" and steps[7][steps[7].index("--images") + 1] == "500"
    assert len(load_verdicts(tmp_path / "reports")) == 3  # none has taken the place of another


def test_other_data_or_another_preparation_is_measured_anew(steps, monkeypatch) -> None:
    run(monkeypatch)
    others = SimpleNamespace(labels=TEST.labels + 1, images=TEST.images)  # the same images with other labels
    monkeypatch.setattr(explore, "load_dataset", lambda *words: others)
    run(monkeypatch)
    assert steps[4][0] == "accuracy"
    monkeypatch.setattr(explore, "load_dataset", lambda *words: TEST)
    run(monkeypatch)
    assert steps[8][0] == "area and power"  # known from the first time
    monkeypatch.setattr(explore, "QUICK_SAMPLES", 300)  # weights chosen with more training images
    run(monkeypatch)
    assert steps[11][0] == "accuracy"


def test_an_array_pays_for_its_extra_column_once(steps, monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(EXTRA, "c14p", 200.0)
    monkeypatch.setitem(AREAS, "enc m16p merged", 390)
    run(monkeypatch, "--cols", "4")
    (found,) = load_verdicts(tmp_path / "reports")
    row = next(r for r in found["choices"] if r["design"] == "enc c14p merged")
    assert row["array_mm2"] == pytest.approx((4 * 300 + 200) / 1e6) and row["array_mw"] == pytest.approx(1.4)
    assert found["saved"]["area_against_rival_percent"] == 12.5  # 350 against 400


def test_area_and_power_of_a_verdict_are_of_one_design(steps, monkeypatch, tmp_path) -> None:
    """One design is the smallest, another needs the least power: neither may borrow the other's figure."""
    monkeypatch.setitem(POWERS, "enc c14p merged", 0.39)  # 300 um2; 0.40 mW is the rival's
    monkeypatch.setitem(POWERS, "enc m16p merged", 0.30)  # 330 um2
    run(monkeypatch)
    (found,) = load_verdicts(tmp_path / "reports")
    assert (found["encoding"], found["build_it"]) == ("enc m16p merged", True)
    assert found["saved"]["area_against_rival_percent"] == 17.5
    assert found["saved"]["power_against_rival_percent"] == 25.0


def test_what_the_images_do_not_settle_is_said(steps, monkeypatch, capsys) -> None:
    run(monkeypatch)
    assert "With 1,000 images the loss may also be 0.60 points (95 % interval)" in capsys.readouterr().out


def test_power_of_other_tiles_does_not_count(steps, monkeypatch) -> None:
    monkeypatch.setattr(explore, "tiles_sha256", lambda capture: "6" * 64)
    with pytest.raises(UserError, match="no conventional column"):
        run(monkeypatch)


def test_nothing_keeps_enough(steps, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "--loss", "0.15") == 0  # w4a8 alone
    assert [words[0] for words in steps] == ["accuracy", "area and power", "report"]
    assert "**No encoding keeps to 0.15 points.**" in capsys.readouterr().out


def test_a_small_saving_is_not_worth_it(steps, monkeypatch, capsys) -> None:
    monkeypatch.setitem(AREAS, "enc c14p merged", 370)
    monkeypatch.setitem(AREAS, "enc m16p merged", 390)
    run(monkeypatch)
    text = capsys.readouterr().out
    assert "**Build enc w4a8 merged instead.** Within 0.5 points of int8 enc c14p merged saves 7.5 %" in text
    assert "enc w4a8 merged is an encoded array as well" in text


def test_a_step_that_fails_is_one_line(monkeypatch) -> None:
    with pytest.raises(UserError, match=r"accuracy ended with exit code 2: python -m models.accuracy --net none"):
        explore.step("accuracy", ["models.accuracy", "--net", "none"])


def test_where_the_cost_is_and_what_memories_leave_of_the_saving(steps, monkeypatch, tmp_path) -> None:
    run(monkeypatch)
    (found,) = load_verdicts(tmp_path / "reports")
    assert found["parts"] == {
        "area": {"adder tree": 60.0, "product bits": 39.5, "others": 0.5},
        "power": {"clock": 100.0},
    }
    ours, theirs = (
        next(r["array_uj_per_image"] for r in found["choices"] if r["design"] == design)
        for design in (found["encoding"], found["rivals"]["power"])
    )
    load = found["per_image"]
    assert load["sram_uj"] == pytest.approx(load["bits"] * 0.3125e-6, abs=1e-3)
    saved = 100 * (1 - (ours + load["sram_uj"]) / (theirs + load["sram_uj"]))
    assert found["energy_saved_percent"] == pytest.approx(saved, abs=0.1) and saved < 25
    text = pages(tmp_path)
    assert "Where the area of enc c14p merged is: adder tree 60 %, product bits 39.5 %, others 0.5 %." in text


def test_networks_of_one_name_and_libraries_of_one_name_do_not_mix(steps, monkeypatch, tmp_path) -> None:
    run(monkeypatch)
    for name, field, key in (("accuracy", "rows", "checkpoint_sha256"), ("ppa", "designs", "platform_sha256")):
        there = tmp_path / "reports" / f"{name}.json"
        data = json.loads(there.read_text())
        strangers = [row | {key: "f" * 64} for row in data[field]]
        for row in strangers:  # better than what was measured
            row |= {"area_um2": {"total": 1}, "power_mw": {"total": 1}} if name == "ppa" else {}
            row |= {"against_int8": {"chosen": {"points": 9.0, "interval": [9.0, 9.0]}}} if name == "accuracy" else {}
        there.write_text(json.dumps(data | {field: data[field] + strangers}))
    run(monkeypatch)
    (found,) = load_verdicts(tmp_path / "reports")
    assert (found["encoding"], found["saved"]["area_against_rival_percent"]) == ("enc c14p merged", 25.0)
    assert max(row["points"] for row in found["choices"]) <= 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("encmac-verdict/", "other/", "has format 'other"), ('"saved"', '"kept"', "is damaged"), ("{", "", "is damaged")],
)
def test_a_damaged_verdict_is_one_line(steps, monkeypatch, tmp_path, old, new, words) -> None:
    run(monkeypatch)
    (path,) = (tmp_path / "reports").glob("verdict_resnet20_cifar10-*.json")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=words):
        load_verdicts(tmp_path / "reports")


DEFINITION = """
from models.networks import NetworkSpec
from models.networks.resnet import CifarResNet

def small():
    return NetworkSpec(lambda: CifarResNet(depth=8, classes=10), "cifar10", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
"""


def test_a_function_of_yours_is_quantised_first(steps, monkeypatch, tmp_path) -> None:
    mine, weights = tmp_path / "mine.py", tmp_path / "small.pt"
    mine.write_text(DEFINITION)
    with pytest.raises(
        UserError, match=rf"no float weights at .*small/float.pt; train some: make train NET={mine}:small"
    ):
        run(monkeypatch, "--net", f"{mine}:small")
    weights.touch()
    monkeypatch.setattr(explore, "load_network", lambda path: load_network("resnet20_cifar10"))
    assert run(monkeypatch, "--net", f"{mine}:small", "--float", str(weights)) == 0
    first, out = steps[0], str(tmp_path / "imported/small.npz")
    assert first[:6] == ["quantise", "models.quant", "--net", f"{mine}:small", "--out", out]
    assert first[-2:] == ["--float", str(weights)]
    assert steps[1][0] == "accuracy" and steps[1][steps[1].index("--net") + 1] == out


def test_a_layer_of_one_vector_an_image_has_tiles_of_as_many_images_as_it_takes(monkeypatch, tmp_path) -> None:
    taken: dict[str, int] = {}
    network, layer = load_network("resnet20_cifar10"), SimpleNamespace(group_inputs=64, size=(1, 1))
    plan = SimpleNamespace(network=network, label="net", data_sha256="f" * 64, rows=16, data=None)
    monkeypatch.setattr(explore, "BUILD", tmp_path)
    monkeypatch.setattr(explore, "load_dataset", lambda *words: TEST)
    monkeypatch.setattr(explore, "shapes", lambda *words: {"linear": layer})
    monkeypatch.setattr(explore, "capture", lambda network, images, layers: taken.update(layers))
    monkeypatch.setattr(explore, "save_capture", lambda capture, path: None)
    monkeypatch.setattr(explore, "load_capture", lambda path: None)
    explore.tiles_of(plan)
    assert taken == {"linear": 16 + 128}
    few = SimpleNamespace(labels=TEST.labels[:100], images=TEST.images[:100])
    monkeypatch.setattr(explore, "load_dataset", lambda *words: few)
    with pytest.raises(UserError, match="needs 144 activation vectors of a layer, and 100 test images have fewer"):
        explore.tiles_of(plan)


def test_no_conventional_column_meets_the_clock(steps, monkeypatch) -> None:
    for name in [name for name in AREAS if name.startswith("conv")]:
        monkeypatch.delitem(AREAS, name)
    with pytest.raises(UserError, match=r"no conventional column meets 10 ns on osu018, 16 rows, 10 ns; give a longer"):
        run(monkeypatch)
