"""Networks, training, layers that multiply with a table, fine-tuning: small and made-up data."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import models.accuracy
import models.train.__main__
import models.train.finetune
from common.errors import UserError, run_cli
from common.store import file_sha256
from models.emulate import TableEngine, exact_table
from models.emulate.modules import EncodedConv2d, EncodedLinear, TrainingTable, replace_layers, table_sums
from models.encoding import library_names, load_encoding
from models.multiplier import load_products
from models.networks import NETWORKS, network_spec
from models.networks.resnet import CifarResNet
from models.predictions import check_labels
from models.quant.arith import quantise_multipliers
from models.quant.checkpoint import load_network, save_network
from models.quant.convert import convert, load_weights
from models.quant.correct import encoding_engine, offset_network
from models.quant.nodes import Rescale
from models.quant.prepare import rounded_network
from models.train.__main__ import augment, parse_sizes
from models.train.finetune import LR, groups_of
from models.train.integer import BIAS_LIMIT, UNIFORM, Levels, TrainableLayer, TrainableNetwork

torch.set_num_threads(1)
NET = "resnet20_cifar10"
ROOT = Path(__file__).resolve().parent.parent
RNG = np.random.default_rng(5)
COARSE = (exact_table() >> 6) << 6


# ---- networks


@pytest.mark.parametrize(
    ("name", "parameters", "keys", "some"),
    [
        ("resnet20_cifar100", 275_572, 116, "layer2.0.conv1.weight"),
        ("resnet18_cifar10", 11_173_962, 122, "layer2.0.shortcut.1.running_mean"),
        ("mobilenetv2_cifar10", 2_236_682, 314, "features.2.conv.1.0.weight"),
        ("mobilenetv2_x0_5_cifar100", 815_780, 314, "features.18.0.weight"),
    ],
)
def test_networks_have_the_published_shape(name, parameters, keys, some):
    """Parameter counts of kuangliu/pytorch-cifar (ResNet-18) and chenyaofo/pytorch-cifar-models (MobileNetV2)."""
    spec = network_spec(name)
    model = spec.build().eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    state = model.state_dict()
    assert len(state) == keys and some in state
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 100 if "100" in name else 10)


def test_weights_of_another_layout_are_named():
    state = network_spec("mobilenetv2_cifar10").build().state_dict()
    with pytest.raises(UserError, match=r"102 missing \(bn1.bias, .* 262 unexpected \(classifier.1.bias"):
        load_weights(network_spec("resnet18_cifar10").build(), state, "file")
    other = network_spec("mobilenetv2_x0_5_cifar100").build().state_dict()
    with pytest.raises(UserError, match="has shape"):
        load_weights(network_spec("mobilenetv2_cifar10").build(), other, "file")


# ---- layers that multiply with a table


@pytest.mark.parametrize(("stride", "groups", "kernel"), [(1, 1, 3), (2, 4, 3), (1, 1, 1), (2, 8, 3)])
@pytest.mark.parametrize("table", [exact_table(), COARSE], ids=["exact", "coarse"])
def test_sums_are_the_engine_s(stride, groups, kernel, table):
    x = torch.from_numpy(RNG.integers(-128, 128, (2, 8, 7, 6)).astype(np.float32))
    w = torch.from_numpy(RNG.integers(-127, 128, (8, 8 // groups, kernel, kernel)).astype(np.float32))
    pad = kernel // 2
    found = table_sums(x, w, TrainingTable(table), (stride, stride), (pad, pad), groups)
    codes = (v.numpy().astype(np.int8) for v in (x, w))
    expected = TableEngine(table, path="portable")(*codes, (stride, stride), (pad,) * 4, groups)
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("groups", [1, 4])
def test_straight_gradients_are_those_of_the_convolution(groups):
    x = torch.from_numpy(RNG.integers(-128, 128, (2, 4, 5, 5)).astype(np.float32)).requires_grad_()
    w = torch.from_numpy(RNG.integers(-127, 128, (4, 4 // groups, 3, 3)).astype(np.float32)).requires_grad_()
    weight = torch.from_numpy(RNG.normal(size=(2, 4, 5, 5)).astype(np.float32))
    (table_sums(x, w, TrainingTable(COARSE), (1, 1), (1, 1), groups) * weight).sum().backward()
    found = x.grad.clone(), w.grad.clone()
    x.grad = w.grad = None
    (F.conv2d(x, w, None, 1, 1, 1, groups) * weight).sum().backward()
    for mine, theirs in zip(found, (x.grad, w.grad), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-2)


def test_table_gradients_follow_the_slope_of_the_table():
    """Products of half the slope in a, and of w to the power of two below: P = (a // 2) * f(w)."""
    a, w = np.arange(-128, 128)[:, None], np.arange(-128, 128)[None, :]
    f = np.sign(w) * 2 ** np.floor(np.log2(np.maximum(np.abs(w), 1))).astype(int)
    table = TrainingTable((a // 2) * f, "table")
    assert np.allclose(table.slope_a.numpy(), f[0] / 2, atol=0.02 * np.abs(f[0]) + 1e-6)
    slope = table.slope_w.numpy() / np.where(np.arange(-128, 128) // 2 == 0, 1, np.arange(-128, 128) // 2)
    assert 0.6 < slope[10] < 0.9 and slope[10] == pytest.approx(slope[200], rel=1e-5)
    x = torch.full((1, 1, 1, 1), 64.0).requires_grad_()
    weights = torch.full((1, 1, 1, 1), 100.0).requires_grad_()
    table_sums(x, weights, table).sum().backward()
    assert x.grad.item() == pytest.approx(32, rel=0.02)
    assert weights.grad.item() == pytest.approx(32 * slope[10], rel=0.01)
    exact = TrainingTable(exact_table(), "table")
    assert torch.allclose(exact.slope_a, torch.arange(-128.0, 128.0)) and torch.equal(exact.slope_a, exact.slope_w)


def test_layers_take_the_place_of_torch_s():
    torch.manual_seed(3)
    model = network_spec(NET).build().eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model(images)
    keys = set(model.state_dict())
    replace_layers(model, exact_table(), images)
    assert isinstance(model.layer1[0].conv1, EncodedConv2d) and isinstance(model.linear, EncodedLinear)
    assert keys <= set(model.state_dict())
    found = model(images)
    assert (found - expected).abs().max() < 0.25 * expected.std()
    found.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    coarse = replace_layers(network_spec(NET).build().eval(), COARSE, images)
    assert not torch.equal(coarse(images), found)


def test_bad_layers_are_refused():
    with pytest.raises(UserError, match="no dilation"):
        EncodedConv2d(3, 4, 3, dilation=2, table=exact_table(), input_scale=1.0)
    with pytest.raises(UserError, match="input scale nan"):
        EncodedLinear(3, 4, table=exact_table(), input_scale=float("nan"))
    with pytest.raises(UserError, match="unknown gradient 'slope'"):
        TrainingTable(exact_table(), "slope")
    with pytest.raises(UserError, match="sees only zeros"):
        replace_layers(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1)), exact_table(), torch.zeros(1, 1, 2, 2))


# ---- integer networks in training


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    images = RNG.integers(0, 256, (8, 3, 32, 32)).astype(np.uint8)
    return convert(CifarResNet(8, 10), network_spec(NET), NET, images, quiet=True)


@pytest.mark.parametrize("name", ["exact64", "m12p"])
def test_training_sees_the_integers_of_the_network(network, name):
    encoding = load_encoding(name)
    images = RNG.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    model = TrainableNetwork(network, TrainingTable(encoding.product_table))
    with torch.inference_mode():
        found = model(torch.from_numpy(network.quantise_input(images)).float()).numpy()
    again = offset_network(model.export(), encoding)
    expected = again.run(images, encoding_engine(encoding)) * network.nodes[-1].output_scale
    # requantisers may differ in a tie: one code of the last feature map, no more
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max() + 0.02
    same = TrainableNetwork(network, TrainingTable(exact_table())).export()
    for mine, theirs in zip(same.mac_nodes, network.mac_nodes, strict=True):
        assert np.array_equal(mine.weights, theirs.weights) and np.abs(mine.bias - theirs.bias).max() <= 1


@pytest.mark.parametrize("name", [*library_names(), "w4a6"])
def test_training_starts_from_the_network_it_is_given(network, name):
    """Before the first step every weight has the products it had, up to constants that its bias makes up for."""
    table = load_products(name).product_table
    node = network.mac_nodes[3]
    begun = TrainableLayer(node, TrainingTable(table)).export()
    difference = table[:, begun.weights.astype(int) + 128] - table[:, node.weights.astype(int) + 128]
    assert (difference == difference[0]).all()
    assert np.abs(difference[0].reshape(len(node.bias), -1).sum(1) - node.bias + begun.bias).max() <= 1


@pytest.mark.parametrize(("name", "levels"), [("exact64", 255), ("m12p", 16), ("m14p", 32), ("c12p", 8), ("w4a6", 16)])
def test_levels_and_the_rate_count_slopes_not_constants(network, name, levels):
    """A code that differs from another by a constant alone is no level of its own."""
    model = TrainableNetwork(network, TrainingTable(load_products(name).product_table))
    found = next(iter(model.layers.values())).levels
    assert len(found.slopes) == levels and (np.diff(found.slopes) > 0).all()
    step = min(LR, found.spacing / 50)
    first = [group["lr"] for group in groups_of(model, None)][:3]
    assert first == pytest.approx([step, step / 5, step / 100])


def test_the_bias_of_a_channel_that_hardly_reads_its_sums_fits_its_register(network):
    layer = TrainableLayer(network.mac_nodes[3], TrainingTable(exact_table()))
    with torch.no_grad():
        layer.gain += torch.log(1e-9 / layer.scale)
        layer.bias.fill_(8.5)
        layer.bias[0, 0] = -8.5
    assert layer.export().bias.tolist() == [-BIAS_LIMIT, *[BIAS_LIMIT] * (layer.bias.numel() - 1)]


def test_training_sees_the_grid_and_starts_in_the_middle_of_levels(network):
    encoding = load_encoding("w4a7")
    images = RNG.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    coarse = rounded_network(network, encoding)
    classes = Rescale("scores", "linear", *quantise_multipliers(np.linspace(0.5, 2, 10)), coarse.nodes[-1].output_scale)
    coarse = replace(coarse, nodes=(*coarse.nodes, classes))
    model = TrainableNetwork(coarse, TrainingTable(encoding.product_table))
    weights = np.concatenate([layer.weight.detach().numpy().ravel() for layer in model.layers.values()])
    assert np.abs(weights - 16 * np.rint(weights / 16)).max() < 0.01
    with torch.inference_mode():
        found = model(torch.from_numpy(coarse.quantise_input(images)).float()).numpy()
    exported = offset_network(model.export(), encoding)
    expected = exported.run(images, encoding_engine(encoding)) * coarse.nodes[-1].output_scale
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max() + 0.02
    assert {n.requant.grid for n in exported.mac_nodes if n.requant} == {0, 1}  # 0: goes to an addition only


def test_a_weight_takes_the_code_whose_products_have_its_slope():
    """Codes that stand for other values than their own, with constants: P = a * value(w) + 5 * w, two codes alike."""
    a, w = np.arange(-128, 128)[:, None], np.arange(-128, 128)
    value = RNG.permutation(w)
    value[40] = value[200]
    table = a * value + 5 * w
    table[:, 40] = table[:, 200]
    levels = Levels(table, np.ones(256))
    assert len(levels.codes) == 254 and (np.diff(levels.slopes) > 0).all()  # neither -128 nor the second of two
    wanted = torch.from_numpy(value[[3, 90, 200]].astype(np.float32)).view(3, 1, 1, 1)
    codes, slopes, constants = levels(wanted + 0.3)
    assert codes.ravel().tolist() in ([-125, -38, 72], [-125, -38, -88])
    assert torch.allclose(slopes, wanted, atol=1e-3) and np.allclose(constants.ravel(), 5 * w[[3, 90, 200]], atol=1e-3)
    assert levels.middle[3] == pytest.approx(value[3], abs=0.51)


def test_slopes_are_those_of_the_activations_a_layer_sees():
    """Lines through products that are twice the exact ones above activation 10, by weighted least squares."""
    a, w = np.arange(-128, 128), np.arange(-128, 128)
    table = (np.where(a > 10, 2, 1) * a)[:, None] * w
    highest = []
    for seen in ((np.abs(a) < 8).astype(float), np.ones(256)):
        share = (1 - UNIFORM) * seen / seen.sum() + UNIFORM / 256
        slope, constant = np.polyfit(a, table[:, -1], 1, w=np.sqrt(share))
        levels = Levels(table, seen)
        assert levels.slopes[-1].item() == pytest.approx(slope, rel=1e-4) and levels.codes[-1] == 127
        assert levels.constants[-1].item() == pytest.approx(constant, rel=1e-3)
        highest.append(slope)
    assert highest[0] < 0.99 * highest[1]


def test_gradients_of_a_layer_are_those_of_its_slopes(network):
    """A layer whose codes stand for their negatives is the exact layer of negative weights, gradients included."""
    node = next(n for n in network.mac_nodes if n.requant)
    turned = replace(node, weights=-np.maximum(node.weights, -127))
    x = torch.from_numpy(RNG.integers(-20, 20, (2, node.weights.shape[1], 6, 6)).astype(np.float32))
    gradients = []
    for layer in (
        TrainableLayer(replace(node, weights=-turned.weights), TrainingTable(exact_table())),
        TrainableLayer(turned, TrainingTable(-exact_table())),
    ):
        operand = x.clone().requires_grad_()
        layer(operand).float().square().sum().backward()
        gradients.append((operand.grad, layer.weight.grad, layer.bias.grad, layer.gain.grad))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


@pytest.mark.parametrize("name", ["mobilenetv2_x0_5_cifar100", "resnet18_cifar10"])
def test_every_cifar_network_is_quantised_and_trained(name):
    """Depthwise convolutions, ReLU6, 1x1 shortcuts: training sees the same integers and has gradients."""
    torch.manual_seed(2)
    spec = network_spec(name)
    model = spec.build().train()
    images = RNG.integers(0, 256, (4, 3, 16, 16)).astype(np.uint8)
    scaled = torch.from_numpy(images).float() / 64 - 2
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # mean of all batches
        model(scaled)
    small = convert(model.eval(), spec, name, images, quiet=True)
    codes = torch.from_numpy(small.quantise_input(images)).float()
    trainable = TrainableNetwork(small, TrainingTable(exact_table()))
    found = trainable(codes)
    integers = small.run(images, TableEngine(exact_table())) * small.nodes[-1].output_scale
    assert np.abs(found.detach().numpy() - integers).max() < 0.1 * np.abs(integers).max()
    found.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in trainable.parameters() if p.requires_grad)


def test_networks_that_cannot_be_trained(network):
    from dataclasses import replace

    node = network.mac_nodes[1]
    with pytest.raises(UserError, match=f"node {node.name} has a zero point"):
        TrainableNetwork(network.with_nodes({node.name: replace(node, input_zero_point=3)}), TrainingTable(COARSE))
    with pytest.raises(UserError, match="does not end in a layer of real logits"):
        TrainableNetwork(replace(network, nodes=network.nodes[:-1]), TrainingTable(COARSE))


# ---- commands


def run(monkeypatch: pytest.MonkeyPatch, command, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    command.main()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, network):
    """A folder with CIFAR-10 in the official binary form (8 images a file) and an int8 network of 8 layers."""
    place = tmp_path_factory.mktemp("train")
    folder = place / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        records = RNG.integers(0, 25, (8, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        records[:, 1:] += 25 * records[:, :1]  # the brighter, the higher the class
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    save_network(network, place / "small.npz")
    return place


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("ENCMAC_DATA", str(place / "data"))
    return place


def words(place: Path, *more: object) -> list:
    common = [
        "--net",
        place / "small.npz",
        "--encoding",
        "m12p",
        "--batch",
        8,
        "--samples",
        8,
        "--threads",
        1,
        "--quiet",
    ]
    return [*common, "--save-every", 2, *more]


def test_finetuning_resumes_and_is_measured(here, monkeypatch, capsys):
    command, out = models.train.finetune, here / "tuned.npz"
    run(monkeypatch, command, *words(here, "--steps", 4, "--folder", here / "whole", "--out", out))
    record = json.loads((here / "whole" / "log.json").read_text())
    assert [e["step"] for e in record["log"]] == [1, 2, 3, 4]
    assert (here / "whole" / "loss.svg").stat().st_size > 1000
    tuned = load_network(out)
    made = tuned.provenance["finetuned"]
    assert made["encoding"] == "m12p" and made["top1"] == record["top1"] and "--steps 4" in made["command"]

    # interrupted after two steps, the rest is the same
    real = models.train.finetune.save_atomically

    def interrupt(state: dict, path: Path) -> None:
        real(state, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "save_atomically", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, command, *words(here, "--steps", 4, "--folder", here / "parts", "--out", here / "again.npz"))
    monkeypatch.setattr(command, "save_atomically", real)
    run(monkeypatch, command, *words(here, "--steps", 4, "--folder", here / "parts", "--out", here / "again.npz"))
    for a, b in zip(tuned.mac_nodes, load_network(here / "again.npz").mac_nodes, strict=True):
        assert np.array_equal(a.weights, b.weights) and np.array_equal(a.bias, b.bias)
    with pytest.raises(UserError, match="made with another steps"):
        run(monkeypatch, command, *words(here, "--steps", 5, "--folder", here / "parts"))
    (here / "parts" / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is damaged"):
        run(monkeypatch, command, *words(here, "--steps", 4, "--folder", here / "parts"))

    # other images are another run
    data = here / "other" / "cifar-10-batches-bin"
    data.mkdir(parents=True)
    for file in (here / "data" / "cifar-10-batches-bin").iterdir():
        found = bytearray(file.read_bytes())
        found[-1] ^= file.name == "data_batch_3.bin"
        (data / file.name).write_bytes(found)
    with pytest.raises(UserError, match="made with another data_sha256"):
        more = ("--steps", 4, "--folder", here / "whole", "--data", here / "other")
        run(monkeypatch, command, *words(here, *more))

    # accuracy measures it, and refuses it for anything else
    measured = ["--net", here / "small.npz", "--samples", 8, "--quiet", "--out", here / "accuracy.json"]
    run(monkeypatch, models.accuracy, *measured, "--encoding", "m12p", "--finetuned", out)
    (row,) = json.loads((here / "accuracy.json").read_text())["rows"]
    sources = json.loads((here / "accuracy.json").read_text())["sources"]
    assert next(value for name, value in sources.items() if name.endswith("tuned.npz")) == file_sha256(out)
    assert row["top1"]["encoded_finetuned"] == made["top1"] and row["finetuned"]["checkpoint_sha256"] == tuned.sha256
    assert "fine-tuned" in capsys.readouterr().out
    with pytest.raises(UserError, match="for m12p, not for this encoding m16p"):
        run(monkeypatch, models.accuracy, *measured, "--encoding", "m16p", "--finetuned", out)
    with pytest.raises(UserError, match="is not fine-tuned"):
        run(monkeypatch, models.accuracy, *measured, "--encoding", "m12p", "--finetuned", here / "small.npz")
    with pytest.raises(UserError, match="is fine-tuned for m12p; give --net"):
        run(monkeypatch, models.accuracy, "--net", out, "--encoding", "m12p")
    with pytest.raises(UserError, match="is fine-tuned for m12p already"):
        run(monkeypatch, command, "--net", out, "--encoding", "m12p")


def test_what_cannot_be_trained_is_told_before_weights_are_chosen(here, monkeypatch, network):
    node = network.mac_nodes[1]
    save_network(network.with_nodes({node.name: replace(node, input_zero_point=3)}), here / "zero.npz")
    monkeypatch.setattr(models.train.finetune, "prepare", lambda *_, **__: pytest.fail("chosen"))
    with pytest.raises(UserError, match="has a zero point"):
        run(monkeypatch, models.train.finetune, *words(here, "--net", here / "zero.npz"))


def test_a_fine_tuned_network_of_another_base_is_passed_over(here, monkeypatch, network):
    """What was made here for an earlier network does not hide that of the zoo."""
    encoding, made = load_encoding("m12p"), {}
    for folder, sha256 in (("build/finetuned", "of another"), ("zoo/finetuned", network.sha256)):
        made = {"encoding": "m12p", "encoding_sha256": encoding.sha256, "base": "small", "base_sha256": sha256}
        save_network(replace(network, provenance={"finetuned": made}), here / folder / f"{network.name}-m12p.npz")
    monkeypatch.setattr(models.accuracy, "ZOO", here / "zoo")
    found = models.accuracy.finetuned_file(network, encoding, None)
    assert found == here / "zoo" / "finetuned" / f"{network.name}-m12p.npz"
    assert models.accuracy.finetuned_file(network, load_encoding("m14p"), None) is None


def test_a_training_that_left_all_bounds_is_one_line_and_leaves_no_checkpoint(here, monkeypatch, network):
    def lost(self, closure=None):
        for group in self.param_groups:
            group["params"][0].data.fill_(float("nan"))

    monkeypatch.setattr(torch.optim.Adam, "step", lost)
    with pytest.raises(UserError, match="weights are no numbers any more after step 1; lower --lr"):
        run(monkeypatch, models.train.finetune, *words(here, "--steps", 1, "--folder", here / "lost"))
    assert not (here / "lost" / "checkpoint.pt").exists()
    layer = TrainableLayer(next(n for n in network.mac_nodes if n.requant), TrainingTable(exact_table()))
    for gain in (1e28, 1e3, float("nan")):
        layer.gain.data.fill_(gain)
        with pytest.raises(UserError, match=f"gain of layer {layer.node.name} has left all bounds"):
            layer.export()


def test_channels_that_are_never_read_are_trained_around(network):
    """A requantiser of 0 makes a channel a constant: gradients and the exported network stay numbers."""
    node = next(n for n in network.mac_nodes if n.requant)
    multiplier = np.array(np.broadcast_to(node.requant.multiplier, node.bias.shape))
    multiplier[1] = 0
    dead = replace(node, requant=replace(node.requant, multiplier=multiplier))
    layer = TrainableLayer(dead, TrainingTable(exact_table()))
    x = torch.from_numpy(RNG.integers(-20, 20, (2, node.weights.shape[1], 6, 6)).astype(np.float32))
    layer(x).float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters() if p.requires_grad)
    exported = layer.export()
    assert exported.bias[1] == dead.bias[1] and exported.requant.factors[1] == 0
    assert np.array_equal(np.delete(exported.bias, 1), np.delete(node.bias, 1))


def test_crops_are_of_the_size_of_the_images():
    images = torch.arange(2 * 3 * 48 * 40).view(2, 3, 48, 40) % 251
    padded = torch.nn.functional.pad(images.float(), (4, 4, 4, 4))
    crops = augment(padded, torch.tensor([1, 0, 1]), torch.Generator().manual_seed(1))
    assert crops.shape == (3, 3, 48, 40)


def test_finetuning_lowers_its_loss(here, monkeypatch):
    more = (
        "--steps",
        25,
        "--lr",
        1.0,
        "--batch",
        16,
        "--distil",
        0,
        "--folder",
        here / "loss",
        "--out",
        here / "loss.npz",
    )
    run(monkeypatch, models.train.finetune, *words(here, *more))
    losses = [e["loss"] for e in json.loads((here / "loss" / "log.json").read_text())["log"]]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_data_and_files_that_do_not_fit_are_told_before_a_step(here, monkeypatch, network):
    command, common = models.train.finetune, words(here, "--steps", 1, "--folder", here / "unfit")
    with pytest.raises(UserError, match="--batch 100000000: there are 40 training images"):
        run(monkeypatch, command, *common, "--batch", 10**8)
    with pytest.raises(UserError, match="small.npz holds a network that is not fine-tuned; give another file"):
        run(monkeypatch, command, *common, "--out", here / "small.npz")
    images = np.zeros((10, 3, 32, 32), np.uint8)
    np.savez(here / "other.npz", images=images, labels=np.full(10, 100))
    with pytest.raises(UserError, match="labels are 100..100, the classes of"):
        run(monkeypatch, command, *common, "--data", here / "other.npz")
    measured = ("--net", here / "small.npz", "--encoding", "m12p", "--quiet", "--data", here / "other.npz")
    with pytest.raises(UserError, match="labels are 100..100, the classes of"):
        run(monkeypatch, models.accuracy, *measured)
    trainer = importlib.import_module("models.train.__main__")
    with pytest.raises(UserError, match="resnet50_imagenet is for imagenet; make train takes networks for cifar10 and"):
        run(monkeypatch, trainer, "--net", "resnet50_imagenet", "--out", here / "none")
    with pytest.raises(UserError, match="--batch 41: there are 40 training images"):
        run(monkeypatch, trainer, "--net", "resnet20_cifar10", "--batch", 41, "--out", here / "none")
    check_labels(network, images, np.array([0, 9]))
    for labels in ([0, 10], [-1, 3]):
        with pytest.raises(UserError, match=r"labels are .*, the classes of .* 0\.\.9; give the data set"):
            check_labels(network, images, np.array(labels))


def test_bad_finetuning_is_one_line(here, monkeypatch, capsys):
    for extra, message in (
        (("--lr", -1), "--lr -1: must be above 0"),
        (("--encoding", "none"), "none"),
        (("--batch", 0), "batch"),
    ):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, words(here, *extra))])
        with pytest.raises(SystemExit) as stop:
            run_cli(models.train.finetune.main)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and message in error and error.count("\n") == 1


def test_image_sizes():
    assert parse_sizes("16x2,24x1", 5) == [16, 16, 24, 32, 32] and parse_sizes("", 2) == [32, 32]
    for text in ("16", "16x0", "4x1", "16x5", "axb"):
        with pytest.raises(UserError, match="--sizes"):
            parse_sizes(text, 5)


def test_two_processes_train_as_one(here):
    """gloo: gradients of two halves of a batch are averaged; every process draws the same batches."""
    out = here / "team"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29571"]
    command += [
        "-m",
        "models.train.finetune",
        *map(str, words(here, "--steps", 2, "--folder", out, "--out", out / "n.npz")),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ENCMAC_DATA": str(here / "data")}
    result = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr[-2000:]
    assert load_network(out / "n.npz").provenance["finetuned"]["processes"] == 2
    pair = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    alone = here / "alone"
    more = words(here, "--steps", 2, "--folder", alone, "--out", alone / "n.npz")
    command = [sys.executable, "-m", "models.train.finetune", *map(str, more)]
    subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True, timeout=1200)
    single = torch.load(alone / "checkpoint.pt", weights_only=True)["model"]
    # Adam's first steps are the sign of a gradient: where that is nothing but rounding, weights may part
    apart = torch.cat([(pair[k] - single[k]).abs().flatten() for k in single if k.endswith("weight")])
    assert (apart < 0.01).float().mean() > 0.95


def test_networks_are_listed():
    assert {"resnet18_cifar10", "resnet20_cifar100", "mobilenetv2_cifar10"} <= set(NETWORKS)


def test_a_checkpoint_that_finds_no_room_is_one_line(tmp_path):
    """torch raises RuntimeError where a write falls short; an older checkpoint stays."""
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\nimport torch\n"
        "from models.train.__main__ import save_atomically\nfrom common.errors import UserError\n"
        "place = Path(sys.argv[1]) / 'checkpoint.pt'\nsave_atomically({'epoch': 1}, place)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    save_atomically({'epoch': 2, 'weights': torch.zeros(10000)}, place)\n"
        "except (UserError, OSError) as error:\n    print(type(error).__name__, '\\n' in str(error), error)\n"
        "print(torch.load(place, weights_only=True)['epoch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True)
    told, epoch = done.stdout.splitlines()
    assert told.startswith("UserError False") and "is the disk full?" in told and epoch == "1", done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_function_of_yours_that_fails_is_one_line(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def boom():\n    return 1 / 0\n")
    with pytest.raises(UserError, match=rf"{mine}:2: ZeroDivisionError: division by zero; boom\(\) cannot be had"):
        network_spec(f"{mine}:boom")
    mine.write_text("import no_such_module\n")
    with pytest.raises(UserError, match=rf"{mine}:1: ModuleNotFoundError"):
        network_spec(f"{mine}:boom")
