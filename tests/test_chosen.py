"""Encodings for weights that will be chosen: the noise to expect, the exchange of bits, targets of several networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.errors import UserError
from models.encoding import load_encoding
from models.rivals import rival
from models.search import chosen
from models.search.anneal import Task
from models.search.chosen import Columns, assign, chosen_noise, search_chosen, slopes, wires
from models.search.cost import column_cost
from models.search.presets import Options, search
from models.search.select import Choice
from models.search.target import Layers, Target, error_kept, load_target, merged

A = np.arange(-128, 128)
PRODUCT = np.multiply.outer(A, A)


def quiet(_stage: str, _error: float) -> None:
    pass


@pytest.fixture(scope="module")
def layers() -> Layers:
    """Three layers: activations of both signs, and two after a ReLU; weights of bell shape; each counts 1."""
    signed = np.exp(-np.abs(A) / 40.0)
    after_relu = [np.where(A >= 0, np.exp(-A / scale), 0) + 40 * (A == 0) for scale in (10.0, 25.0)]
    activations = np.stack([signed, *after_relu])
    activations /= activations.sum(1, keepdims=True)
    weights = np.stack([np.exp(-((A / width) ** 2) / 2) for width in (45.0, 35.0, 30.0)])
    variance = activations @ A**2 - (activations @ A) ** 2
    weights /= (weights @ A**2 * variance)[:, None]
    return Layers(activations, weights, np.array([0.15, 0.4, 0.5]), np.zeros((256, 256)))


def test_exact_products_have_their_slope_and_no_spread(layers):
    alpha, spread = slopes(PRODUCT.astype(np.float64), layers)
    np.testing.assert_allclose(alpha, np.broadcast_to(A, alpha.shape), atol=1e-9)
    assert spread.max() < 1e-6
    assert chosen_noise(PRODUCT, layers) < 1e-3


def test_noise_to_expect_is_brute_force(layers):
    """One layer, one scale: every weight with the code that costs least."""
    table = load_encoding("m12p").product_table.astype(float)
    one = Layers(layers.activations[1:2], layers.weights[1:2], layers.kept[1:2], layers.coherent)
    found = assign(table, one)
    p, total = one.activations[0], 0.0
    variance = p @ A**2 - (p @ A) ** 2
    for w, share in zip(A, one.weights[0], strict=True):
        costs = []
        for column in table.T:
            slope = p @ ((A - p @ A) * column) / variance
            rest = column - p @ column - slope * (A - p @ A)
            costs.append(one.kept[0] * variance * (found.scales[0] * w - slope) ** 2 + p @ rest**2)
        total += share * min(costs) / found.scales[0] ** 2
    assert found.noise == pytest.approx(total, rel=1e-9)


def test_rivals_are_ranked(layers):
    noise = [chosen_noise(rival(*bits).product_table, layers) for bits in ((6, 8), (5, 8), (4, 8), (4, 7), (4, 6))]
    assert noise == sorted(noise)


@pytest.mark.parametrize("weight_bits", [3, 4, 5])
def test_search_starts_from_exact_products(layers, weight_bits):
    columns = Columns(layers, weight_bits)
    exchange = columns.exchange(columns.first_assignment(), 3.0)
    choice = Choice(*columns.start, exchange.error(*columns.start))
    table = columns.table(choice, columns.function_of_a(choice))
    left = table - np.multiply.outer(A, columns.codes)
    alpha, spread = slopes(left, layers)
    assert spread.max() < 0.01  # a line in every column, a level, but for f(a) in integers; levels are 8 or more apart
    assert np.ptp(alpha, axis=1).max() < 1e-6  # all levels moved alike
    assert len(choice.chosen) == weight_bits // 2 * 9 + weight_bits % 2 * 8


def test_error_of_an_exchange_is_the_noise_of_its_products(layers):
    columns = Columns(layers, 4)
    given = columns.first_assignment()
    exchange = columns.exchange(given, 3.0)
    choice = exchange.leave_out(Choice(*columns.start, exchange.error(*columns.start)), 12, quiet)
    alpha, spread = slopes(columns.table(choice, columns.function_of_a(choice)), layers)
    variance = layers.activations @ A**2 - (layers.activations @ A) ** 2
    at = np.arange(len(variance))[:, None], given.columns
    cost = layers.kept[:, None] * (A - alpha[at]) ** 2 + spread[at]
    direct = (layers.weights * cost).sum(1) @ variance
    assert choice.error + exchange.base == pytest.approx(direct, rel=0.02)  # f(a) in integers


def test_fewer_bits_cost_less_and_err_more(layers):
    found = [search_chosen("x", m, layers, quiet, kicks=3) for m in (16, 13, 10)]
    noise, areas = (
        [f(e) for e in found] for f in (lambda e: chosen_noise(e.product_table, layers), lambda e: column_cost(e).total)
    )
    assert noise == sorted(noise) and areas == sorted(areas, reverse=True)
    assert search_chosen("x", 10, layers, quiet, kicks=3) == found[-1]
    for encoding in found:
        assert encoding.is_power_of_two
        read = {wire for gate in encoding.row_gates for wire in (gate.x, gate.y)}
        assert not read & set(range(8, 12))  # four bits of a weight
        held, _ = encoding.operands
        assert {wire for wire, _ in encoding.shared_bits()} <= set(held)  # f(a) reads what the rows read


def test_search_beats_the_rival_of_as_many_bits(layers):
    found = search_chosen("x", 14, layers, quiet, kicks=10, restarts=3)
    other = rival(4, 6)
    assert found.m == other.m
    assert column_cost(found).total < column_cost(other).total
    assert chosen_noise(found.product_table, layers) < chosen_noise(other.product_table, layers)


def test_preset_and_wrong_requests(layers):
    target = Target(layers.joint(), layers=layers)
    options = Options(Task(12, "pow2", restarts=1), kicks=2)
    found = search("chosen", "x", target, options, quiet)
    assert 0 < found.figures["noise_chosen"] < found.figures["noise"]
    for wrong, words in (
        (lambda: search("chosen", "x", Target(layers.joint()), options, quiet), "layers of a network"),
        (lambda: search("chosen", "x", target, replace(options, task=Task(12)), quiet), "powers of two"),
        (lambda: search("chosen", "x", target, replace(options, task=Task(19, "pow2")), quiet), "M = 19"),
        (lambda: search_chosen("x", 12, layers, quiet, weight_bits=2), "2 bits of a weight"),
    ):
        with pytest.raises(UserError, match=words):
            wrong()


def test_layers_alike_are_merged(layers):
    twice = Layers(
        *(np.concatenate([v, v]) for v in (layers.activations, layers.weights, layers.kept)), layers.coherent
    )
    found = merged(twice, 3)
    assert len(found.kept) == 3
    np.testing.assert_allclose(found.joint(), layers.joint(), atol=1e-12)
    assert chosen_noise(load_encoding("m12p").product_table, found) == pytest.approx(
        2 * chosen_noise(load_encoding("m12p").product_table, layers)
    )


def test_error_kept_of_alike_activations():
    rng = np.random.default_rng(1)
    alone = rng.integers(-100, 100, (4000, 1, 8))
    alike = alone[:, :, :1] + rng.integers(-5, 5, (4000, 1, 8))
    assert error_kept(alone) > 0.95
    assert error_kept(alike) < 0.2


def test_target_of_several_networks(tmp_path, layers):
    arrays = {"joint": layers.joint(), "coherent": layers.coherent, "sensitivity": np.ones(3)}
    arrays |= {"activations": layers.activations, "weights": layers.weights, "kept": layers.kept}
    paths = [tmp_path / "one.npz", tmp_path / "other.npz"]
    for path, scale in zip(paths, (1, 5), strict=True):  # noise in the second counts five times in all its layers
        scaled = {
            k: v * scale if k in ("joint", "coherent", "sensitivity", "weights") else v for k, v in arrays.items()
        }
        np.savez(path, **scaled)
    both, one = load_target(paths), load_target(paths[0])
    np.testing.assert_allclose(both.layers.joint(), one.layers.joint())
    assert len(both.layers.kept) == 6 and both.layers.weights.sum() == pytest.approx(one.layers.weights.sum() / 3)
    np.savez(paths[1], **(arrays | {"kept": np.ones((3, 2))}))
    with pytest.raises(UserError, match="'kept'"):
        load_target(paths)
    np.savez(paths[1], joint=layers.joint())
    assert load_target(paths[1]).layers is None


def test_command_line_compares(tmp_path, layers, monkeypatch, capsys):
    arrays = {"joint": layers.joint(), "coherent": layers.coherent, "sensitivity": np.ones(3)}
    arrays |= {"activations": layers.activations, "weights": layers.weights, "kept": layers.kept}
    np.savez(tmp_path / "one.npz", **arrays)
    monkeypatch.setattr(chosen, "measured_target", lambda _net, _data: tmp_path / "one.npz")
    monkeypatch.setattr("sys.argv", ["chosen", "--net", "resnet20_cifar10", "--encodings", "w4a6,w4a8,c14p"])
    chosen.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["w4a8", "c14p", "w4a6"]
    np.savez(tmp_path / "one.npz", joint=layers.joint())
    with pytest.raises(UserError, match="older version"):
        chosen.main()


def test_wires_of_a_circuit():
    assert wires(("or", ("and", 3, 12), 15)) == 1 << 3 | 1 << 12 | 1 << 15
