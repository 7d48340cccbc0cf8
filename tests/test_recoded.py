"""Radix-4 product bits, the basis of arbitrary functions, f(a), and what the library promises."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from common.errors import UserError
from models.datasets import have_cifar
from models.encoding import WEIGHT, library_names, load_encoding
from models.search.anneal import Task
from models.search.baselines import AND_BITS, truncated_xnor, with_f
from models.search.cost import coefficients, column_cost
from models.search.histogram import joint_distribution
from models.search.pool import circuit_table, first_level, pool_of, table_pool
from models.search.presets import Options, search
from models.search.recoded import (
    ROW_BITS,
    SYSTEMS,
    digits,
    independent,
    product_bit,
    search_recoded,
)
from models.search.select import Selector
from models.search.target import Target

OPERANDS = np.arange(-128, 128)
PRODUCT = np.multiply.outer(OPERANDS, OPERANDS)


def quiet(_stage: str, _error: float) -> None:
    pass


@pytest.fixture(scope="module")
def target() -> Target:
    rng = np.random.default_rng(7)
    a = np.exp(-np.abs(OPERANDS) / 12.0) * np.where(OPERANDS < 0, 0.05, 1.0)
    joint = joint_distribution(np.outer(a, np.exp(-np.abs(OPERANDS) / 30.0)) * rng.uniform(0.5, 1.5, (256, 256)))
    root = rng.standard_normal((256, 4))
    root -= root.mean(0)
    return Target(joint, root @ root.T / 1000, 0.5)


@pytest.mark.parametrize("system", SYSTEMS)
def test_digits_stand_for_the_weight(system):
    number = digits(system)
    value = np.zeros(256, int)
    for j, digit in enumerate(number):
        one, two, neg = (circuit_table(c)[0].astype(int) for c in (digit.one, digit.two, digit.neg))
        neg = 1 - neg if digit.inverted else neg
        assert not (one & two).any() and not (neg & ~(one | two) & 1).any()
        value += 4**j * (one + 2 * two) * (1 - 2 * neg)
    assert (value == OPERANDS - (42 if system == "plain" else 0)).all()


@pytest.mark.parametrize(("system", "held"), [("booth", 12), ("signed", 9), ("plain", 8)])
def test_36_bits_are_exact(system, held, target):
    encoding = search_recoded("x", 36, target, quiet, system)
    assert (encoding.product_table == PRODUCT).all()
    assert encoding.is_power_of_two
    assert len(encoding.operands[1]) == held
    assert bool(encoding.shared_bits()) == (system == "plain")
    if system != "plain":
        assert encoding.array_table[:, 128].any() == 0  # a weight of 0 adds nothing


def test_tables_and_walsh_functions_agree(target):
    circuits = first_level()
    tables, moments = table_pool(circuits, target)
    walsh = pool_of(circuits, target.moments())
    assert moments.power == pytest.approx(target.moments().power, rel=1e-9)
    one, other = Selector(tables, moments), Selector(walsh, target.moments())
    at = {circuit: n for n, circuit in enumerate(walsh.circuits)}
    some = [n for n, circuit in enumerate(tables.circuits) if circuit in at][:30]
    same = [at[tables.circuits[n]] for n in some]
    np.testing.assert_allclose(one.correlation[some], other.correlation[same], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        [one.column(n)[some] for n in some], [other.column(n)[same] for n in same], rtol=1e-8, atol=1e-10
    )
    assert one.greedy(12, quiet).error == pytest.approx(other.greedy(12, quiet).error, rel=1e-6)


def test_free_functions_are_taken_out(target):
    circuits = [("and", i, 8 + j) for i in range(8) for j in range(4, 8)]
    pool, moments = table_pool(circuits, target, range(8))
    selector = Selector(pool, moments)
    choice = selector.fit(list(range(len(pool))))
    tables = [*(circuit_table(c) for c in pool.circuits), *(circuit_table(c) for c in range(8))]
    gram = target.gram([*tables, PRODUCT])
    solved = np.linalg.lstsq(gram[:-1, :-1], gram[:-1, -1], rcond=1e-12)[0]
    best = gram[-1, -1] - solved @ gram[:-1, -1]
    assert choice.error == pytest.approx(best, rel=1e-6)
    bare, moments = table_pool(circuits, target)
    assert Selector(bare, moments).fit(list(range(len(bare)))).error > choice.error


def test_gram_is_brute_force(target):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 256, 256))
    gram = target.gram([x, y])
    centred = [target._centred(v) for v in (x, y)]
    expected = [[target._inner(u, v) for v in centred] for u in centred]
    np.testing.assert_allclose(gram, expected, rtol=1e-9)


def test_fewer_bits_cost_less_and_err_more(target):
    found = [search_recoded("x", m, target, quiet, "plain", kicks=5) for m in (28, 20, 14)]
    errors = [target.noise(e.product_table) for e in found]
    assert errors == sorted(errors) and errors[0] > 0
    areas = [column_cost(e).total for e in found]
    assert areas == sorted(areas, reverse=True)
    repeated = search_recoded("x", 14, target, quiet, "plain", kicks=5)
    assert repeated == found[-1]


def test_error_of_the_search_is_that_of_the_encoding(target):
    seen = []
    encoding = search_recoded("x", 18, target, lambda stage, error: seen.append(error), "booth", kicks=3)
    error = target._centred(encoding.product_table - PRODUCT)
    fitted = target.gram([error], [circuit_table(i) for i in range(8)])[0, 0]
    assert fitted == pytest.approx(seen[-1], rel=1e-6)
    assert target._inner(error, error) == pytest.approx(fitted, rel=0.01)  # f(a) in integers


def test_a_row_holds_what_its_bits_read(target):
    encoding = search_recoded("x", 20, target, quiet, "booth", kicks=0, correct_a=False)
    assert not encoding.shared_bits()
    assert all(encoding.depends[wire] == WEIGHT for wire in encoding.stored)
    read = {wire for gate in encoding.row_gates for wire in (gate.x, gate.y)}
    assert set(encoding.stored) <= read | set(encoding.bits)


def test_presets_and_wrong_requests(target):
    options = Options(Task(16, "pow2", seed=1), kicks=2)
    found = search("radix4", "x", target, options, quiet)
    assert found.m == 16 and found.figures["noise"] > 0
    for call in (
        lambda: search("radix4", "x", target, replace(options, task=Task(16)), quiet),
        lambda: search("booth", "x", target, replace(options, task=Task(40, "pow2")), quiet),
        lambda: search_recoded("x", 20, target, quiet, "radix8"),
        lambda: search_recoded("x", 20, target, quiet, "plain", correct_a=False),
    ):
        with pytest.raises(UserError):
            call()


def test_constants_are_independent():
    number = digits("booth")
    found = independent([number[1].one, number[1].neg, number[1].one, ("not", number[1].neg, 0)], {})
    assert found == [number[1].one, number[1].neg]


def test_f_of_the_activation_makes_an_xnor_array_better():
    plain = truncated_xnor(8)
    better = with_f(plain)
    errors = [np.square(e.product_table - PRODUCT).mean() for e in (plain, better)]
    assert errors[1] < errors[0]
    assert better.shared_bits() and column_cost(better).shared > 0 == column_cost(plain).shared


def test_an_or_of_two_ands_is_one_cell(target):
    encoding = search_recoded("x", 36, target, quiet, "signed", correct_a=False)
    area = coefficients()
    bit = product_bit(digits("signed")[1], 3)
    assert bit[1][0] == "or"
    plain = sum(area[gate.op] for gate in encoding.row_gates)
    pairs = 4 * (ROW_BITS - 2)
    saved = pairs * (area["or"] + 2 * area["and"] - area["and_or"])
    encoder = column_cost(encoding).gates / area["factor_gates"] - 64 * (plain - saved)
    assert 0 < encoder < 2000


@pytest.mark.parametrize("m", AND_BITS)
def test_library_beats_truncated_and_arrays(m):
    """At every M: no more bits, less area, a smaller largest error, half the RMSE or less."""
    rival = load_encoding(f"and{m}")

    def beats(name: str) -> bool:
        encoding = load_encoding(name)
        ours, theirs = encoding.figures, rival.figures
        return (
            encoding.m <= m
            and ours["column_area_um2"] < theirs["column_area_um2"]
            and ours["max_relative_error"] < theirs["max_relative_error"]
            and 2 * ours["errors"]["uniform"]["rmse"] <= theirs["errors"]["uniform"]["rmse"]
        )

    assert any(beats(name) for name in library_names())
    assert not beats(rival.name)


@pytest.mark.skipif(not have_cifar("cifar10"), reason="no CIFAR-10")
@pytest.mark.parametrize("name", ["m12p", "m20p"])
def test_default_search_is_no_worse_than_the_library(name, tmp_path):
    """`make search NET=resnet20_cifar10 M=..` as documented: noise and modelled area of what ships."""
    shipped = load_encoding(name)
    command = ["--net", "resnet20_cifar10", "-M", str(shipped.m), "--name", "mine", "--out", str(tmp_path), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "models.search", *command], check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    figures = load_encoding(tmp_path / "mine.json").figures
    assert figures["noise"] <= 1.001 * shipped.figures["noise"]
    assert figures["column_area_um2"] <= shipped.figures["column_area_um2"]
