"""Integer arithmetic, conversion, checkpoints, histograms and bias correction."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch

import models.accuracy
import models.quant.__main__
import models.quant.histogram
import models.replay
from common.errors import UserError, run_cli
from models.datasets.cifar import have_cifar
from models.emulate import ExactEngine, TableEngine, exact_table
from models.encoding import load_encoding
from models.networks import NetworkSpec, network_spec
from models.networks.resnet import CifarResNet
from models.quant.arith import quantise, quantise_multiplier, quantise_multiplier_pair, requantise, round_half_even
from models.quant.checkpoint import ZOO, load_network, save_network, write_npz
from models.quant.convert import RULES, convert, load_weights, quantise_weights
from models.quant.correct import corrected_network, encoding_engine, offset_network
from models.quant.graph import Conv, Linear, QuantNetwork
from models.quant.histogram import JointHistogram, check_joint, joint_of, load_histogram, measure, tap_histograms
from models.quant.nodes import Add, GlobalAveragePool, Pad, Requant, SubsamplePad
from models.quant.trace import float_nodes, run_float

torch.set_num_threads(1)  # tiny layers: threads would only wait for each other
RNG = np.random.default_rng(11)
SPEC = NetworkSpec(lambda: CifarResNet(8, 10), "cifar10", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> CifarResNet:
    """A ResNet-8 whose BatchNorm layers are not the identity."""
    torch.manual_seed(5)
    model = SPEC.build()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return model.eval()


@pytest.fixture(scope="module")
def network(model, images) -> QuantNetwork:
    return convert(model, SPEC, "tiny", images, quiet=True)


def normalised(images: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(images).float() / 255 - 0.5) / 0.25


# ---- arithmetic


def test_round_half_even():
    assert round_half_even([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]).tolist() == [-2, -2, 0, 0, 2, 2]
    with pytest.raises(ValueError, match="NaN"):
        round_half_even([float("nan")])
    assert quantise(np.array([1e9, -1e9, 0.26]), 0.1).tolist() == [127, -128, 3]


@pytest.mark.parametrize("real", [1.0, 0.5, 1e-9, 3e-5, 0.0123, 0.99999999999, 7.3, 2.0**20])
def test_multiplier_is_precise(real):
    multiplier, shift = quantise_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31 and 1 <= shift <= 62
    assert abs(Fraction(multiplier, 1 << shift) / Fraction(real) - 1) <= Fraction(1, 1 << 31)


def test_factors_that_bring_every_sum_to_zero():
    sums = np.array([-(2**31), -1, 0, 1, 2**31 - 1])
    for rounding in ("single", "double", "float"):
        assert not requantise(sums, *quantise_multiplier(4e-13), rounding=rounding).any()


@pytest.mark.parametrize("real", [0.0, -1.0, float("nan"), float("inf"), 2.0**40])
def test_bad_factors_are_refused(real):
    with pytest.raises(ValueError, match="requantisation factor"):
        quantise_multiplier(real)


def test_requantise_equals_rational_arithmetic():
    """Round to nearest, ties towards plus infinity, then clamp: floor(x + 1/2) of the exact quotient."""
    for real in (0.5, 0.25, 0.0037, 0.9, 1e-4):
        multiplier, shift = quantise_multiplier(real)
        edges = [0, 1, -1, 2, -2, 3, -3, 6, -6, (1 << 31) - 1, -(1 << 31)]
        acc = np.array(edges + RNG.integers(-(1 << 20), 1 << 20, 500).tolist(), np.int32)
        exact = [floor(Fraction(int(v) * multiplier, 1 << shift) + Fraction(1, 2)) for v in acc]
        assert requantise(acc, multiplier, shift, -100, 90).tolist() == [min(max(v, -100), 90) for v in exact]
    half = quantise_multiplier(0.5)
    assert requantise(np.array([1, -1, 3, -3], np.int32), *half).tolist() == [1, 0, 2, -1]
    assert requantise(np.array([7], np.int32), *half, zero_point=-3).tolist() == [1]


def test_requantise_per_channel():
    requant = Requant(np.array([1 << 30, 1 << 30], np.int32), np.array([31, 33], np.int32), lo=0)
    acc = np.array([[[[20]], [[20]]], [[[-20]], [[400]]]], np.int32)
    assert requant(acc).ravel().tolist() == [10, 3, 0, 50]


def test_add_rescales_both_operands():
    m1, m2, shift = quantise_multiplier_pair(0.75, 0.0625)
    add = Add("add", ("x", "y"), (m1, m2), shift, 1.0, lo=0)
    a, b = np.array([100, -100, 127, 10], np.int8), np.array([16, 16, 127, 8], np.int8)
    assert add(a, b).tolist() == [76, 0, 103, 8]


def test_shortcut_and_pool():
    x = RNG.integers(-128, 128, (2, 3, 5, 4)).astype(np.int8)
    y = SubsamplePad("s", "x", 2, 1, 2, 1.0)(x)
    assert y.shape == (2, 6, 3, 2)
    assert np.array_equal(y[:, 1:4], x[:, :, ::2, ::2]) and not y[:, [0, 4, 5]].any()
    multiplier, shift = quantise_multiplier(1 / 20)
    requant = Requant(np.array([multiplier], np.int32), np.array([shift], np.int32))
    pooled = GlobalAveragePool("p", "x", requant, 1.0)(x)
    assert np.abs(pooled - x.mean(axis=(2, 3))).max() <= 0.5


def test_weights_keep_to_127():
    weights = RNG.normal(size=(4, 3, 2, 2)).astype(np.float32)
    weights[2] = 0
    for per_channel in (True, False):
        codes, scale = quantise_weights(weights, per_channel)
        assert codes.dtype == np.int8 and codes.min() >= -127 and scale.min() > 0
        assert np.abs(codes * scale[:, None, None, None] - weights).max() <= scale.max() / 2 + 1e-9
    assert len(set(quantise_weights(weights, False)[1])) == 1
    assert quantise_weights(np.zeros((2, 3)), True)[0].tolist() == [[0] * 3] * 2


# ---- conversion


def test_folding_keeps_the_function(model, images):
    with torch.inference_mode():
        expected = model(normalised(images))
    assert torch.allclose(run_float(float_nodes(model), normalised(images)), expected, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("per_channel", [True, False])
def test_integer_network_is_close_to_float(model, images, rule, per_channel):
    network = convert(model, SPEC, "tiny", images, rule, per_channel, quiet=True)
    with torch.inference_mode():
        expected = model(normalised(images)).numpy()
    scale = network.nodes[-1].output_scale
    found = network.run(images, ExactEngine()) * scale
    assert np.sqrt(np.square(found - expected).mean()) < 0.1 * expected.std() + 0.02


def test_engines_and_batches_agree(network, images):
    expected = network.run(images, ExactEngine())
    assert expected.dtype == np.int32 and expected.shape == (24, 10)
    assert np.array_equal(network.run(images, TableEngine(exact_table())), expected)
    parts = network.run_batches(images, TableEngine(exact_table(), threads=1), batch=5)
    assert np.array_equal(np.concatenate(list(parts)), expected)
    labels = expected.argmax(axis=1)
    labels[:6] = (labels[:6] + 1) % 10
    assert network.top1(images, labels, ExactEngine()) == 0.75


def test_observer_sees_every_mac_layer(network, images):
    seen = []
    network.run(images[:2], ExactEngine(), lambda node, x: seen.append((node.name, x.dtype, x.shape[1])))
    assert [s[0] for s in seen] == [n.name for n in network.mac_nodes]
    assert seen[0] == ("conv1", np.int8, 3) and seen[-1] == ("linear", np.int8, 64)


def test_bad_weights_are_one_line(model):
    state = model.state_dict()
    bad = {
        "1 missing \\(conv1.weight\\)": {k: v for k, v in state.items() if k != "conv1.weight"},
        "1 unexpected \\(extra\\)": state | {"extra": torch.zeros(1)},
        "has shape": state | {"conv1.weight": torch.zeros(16, 3, 5, 5)},
        "NaN": state | {"linear.bias": torch.full((10,), float("nan"))},
    }
    for message, weights in bad.items():
        with pytest.raises(UserError, match=message):
            load_weights(SPEC.build(), weights, "file")


def test_other_inputs_are_refused(network, model, images):
    with pytest.raises(UserError, match="takes uint8 images"):
        network.run(images[:, :2], ExactEngine())
    with pytest.raises(UserError, match="takes uint8 images"):
        network.run(images.astype(np.int8), ExactEngine())
    with pytest.raises(UserError, match="Tanh at '_1' is not supported"):
        float_nodes(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Tanh()))
    with pytest.raises(UserError, match="unknown calibration rule"):
        convert(model, SPEC, "tiny", images, "best", quiet=True)
    with pytest.raises(UserError, match="at least 1"):
        network.top1(images[:0], np.zeros(0, int), ExactEngine())


# ---- checkpoints


def test_checkpoint_round_trip(network, images, tmp_path):
    path = tmp_path / "tiny.npz"
    network = replace(network, provenance={"figures": {"int8_top1": 0.5}})
    sha256 = save_network(network, path)
    again = load_network(path)
    assert again.sha256 == sha256 and again.provenance == network.provenance
    assert np.array_equal(again.run(images, ExactEngine()), network.run(images, ExactEngine()))
    assert save_network(again, path) == sha256
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.npz"]


def test_damaged_checkpoints_are_refused(network, tmp_path):
    path = tmp_path / "tiny.npz"
    save_network(network, path)
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:-30], b"nonsense" * 40):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged or no network checkpoint"):
            load_network(path)
    path.write_bytes(content)
    with np.load(path) as archive:
        arrays = {k: archive[k] for k in archive.files}
    arrays["conv1/weights"] = arrays["conv1/weights"] ^ 1
    write_npz(path, arrays)
    with pytest.raises(UserError, match="checksum"):
        load_network(path)
    write_npz(path, {"header": np.frombuffer(b'{"format": "other/3"}', np.uint8)})
    with pytest.raises(UserError, match="expected 'encmac-network/1'"):
        load_network(path)
    with pytest.raises(UserError, match="unknown network 'nothing'"):
        load_network("nothing")
    with pytest.raises(UserError, match="no network checkpoint at"):
        load_network(tmp_path / "absent.npz")


def test_inconsistent_networks_are_refused(network, tmp_path):
    first = network.mac_nodes[0]
    bad = {
        "weight scales": replace(first, weight_scale=np.full(16, np.nan)),
        "outputs, bias": replace(first, bias=first.bias[:3]),
        "no earlier node makes": replace(first, source="nowhere"),
        "output scale": replace(first, output_scale=float("inf")),
        "shift outside": replace(first, requant=replace(first.requant, shift=first.requant.shift * 0)),
        "clamp": replace(first, requant=replace(first.requant, lo=3, hi=2)),
        "padding 200; a code is -128..127": replace(first, input_zero_point=200),
        "padding -129;": replace(first, input_zero_point=-129),
        "input_zero_point is 0.5; whole": replace(first, input_zero_point=0.5),
        "stride is": replace(first, stride=(1, 1.0)),
        r"groups is \(\); it should be int": replace(first, groups=()),
        "stride is .* it should be tuple": replace(first, stride=(1,)),
        "clamp 5..-5": Add(first.name, ("input", "input"), (1, 1), 8, 1.0, lo=5, hi=-5),
        "grid -1": Add(first.name, ("input", "input"), (1, 1), 8, 1.0, grid=-1),
        "requant: lo is": replace(first, requant=replace(first.requant, lo=-128.0)),
        "padding 128;": replace(first, requant=replace(first.requant, zero_point=128)),
        "padding 300;": Pad(first.name, first.source, (1, 1, 1, 1), 300, 1.0),
        "padding 129;": Add(first.name, ("input", "input"), (1, 1), 8, 1.0, input_zero_points=(0, 129)),
    }
    for message, node in bad.items():
        path = tmp_path / "bad.npz"
        save_network(network.with_nodes({first.name: node}), path)
        with pytest.raises(UserError, match=message):
            load_network(path)
    save_network(replace(network, input_zero_point=-200), path)
    with pytest.raises(UserError, match="padding -200;"):
        load_network(path)


# ---- histograms


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_joint_histogram_counts_every_product(groups):
    x = RNG.integers(-5, 9, (2, 4, 6, 5)).astype(np.int8)
    weights = RNG.integers(-127, 128, (8, 4 // groups, 3, 3)).astype(np.int8)
    requant = Requant(np.ones(1, np.int32), np.ones(1, np.int32))
    scale, padding = np.ones(8), (1, 0, 1, 1)
    node = Conv("c", "input", weights, np.zeros(8, np.int32), requant, scale, 1.0, (2, 1), padding, groups)
    expected = np.zeros((256, 256))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (1, 1)))
    for o in range(8):
        for c in range(4 // groups):
            for ky in range(3):
                for kx in range(3):
                    seen = padded[:, o // (8 // groups) * (4 // groups) + c, ky : ky + 5 : 2, kx : kx + 5]
                    np.add.at(expected, (seen.ravel().astype(int) + 128, int(weights[o, c, ky, kx]) + 128), 1)
    joint = joint_of(node, tap_histograms(node, x))
    assert np.array_equal(joint, expected)
    values = np.arange(-128, 128)
    assert values @ joint @ values == ExactEngine()(x, weights, (2, 1), padding, groups).sum()


def test_histogram_round_trip(network, images, tmp_path):
    found = measure(network, images[:3], ExactEngine())
    macs = sum(v.sum() for v in found.layers.values())
    assert found.joint.sum() == macs and macs == 3 * 12_239_488  # ResNet-8 on 32 x 32 pixels
    found.save(tmp_path / "h.npz")
    again = load_histogram(tmp_path / "h.npz")
    assert np.array_equal(again.joint, found.joint) and list(again.inputs) == list(found.inputs)
    with np.load(tmp_path / "h.npz") as archive:
        assert archive["joint"].shape == (256, 256) and archive["joint"].dtype == np.float64


def test_bad_histograms_are_refused(tmp_path):
    good = np.ones((256, 256))
    bad = {
        "expected \\(256, 256\\)": good[:255],
        "no products": good * 0,
        "non-finite": good * np.nan,
        "negative": -good,
    }
    for message, joint in bad.items():
        with pytest.raises(UserError, match=message):
            check_joint(joint, "histogram.npz")
        path = tmp_path / "h.npz"
        JointHistogram({"a": joint}, {"a": np.ones((3, 256))}, "n", "", 1).save(path)
        with pytest.raises(UserError, match=message):
            load_histogram(path)
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match="damaged or no histogram"):
        load_histogram(path)


# ---- correction of bias and gain


class Truncated:
    """Stands in for an encoding: products with their low bits cut, and too small."""

    name, row_constants = "truncated", np.zeros(256, np.int32)
    array_table = ((exact_table() * 3 // 4) >> 7) << 7


def test_exact_encoding_changes_nothing(network, images):
    encoding = load_encoding("exact64")
    corrected = corrected_network(network, encoding, images[:4], rounds=1)
    assert all(np.array_equal(a.bias, b.bias) for a, b in zip(network.mac_nodes, corrected.mac_nodes, strict=True))
    result = corrected.run(images, encoding_engine(encoding))
    assert np.array_equal(result, network.run(images, ExactEngine()))


def test_correction_centres_and_scales_the_first_layer(network, images):
    """Over the images measured: the mean as the exact sums' in every channel, and a slope of one."""
    node, codes = network.mac_nodes[0], network.quantise_input(images)
    engine = encoding_engine(Truncated)
    corrected = corrected_network(network, Truncated, images, rounds=1).mac_nodes[0]
    exact, encoded = node.accumulate(codes, ExactEngine()), corrected.accumulate(codes, engine).astype(np.float64)
    factors = [n.requant.multiplier * 2.0 ** -n.requant.shift.astype(float) for n in (corrected, node)]
    encoded *= (factors[0] / factors[1])[None, :, None, None]
    assert np.allclose(exact.mean(axis=(0, 2, 3)), encoded.mean(axis=(0, 2, 3)), atol=1)
    for channel in range(exact.shape[1]):
        slope = np.polyfit(exact[:, channel].ravel(), encoded[:, channel].ravel(), 1)[0]
        assert slope == pytest.approx(1, abs=1e-3)


def test_correction_helps_the_network(network, images):
    expected = network.run(images, ExactEngine())
    engine = encoding_engine(Truncated)

    def error(candidate: QuantNetwork) -> float:
        return float(np.abs(candidate.run(images, engine) - expected).mean())

    plain, bias, gain = (
        error(corrected_network(network, Truncated, images, scope=scope)) for scope in ("none", "bias", "gain")
    )
    assert gain < bias < plain


def test_constants_of_the_weights_go_into_the_bias(network):
    class Shifted(Truncated):
        row_constants = np.arange(-128, 128, dtype=np.int32) * 2 + 3  # 2 w + 3

    linear, was = (n.mac_nodes[-1] for n in (offset_network(network, Shifted), network))
    assert isinstance(linear, Linear)
    assert np.array_equal(linear.bias, was.bias + 2 * was.weights.astype(int).sum(1) + 3 * 64)


def test_bad_correction_is_refused(network, images):
    with pytest.raises(UserError, match="unknown correction 'tap'"):
        corrected_network(network, Truncated, images, scope="tap")
    with pytest.raises(UserError, match="no images"):
        corrected_network(network, Truncated, images[:0])


# ---- the shipped network


@pytest.mark.skipif(not have_cifar("cifar10"), reason="no CIFAR-10 data; set ENCMAC_DATA")
@pytest.mark.skipif(not (ZOO / "resnet20_cifar10.npz").exists(), reason="no shipped checkpoint")
def test_shipped_network_classifies():
    from models.datasets import load_cifar

    network = load_network("resnet20_cifar10")
    test = load_cifar("cifar10", "test")
    top1 = network.top1(test.images[:200], test.labels[:200], TableEngine(exact_table(), threads=1))
    assert top1 > network.provenance["figures"]["int8_top1"] - 0.05
    assert network.mean == network_spec("resnet20_cifar10").mean


@pytest.mark.parametrize("command", [models.quant.__main__, models.quant.histogram, models.accuracy, models.replay])
def test_commands_fail_with_one_line(command, tmp_path, monkeypatch, capsys):
    missing = str(tmp_path / "none.npz")
    words = ["--net", missing]
    if command is models.quant.__main__:
        words = ["--net", "resnet20_cifar10", "--float", missing]
    if command is models.accuracy:
        words += ["--encoding", "exact64"]
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit) as stop:
        run_cli(command.main)
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert message.startswith("encmac: error: ") and "none.npz" in message and message.count("\n") == 1
