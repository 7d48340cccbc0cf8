"""The commands from float weights to accuracy report, end to end on a small made-up data set."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import models.accuracy
import models.quant.__main__
import models.quant.histogram
import models.replay
from common.errors import UserError
from common.files import write_block
from models.encoding import load_encoding
from models.networks import network_spec
from models.quant.checkpoint import load_network
from models.quant.histogram import load_histogram
from models.replay import load_capture

torch.set_num_threads(1)
NET = "resnet20_cifar10"


def run(monkeypatch: pytest.MonkeyPatch, command, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    command.main()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """A folder with CIFAR-10 in the official binary form (8 images a file) and random float weights."""
    place = tmp_path_factory.mktemp("accuracy")
    folder = place / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        records = rng.integers(0, 256, (8, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    torch.manual_seed(1)
    record = {"net": NET, "epochs": 1, "seed": 1, "bf16": True, "log": [1], "top1": 0.1}
    float_path = place / "build" / "train" / NET / "float.pt"
    float_path.parent.mkdir(parents=True)
    torch.save({"weights": network_spec(NET).build().state_dict(), "record": record}, float_path)
    return place


@pytest.fixture
def checkpoint(place, monkeypatch):
    """The network of `place`, quantised by the command; the current directory is `place`."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("ENCMAC_DATA", str(place / "data"))
    path = place / f"{NET}.npz"
    if not path.exists():
        run(monkeypatch, models.quant.__main__, "--net", NET, "--out", path, "--images", 16, "--quiet")
    return path


def test_quantised_checkpoint_knows_its_origin(checkpoint):
    network = load_network(checkpoint)
    training = network.provenance["training"]
    assert training["command"] == f"python -m models.train --net {NET} --epochs 1 --seed 1 --bf16"
    assert "log" not in training
    assert network.provenance["figures"]["images"] == 8
    assert len(network.mac_nodes) == 20


def test_report_row(checkpoint, monkeypatch, capsys, place):
    words = ("--net", checkpoint, "--encoding", "exact64", "--samples", 4, "--quiet")
    run(monkeypatch, models.accuracy, *words)
    run(monkeypatch, models.accuracy, *words)
    with pytest.raises(UserError, match="--float absent.pt: there is no such file"):
        run(monkeypatch, models.accuracy, *words, "--float", "absent.pt")
    torch.save({"weights": network_spec(NET).build().state_dict()}, place / "other.pt")
    with pytest.raises(UserError, match="--float .*other.pt is not the file of weights that resnet20_cifar10 was made"):
        run(monkeypatch, models.accuracy, *words, "--float", place / "other.pt")
    with pytest.raises(UserError, match="--table shows what was measured, as text; leave out --net"):
        run(monkeypatch, models.accuracy, *words, "--table")
    capsys.readouterr()
    more = ("--net", checkpoint, "--encoding", "exact64", "--samples", 100, "--out", place / "more.json")
    run(monkeypatch, models.accuracy, *more)
    assert "100 training images asked for, 20 taken: half of those that there are" in capsys.readouterr().out
    weights = place / "build/train" / NET / "float.pt"
    weights.rename(place / "away.pt")
    run(monkeypatch, models.accuracy, *words, "--images", 3, "--correction", "none")
    (place / "away.pt").rename(weights)
    report = json.loads((place / "build/reports/accuracy.json").read_text())
    assert report["format"] == "encmac-accuracy/1"
    whole, part = report["rows"]
    assert (whole["images"], part["images"]) == (8, 3)
    assert whole["top1"]["int8"] == whole["top1"]["encoded"] and whole["top1"]["encoded_finetuned"] is None
    assert whole["fp32_source"] == "measured" and part["fp32_source"].startswith("not measured on these images")
    assert whole["checkpoint_sha256"] == load_network(checkpoint).sha256
    assert "exact64" in capsys.readouterr().out


def test_bad_requests(checkpoint, monkeypatch, place):
    words = ("--net", checkpoint, "--encoding", "exact64", "--quiet")
    for option, message in (
        ("--images=0", "--images 0: must be at least 1"),
        ("--images=9", "has 1..8"),
        ("--rounds=0", "--rounds 0"),
    ):
        with pytest.raises(UserError, match=message):
            run(monkeypatch, models.accuracy, *words, option)
    damaged = place / "damaged.json"
    damaged.write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        models.accuracy.update_report(damaged, {})


def test_records_are_json_and_are_told_before_anything_is_measured(checkpoint, monkeypatch, place):
    monkeypatch.setattr(models.accuracy, "measure_baseline", lambda *_: pytest.fail("measured"))
    words = ("--net", checkpoint, "--encoding", "exact64", "--quiet", "--out")
    with pytest.raises(UserError, match=r"--out foo\.txt: a record is JSON"):
        run(monkeypatch, models.accuracy, *words, "foo.txt")
    (place / "ppa.json").write_text('{"format": "encmac-ppa/1", "designs": []}')
    with pytest.raises(UserError, match=r"ppa\.json is damaged or of another version"):
        run(monkeypatch, models.accuracy, *words, place / "ppa.json")


def test_classes_kept_of_an_interrupted_run_are_those_of_its_images(checkpoint, monkeypatch, place):
    """Two files of one name are two data sets: what was kept for one is not gone on with for the other."""
    keys, real = [], models.accuracy.Predictions

    def told(network, engine, data):
        keys.append(data)
        return real(network, engine, data)

    monkeypatch.setattr(models.accuracy, "Predictions", told)
    words = ("--net", checkpoint, "--encoding", "exact64", "--correction", "none", "--quiet", "--samples", 1)
    for seed in (1, 2):
        images = np.random.default_rng(seed).integers(0, 256, (40, 3, 32, 32)).astype(np.uint8)
        np.savez(place / "mine.npz", images=images, labels=np.arange(40) % 10)
        run(monkeypatch, models.accuracy, *words, "--data", place / "mine.npz", "--out", place / "two.json")
    assert len(keys) == 4 == len(set(keys))
    with pytest.raises(UserError, match=r"--images 99: .* has 1\.\.\d+ test images"):
        run(monkeypatch, models.accuracy, *words, "--data", place / "mine.npz", "--images", 99)


@pytest.mark.parametrize("rows", ["[{}]", '["a"]', '[{"network": null, "product_bits": "x", "top1": {}}]'])
def test_a_table_of_damaged_rows_is_one_line(monkeypatch, tmp_path, rows):
    (tmp_path / "a.json").write_text(f'{{"format": "encmac-accuracy/1", "rows": {rows}}}')
    with pytest.raises(UserError, match=r"a\.json is damaged"):
        run(monkeypatch, models.accuracy, "--table", "--out", tmp_path / "a.json")


def test_a_page_stays_the_file_that_it_is(tmp_path):
    page, link = tmp_path / "page.md", tmp_path / "link.md"
    page.write_bytes(b"a\r\n<!-- begin x -->\r\nold\r\n<!-- end x -->\r\n")
    link.symlink_to(page)
    write_block(link, "x", "1\n2")
    assert link.is_symlink() and page.read_bytes() == b"a\r\n<!-- begin x -->\r\n1\r\n2\r\n<!-- end x -->\r\n"


def test_a_page_that_two_write_to_has_both(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in "ab"))

    def write(name: str) -> None:
        for count in range(40):
            write_block(page, name, f"{name} {count}")
            assert f"{name} {count}\n" in page.read_text()

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, "ab"))
    assert "a 39\n" in page.read_text() and "b 39\n" in page.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]
    page.write_text(page.read_text() * 2)
    with pytest.raises(UserError, match="has '<!-- begin a -->' more than once"):
        write_block(page, "a", "which?")
    with pytest.raises(UserError, match="cannot read"):
        write_block(tmp_path / "none" / "page.md", "a", "x")
    assert not (tmp_path / "none").exists()


def test_histogram_command(checkpoint, monkeypatch, place):
    run(monkeypatch, models.quant.histogram, "--net", checkpoint, "--images", 2, "--quiet")
    found = load_histogram(place / "build/histograms" / f"{NET}.npz")
    assert found.joint.sum() == 2 * 40_551_040 and found.network_sha256 == load_network(checkpoint).sha256


def test_replay_command(checkpoint, monkeypatch, place):
    out = place / "tiles.npz"
    run(monkeypatch, models.replay, "--net", checkpoint, "--layer", "conv1=1", "--layer", "linear=8", "--out", out)
    layer = load_capture(out).layer("linear")
    assert layer.sums().shape == (8, 10)
    with pytest.raises(UserError, match="write NAME=IMAGES"):
        run(monkeypatch, models.replay, "--net", checkpoint, "--layer", "conv1")
    with pytest.raises(UserError, match="unknown layer of .* 'conv9'"):
        run(monkeypatch, models.replay, "--net", checkpoint, "--layer", "conv9=1")


def test_table_of_rows(monkeypatch, tmp_path, capsys):
    path = tmp_path / "accuracy.json"
    with pytest.raises(UserError, match="no rows in"):
        run(monkeypatch, models.accuracy, "--table", "--out", path)
    row = {"network": NET, "dataset": "cifar10", "product_bits": 20, "images": 8}
    for name, top1 in (("exact64", 0.9), ("m20p", 0.875), ("of_a_user", 0.5)):
        sha256 = "f" * 64 if name == "of_a_user" else load_encoding(name).sha256
        about = {"encoding": name, "encoding_sha256": sha256, "top1": {"int8": 0.9, "encoded": top1}}
        models.accuracy.update_report(path, row | about)
    mine = {"encoding": "m20p", "encoding_sha256": "e" * 64, "top1": {"int8": 0.9, "encoded": 0.1}}
    models.accuracy.update_report(path, row | mine)  # a table of that name is not the library's encoding
    run(monkeypatch, models.accuracy, "--table", "--out", path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and "| of_a_user | 20 | - |" in "".join(lines)
    assert lines[2].endswith("| 90.00 | - | - | - | corrected | +0.00 | - | - | - |")
    # two rows that look alike say in what they differ
    areas = {line.split(" | ")[1]: line.split(" | ")[3] for line in lines if "| m20p, encoding " in line}
    assert areas == {f"m20p, encoding {load_encoding('m20p').sha256[:8]}": "420,299", "m20p, encoding eeeeeeee": "-"}
    assert any("| m20p, encoding " in line and line.endswith("| corrected | -2.50 | - | - | - |") for line in lines)
    seeds = [
        row | mine | {"encoding": "x", "seed": seed, "checkpoint_sha256": sha * 64}
        for seed, sha in ((2, "a"), (1, "b"))
    ]
    said = [line.split(" | ")[1] for line in models.accuracy.table(seeds).splitlines()[2:]]
    assert said == [f"x, seed {seed}, checkpoint {sha * 8}" for seed, sha in ((1, "b"), (2, "a"))]
    others = [
        row | mine | {"encoding": "x", "correction": {"scope": "gain", "rounds": 3, "training_images": images}}
        for images in (500, 128)
    ]
    said = [line.split(" | ")[1] for line in models.accuracy.table(others).splitlines()[2:]]
    assert sorted(said) == ["x, training images 128", "x, training images 500"]
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin accuracy -->\nold\n<!-- end accuracy -->\nb\n")
    run(monkeypatch, models.accuracy, "--table", "--out", path, "--page", page)
    assert page.read_text().splitlines() == ["a", "<!-- begin accuracy -->", *lines, "<!-- end accuracy -->", "b"]
    page.write_text("no marks\n")
    with pytest.raises(UserError, match="has no lines '<!-- begin accuracy -->'"):
        run(monkeypatch, models.accuracy, "--table", "--out", path, "--page", page)
    assert page.read_text() == "no marks\n"
    with pytest.raises(UserError, match="--page is where --table writes"):
        run(monkeypatch, models.accuracy, "--net", NET, "--encoding", "m20p", "--page", page)
    with pytest.raises(UserError, match="needs --encoding, or --table"):
        run(monkeypatch, models.accuracy, "--net", NET)
