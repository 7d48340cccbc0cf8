"""Weight codes chosen for products, activations on a coarser grid, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.errors import UserError
from models.emulate import ExactEngine, TableEngine, exact_table
from models.encoding import load_encoding
from models.networks import network_spec
from models.networks.resnet import CifarResNet
from models.quant.arith import requantise
from models.quant.checkpoint import fingerprint, load_network, save_network
from models.quant.choose import (
    Chosen,
    Levels,
    Settings,
    Statistics,
    Windows,
    choose,
    chosen_node,
    divergence,
    exchange,
    feedback,
    inverse_factor,
    other_operand,
    sample,
    statistics,
)
from models.quant.convert import convert
from models.quant.correct import corrected_network, corrected_node, encoding_engine
from models.quant.graph import Conv, Linear
from models.quant.grid import ignored_bits, on_grid
from models.quant.nodes import Add, Requant, Rescale
from models.quant.prepare import check_origin, prepare, rounded_network

torch.set_num_threads(1)
RNG = np.random.default_rng(11)
NET = "resnet20_cifar10"
SMALL = Settings(windows=512, passes=2)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    images = RNG.integers(0, 256, (8, 3, 32, 32)).astype(np.uint8)
    return convert(CifarResNet(8, 10), network_spec(NET), NET, images, quiet=True)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)


# ---- activations on a grid


@pytest.mark.parametrize("grid", [1, 2])
@pytest.mark.parametrize("zero_point", [0, -8, 3])
def test_requantiser_of_a_grid_is_a_coarser_one_times_the_step(grid, zero_point):
    """What a tile engine does: sums plus offsets, `grid` more bits of shift, clamp; then the result's place."""
    requant = Requant(np.array([1 << 30, 3 << 28], np.int32), np.array([38, 39], np.int32), -8, 101, zero_point)
    requant = replace(requant, grid=grid)
    acc = RNG.integers(-40_000, 40_000, (7, 2, 5)).astype(np.int32)
    found = requant(acc).astype(int)
    coarse = requant.coarse()
    sums = acc + np.broadcast_to(requant.offsets, 2)[:, None]
    expected = requantise(
        sums, coarse.multiplier[:, None], coarse.shift[:, None], coarse.lo, coarse.hi, coarse.zero_point
    )
    assert np.array_equal(found, expected.astype(int) << grid)
    assert not (found % (1 << grid)).any()
    real = acc * requant.factors[:, None] + zero_point
    inside = (real > -8 + (1 << grid)) & (real < 101 - (1 << grid))
    assert inside.any() and np.abs(found - real)[inside].max() <= (1 << grid) / 2 + 0.01


def test_every_operand_of_a_layer_is_on_the_grid(network, images):
    seen = {}
    coarse = on_grid(network, 2)
    coarse.run(images[:2], ExactEngine(), lambda node, x: seen.setdefault(node.name, x))
    assert len(seen) == len(network.mac_nodes)
    assert all(not (x.astype(int) % 4).any() and x.any() for x in seen.values())
    assert any(isinstance(n, Add) and n.grid == 2 for n in coarse.nodes) and coarse.input_grid == 2
    assert on_grid(network, 0) is network
    with pytest.raises(UserError, match="lowest 9 bits"):
        on_grid(network, 9)


@pytest.mark.parametrize(("multiplier", "shift"), [(0, 62), (1 << 30, 61)])
def test_a_channel_that_adds_nothing_adds_nothing_on_a_grid(network, tmp_path, multiplier, shift):
    """A factor so small that all sums become 0: two bits more of shift would leave 64 bits, and 0 became -4."""
    node = network.mac_nodes[0]
    m, s = node.requant.multiplier.copy(), node.requant.shift.copy()
    m[0], s[0] = multiplier, shift
    tiny = network.with_nodes({node.name: replace(node, requant=replace(node.requant, multiplier=m, shift=s, lo=-128))})
    save_network(on_grid(tiny, 2), tmp_path / "tiny.npz")
    requant = load_network(tmp_path / "tiny.npz").mac_nodes[0].requant
    sums = np.array([-(2**31) + 1, -1000, 0, 1000, 2**31 - 1])[:, None, None] * np.ones((1, len(m), 1), int)
    assert not requant(sums)[:, 0].any() and requant(sums)[:, 1].any()


@pytest.mark.parametrize(("name", "bits"), [("exact64", 0), ("w4a8", 0), ("w5a7", 1), ("w4a6", 2), ("xnor21", 2)])
def test_bits_that_are_not_read(name, bits):
    assert ignored_bits(load_encoding(name)) == bits


# ---- steps of the choice


def test_levels_are_the_codes_that_differ():
    levels = Levels.of(load_encoding("w4a8").array_table)
    assert levels.codes.tolist() == list(range(-128, 128, 16))
    assert np.array_equal(levels.products, np.outer(np.arange(-128, 128), levels.codes))
    assert len(Levels.of(exact_table()).codes) == 256


def test_inverse_factor():
    x = RNG.normal(size=(2, 9, 40))
    signal = x @ x.transpose(0, 2, 1)
    upper = inverse_factor(signal)
    assert np.allclose(upper.transpose(0, 2, 1) @ upper @ signal, np.eye(9), atol=1e-8)
    assert np.array_equal(np.triu(upper), upper)


def made_windows(groups: int, taps: int, outputs: int, samples: int = 400) -> tuple[Windows, np.ndarray]:
    rng = np.random.default_rng(taps)
    mixed = rng.normal(size=(groups, taps, 3)) @ rng.normal(size=(groups, 3, samples)) * 12
    codes = np.clip(np.rint(np.maximum(mixed + rng.normal(size=mixed.shape) * 4, 0)), 0, 127).astype(np.int64)
    own = rng.integers(-100, 101, (groups, outputs, taps)).astype(np.int8)
    return Windows((codes + 128).astype(np.uint8), own.astype(np.float64) @ codes, np.arange(samples)), own


def missed(windows: Windows, weights: np.ndarray, engine: TableEngine) -> np.ndarray:
    """Mean square error of each channel."""
    return ((windows.centred.reshape(len(weights), -1) - windows.encoded(weights, engine)) ** 2).mean(1)


@pytest.mark.parametrize(("groups", "taps", "outputs"), [(1, 200, 6), (12, 9, 1), (2, 18, 3)])
@pytest.mark.parametrize("name", ["w4a8", "m12p"])
def test_each_step_lowers_the_error(groups, taps, outputs, name):
    """Against nearest levels; grouped and depthwise layers, more taps than a block."""
    encoding = load_encoding(name)
    engine, levels = encoding_engine(encoding), Levels.of(encoding.array_table)
    windows, own = made_windows(groups, taps, outputs)
    found = statistics(windows, levels, 0.01)
    scale = np.ones(groups * outputs)
    nearest = np.abs(found.slopes[:, None] - own[..., None]).argmin(3).reshape(-1, taps)
    (level,) = feedback(windows, found, own, scale[None])
    better = exchange(windows, found, levels, own, level, scale, engine, 3)
    errors = [missed(windows, levels.weights(one), engine).sum() for one in (nearest, level, better)]
    assert errors[1] < errors[0] and errors[2] <= 1.001 * errors[1]  # the damping may cost a little


def test_exchange_does_not_depend_on_threads_and_ends_where_no_single_change_helps(monkeypatch):
    encoding = load_encoding("w4a8")
    engine, levels = encoding_engine(encoding), Levels.of(encoding.array_table)
    windows, own = made_windows(1, 12, 5)
    found = statistics(windows, levels, 0.0)
    level, scale = np.full((5, 12), 8), np.ones(5)
    first = exchange(windows, found, levels, own, level, scale, engine, 50)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert np.array_equal(first, exchange(windows, found, levels, own, level, scale, engine, 50))
    least = missed(windows, levels.weights(first), engine)
    for tap in range(12):
        for code in range(16):
            other = first.copy()
            other[:, tap] = code
            assert (missed(windows, levels.weights(other), engine) >= least - 0.02 * least - 1).all()


def test_statistics_of_taps_that_never_vary():
    """A tap that is always 0 has the slopes of the layer, not none."""
    windows, _ = made_windows(1, 6, 2)
    windows.codes[0, 3] = 128
    found: Statistics = statistics(windows, Levels.of(load_encoding("w4a8").array_table), 0.01)
    assert np.allclose(found.slopes[0, 3], np.arange(-128, 128, 16)) and np.isfinite(found.noise).all()


def test_what_an_addition_lost_changes_the_bias_and_not_the_gain(network, monkeypatch):
    monkeypatch.setattr("models.quant.choose.choose_codes", lambda node, *_: (node.weights, 1.0, (0.0, 0.0)))
    node = next(n for n in network.mac_nodes if n.weights.shape[2:] == (3, 3) and n.weights.shape[1] > 3)
    x = RNG.integers(0, 90, (24, node.weights.shape[1], 8, 8)).astype(np.int8)
    sums = node.accumulate(x, ExactEngine())
    lost = np.rint(RNG.normal(size=sums.shape) * 2 * sums.std() + 500).astype(np.int32)
    engine, levels, done = TableEngine(exact_table(), threads=1), Levels.of(exact_table()), Chosen()
    parts = [slice(0, 12), slice(12, 24)]
    found = chosen_node(node, node.weights, x, sums, sums + lost, levels, engine, SMALL, parts, done, False)
    assert np.allclose(found.requant.factors / node.requant.factors, 1)
    assert np.allclose(found.bias - node.bias, lost.mean((0, 2, 3)), atol=1)


def test_held_out_windows_are_of_other_images(network):
    node = next(n for n in network.mac_nodes if n.weights.shape[2:] == (3, 3))
    x = np.zeros((8, node.weights.shape[1], 6, 6), np.int8) + np.arange(8, dtype=np.int8)[:, None, None, None]
    windows = sample(node, x, node.accumulate(x, ExactEngine()), replace(SMALL, windows=64))
    assert windows.image.tolist() == np.repeat(np.arange(8), 8).tolist()
    seen = windows.codes.max(1)[0].astype(int) - 128
    assert np.array_equal(seen, windows.image)
    part = windows.part(windows.image == 5)
    assert part.codes.shape[2] == 8 and (part.image == 5).all()


def test_divergence():
    scores = RNG.normal(size=(5, 4))
    assert divergence(scores, scores + 3) == pytest.approx(0)
    assert divergence(np.array([[0.0, 0.0]]), np.array([[np.log(3.0), 0.0]])) == pytest.approx(
        0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    )


# ---- whole networks


def test_chosen_networks_are_nearer_to_the_exact_one(network, images):
    encoding = load_encoding("w4a8")
    engine = encoding_engine(encoding)
    done = Chosen()
    rounded = rounded_network(network, encoding)
    chosen = choose(rounded, network, encoding, images, SMALL, done)
    corrected = corrected_network(rounded, encoding, images, 1, target=network)
    others = np.random.default_rng(4).integers(0, 256, (16, 3, 32, 32)).astype(np.uint8)
    wanted = network.run(others, ExactEngine())
    errors = [
        np.square(n.run(others, engine) * n.nodes[-1].output_scale / network.nodes[-1].output_scale - wanted).mean()
        for n in (corrected, chosen)
    ]
    assert errors[1] < 0.7 * errors[0]
    assert all(not (n.weights % 16).any() for n in chosen.mac_nodes)
    assert all(after <= before + 1e-12 for before, after in done.noise.values())


def test_exact_products_leave_a_network_as_it_is(network, images):
    chosen = choose(network, network, load_encoding("exact64"), images, SMALL)
    for a, b in zip(chosen.mac_nodes, network.mac_nodes, strict=True):
        assert np.array_equal(a.weights, b.weights) and np.abs(a.bias - b.bias).max() <= 1


def test_depthwise_layers_are_chosen(images):
    torch.manual_seed(2)
    name = "mobilenetv2_x0_5_cifar100"
    small = images[:8, :, :16, :16].copy()
    model = network_spec(name).build().train()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        model(torch.from_numpy(small).float() / 64 - 2)
    network = convert(model.eval(), network_spec(name), name, small, quiet=True)
    done = Chosen()
    choose(rounded_network(network, load_encoding("w4a7")), network, load_encoding("w4a7"), small, SMALL, done)
    grouped = [n.name for n in network.mac_nodes if isinstance(n, Conv) and n.groups > 1]
    before, after = (np.mean([done.noise[name][i] for name in grouped]) for i in (0, 1))
    assert len(grouped) == 17 and after < before


def test_prepared_networks_are_kept_go_on_and_are_refused_elsewhere(network, images, tmp_path, monkeypatch):
    encoding, held_out = load_encoding("w4a8"), images[::-1].copy()
    options = {"rounds": 1, "settings": SMALL, "folder": tmp_path}
    monkeypatch.setattr("models.quant.prepare.SAVE_SECONDS", -1.0)
    real, calls = interrupt_choice(monkeypatch), []
    with pytest.raises(KeyboardInterrupt):
        prepare(network, encoding, images, held_out, **options)
    assert len(list(tmp_path.glob("*.part.npz"))) == 1
    monkeypatch.setattr("models.quant.choose.choose_codes", lambda *a: calls.append(1) or real(*a))
    found = prepare(network, encoding, images, held_out, **options)
    assert len(calls) == len(network.mac_nodes) - 3 and not list(tmp_path.glob("*.part.npz"))
    monkeypatch.undo()
    whole = prepare(network, encoding, images, held_out, rounds=1, settings=SMALL, folder=tmp_path / "anew")
    assert fingerprint(whole.network) == fingerprint(found.network)  # interrupted or not
    assert found.way == "chosen" and found.figures["chosen"]["divergence"] < found.figures["corrected"]["divergence"]
    kept = prepare(network, encoding, images, held_out, **options)
    assert fingerprint(kept.network) == fingerprint(found.network)

    (path,) = tmp_path.glob("*-chosen-*.npz")
    for harm in (lambda: path.write_bytes(b"damaged"), lambda: save_network(network, path)):
        harm()  # a file that is none, a network that was chosen for nothing
        again = prepare(network, encoding, images, held_out, **options)
        assert fingerprint(again.network) == fingerprint(found.network), "made anew"
    file = load_network(path)
    check_origin(file, encoding)
    with pytest.raises(UserError, match=r"has weights for w4a8 \([0-9a-f]{12}\), not for m12p .*start from its base"):
        prepare(file, load_encoding("m12p"), images, held_out, **options)


def interrupt_choice(monkeypatch):
    """The real `choose_codes`; the one in its place is interrupted at the fourth layer."""
    import models.quant.choose as module

    real, count = module.choose_codes, []

    def interrupted(*arguments):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "choose_codes", interrupted)
    return real


def test_bad_images(network, images):
    encoding = load_encoding("w4a8")
    with pytest.raises(UserError, match=r"takes uint8 images \[N, 3, ...\]"):
        choose(network, network, encoding, images[:, :2], SMALL)
    with pytest.raises(UserError, match="averages 64 pixels, these images give 4 x 4"):
        choose(network, network, encoding, images[:, :, :16, :16], SMALL)
    with pytest.raises(UserError, match="3 images to choose weights on; give at least 4"):
        choose(network, network, encoding, images[:3], SMALL)
    with pytest.raises(UserError, match="same result for all 24 images"):
        choose(network, network, encoding, np.full_like(images, 7), SMALL)


def test_dead_channels_keep_their_codes(network, images, tmp_path, capsys):
    """Weights of 0: no sum varies, nothing to choose by, and no division by nothing."""
    first = network.mac_nodes[1]
    weights = first.weights.copy()
    weights[:2] = 0
    requant = replace(first.requant, multiplier=first.requant.multiplier.copy())
    requant.multiplier[0] = 0
    dead = network.with_nodes({first.name: replace(first, weights=weights, requant=requant)})
    done = Chosen()
    chosen = choose(dead, dead, load_encoding("m12p"), images, SMALL, done)
    assert done.still[first.name] == 2
    node = chosen.node(first.name)
    prepare(dead, load_encoding("m12p"), images, images, ("chosen",), settings=SMALL, label="m12p", folder=tmp_path)
    told = [line for line in capsys.readouterr().out.splitlines() if "never vary" in line]
    assert len(told) == 1 and f"{first.name} (2 of {len(first.bias)})" in told[0]
    assert np.array_equal(node.weights[:2], weights[:2]) and node.requant.multiplier[0] == 0
    assert isinstance(chosen.mac_nodes[-1], Linear) and isinstance(chosen.nodes[-1], Rescale)
    save_network(chosen, tmp_path / "chosen.npz")
    assert np.array_equal(*(n.run(images, ExactEngine()) for n in (chosen, load_network(tmp_path / "chosen.npz"))))


@pytest.mark.filterwarnings("error")
def test_a_bias_next_to_the_largest_keeps_its_gain(network):
    """A channel that training made a constant: a fifth of its gain would make five times its bias of 2^29."""
    node = network.mac_nodes[1]
    count = len(node.bias)
    mean_y, gain = np.full(count, 1000.0), np.full(count, 0.2)
    mean_y[3] = -(1 << 29)
    found = corrected_node(replace(node, bias=np.zeros_like(node.bias)), mean_y, np.zeros(count), gain, True)
    assert found.bias[3] == -(1 << 29) and found.bias[0] == 5000
    assert found.requant.multiplier[3] == node.requant.multiplier[3]
    assert found.requant.factors[0] == pytest.approx(0.2 * node.requant.factors[0], rel=1e-6)


def test_a_layer_makes_up_for_the_other_operand_within_its_range():
    """A factor next to none asks for sums that int32 does not hold; one of none for nothing."""
    node = SimpleNamespace(name="b", requant=SimpleNamespace(factors=np.array([1e-12, 0.5, 0.0])))
    network = SimpleNamespace(nodes=(SimpleNamespace(sources=("input",)), Add("sum", ("b", "a"), (1, 2), 0, 1.0)))
    wanted, found = {"a": np.full((1, 3, 1, 1), 100, np.int8)}, {"a": np.full((1, 3, 1, 1), -100, np.int8)}
    assert other_operand(network, node, wanted, found).ravel().tolist() == [2**30, 200 * 2 * 2, 0]
    assert other_operand(network, node, found, wanted).ravel().tolist() == [-(2**30), -200 * 2 * 2, 0]
    network.nodes += (SimpleNamespace(sources=("b",)),)  # goes elsewhere too
    assert other_operand(network, node, wanted, found) == 0
