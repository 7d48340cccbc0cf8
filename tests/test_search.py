"""Exact statistics and selection of product bits against brute force over all operand pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import models.quant.histogram as histogram_module
import models.search.__main__ as search_main
import models.search.target as target_module
from common.errors import UserError
from flows.synth.cost import fit_areas
from models.encoding import GATES, Encoding, Gate, load_encoding, signed_digits
from models.search import paper
from models.search.__main__ import check_name, default_name
from models.search.anneal import Task, allowed_weights, decode, start
from models.search.anneal import run as run_anneal
from models.search.assemble import build_encoding
from models.search.cost import coefficients, column_cost
from models.search.figures import table_errors
from models.search.histogram import check_histogram, joint_distribution, load_histogram
from models.search.moments import basis_masks, walsh_moments
from models.search.native import CODES, Schedule, TooWide, anneal, spectra
from models.search.paper import Genome, Score, evolve, random_genome, reference_objective, to_found
from models.search.paper import evaluate as score_genome
from models.search.pool import build_pool, first_level, pool_of
from models.search.positions import nearest_power, power_of_two_weights, round_weights
from models.search.presets import Options, search
from models.search.select import Selector
from models.search.target import Target

OPERANDS = np.arange(-128, 128)


def quiet(_stage: str, _error: float) -> None:
    pass


@pytest.fixture(scope="module")
def joint() -> np.ndarray:
    """A distribution like that of a network: many zeros, few negative activations, correlated with w."""
    rng = np.random.default_rng(7)
    a = np.exp(-np.abs(OPERANDS) / 12.0) * np.where(OPERANDS < 0, 0.05, 1.0)
    w = np.exp(-np.abs(OPERANDS) / 30.0)
    a[128] *= 20
    return joint_distribution(np.outer(a, w) * rng.uniform(0.5, 1.5, (256, 256)))


@pytest.fixture(scope="module")
def moments(joint):
    return walsh_moments(joint)


def evaluate(circuit, a, w):
    if isinstance(circuit, int):
        return ((a if circuit < 8 else w) >> (circuit & 7)) & 1
    op, x, y = circuit
    return GATES[op](evaluate(x, a, w), evaluate(y, a, w))


def run(command):
    """A command of the project; returns the finished process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def centred(values, joint):
    return values - (joint * values).sum(0) / joint.sum(0)


def test_moments_equal_brute_force(joint, moments):
    pool = build_pool(moments, 400, np.random.default_rng(1))
    some = np.random.default_rng(2).choice(len(pool), 25, replace=False).tolist()
    a, w = OPERANDS[:, None], OPERANDS[None, :]
    tables = [centred(evaluate(pool.circuits[n], a, w).astype(float) + np.zeros((256, 256)), joint) for n in some]
    target = centred(np.multiply.outer(OPERANDS, OPERANDS).astype(float), joint)
    rows = pool.rows(some, len(moments.masks))
    expected = np.array([[(joint * x * y).sum() for y in tables] for x in tables])
    np.testing.assert_allclose(rows @ moments.gram @ rows.T, expected, atol=1e-12)
    np.testing.assert_allclose(moments.power, (joint * target**2).sum(), rtol=1e-12)
    wanted = [(joint * x * target).sum() for x in tables]
    np.testing.assert_allclose(rows @ moments.gram @ moments.target, wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(pool.norms(moments.gram)[some], np.diag(expected), atol=1e-12)


def test_candidates_are_zero_at_zero():
    pool = build_pool(walsh_moments(joint_distribution(None)), 300, np.random.default_rng(3))
    assert all(evaluate(c, 0, 0) == 0 for c in pool.circuits)


def test_refit_error_equals_error_of_the_table(joint, moments):
    selector = Selector(pool_of(first_level(), moments), moments)
    choice = selector.swap(selector.greedy(20, quiet), quiet)
    a, w = OPERANDS[:, None], OPERANDS[None, :]
    table = sum(
        s * evaluate(selector.pool.circuits[n], a, w) for n, s in zip(choice.chosen, choice.weights, strict=True)
    )
    assert table_errors(table, joint)["centred_rmse"] == pytest.approx(choice.error**0.5, rel=1e-6)


def test_swap_never_hurts_and_powers_beat_plain_rounding(moments):
    selector = Selector(build_pool(moments, 500, np.random.default_rng(4)), moments)
    start = selector.greedy(16, quiet)
    choice = selector.swap(start, quiet)
    assert choice.error <= start.error
    rounded = selector.fit(choice.chosen, dict(enumerate(nearest_power(choice.weights))))
    powers = power_of_two_weights(selector, choice, np.random.default_rng(0), quiet, kicks=2)
    assert powers.error <= rounded.error
    assert all(np.log2(abs(s)).is_integer() for s in powers.weights)
    integers = round_weights(selector, choice)
    assert choice.error <= integers.error < choice.error * 1.001


def test_nearest_power():
    values = np.array([0.0, 0.3, -1.4, 2.9, 3.1, -6.1, 20000, -1e6])
    assert nearest_power(values).tolist() == [1, 1, -1, 2, 4, -8, 16384, -16384]


@pytest.mark.parametrize("preset", ["greedy", "anneal"])
def test_same_seed_same_encoding(joint, preset):
    options = Options(Task(12, "pow2", steps=2000, restarts=2, seed=5), pairs=100, kicks=2)
    first, second = (search(preset, "twin", Target(joint), options, quiet) for _ in range(2))
    assert first == second
    assert first.is_power_of_two and first.m == 12
    assert first.figures["array_at_zero"] == 0


def test_bad_histograms_are_refused(tmp_path):
    for bad, word in [
        (np.zeros((256, 256)), "mass"),
        (np.ones((16, 16)), "shape"),
        (np.full((256, 256), -1.0), "negative"),
        (np.full((256, 256), np.nan), "non-finite"),
        (np.full((256, 256), "x"), "type"),
    ]:
        with pytest.raises(UserError, match=word):
            check_histogram(bad, "hist")
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    with pytest.raises(UserError, match="cannot read"):
        load_histogram(tmp_path / "broken.npz")


def test_impossible_requests_are_refused(moments):
    for m in (0, 257):
        with pytest.raises(UserError, match="M ="):
            Task(m)
    with pytest.raises(UserError, match="widen"):
        Selector(pool_of(first_level(), moments), moments).greedy(250, quiet)


def test_command_line(tmp_path, joint):
    np.savez(tmp_path / "hist.npz", joint=joint)
    command = [
        sys.executable,
        "-m",
        "models.search",
        "-M",
        "8",
        "--preset",
        "greedy",
        "--name",
        "tiny",
        "--out",
        str(tmp_path),
    ]
    result = run([*command, "--hist", str(tmp_path / "hist.npz")])
    assert result.returncode == 0, result.stderr
    encoding = load_encoding(tmp_path / "tiny.json")
    assert encoding.m == 8
    assert str(tmp_path) not in json.dumps(encoding.provenance)
    result = run([*command, "--hist", "nowhere.npz"])
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1


def test_basis_has_all_masks_of_four_bits():
    assert len(basis_masks()) == 2517


def test_native_statistics_equal_portable_and_reference_ones():
    genome = random_genome(np.random.default_rng(1))
    fast, slow = (score_genome(genome, 40, portable) for portable in (False, True))
    assert fast.error == pytest.approx(slow.error, rel=1e-6)
    assert fast.kept.tolist() == slow.kept.tolist()
    error, weights = reference_objective(genome, 40)
    assert fast.error == pytest.approx(error, rel=1e-6)
    np.testing.assert_allclose(fast.weights, weights, rtol=1e-6, atol=1e-3)


def test_native_forecasts_change_no_result(joint):
    root = np.random.default_rng(5).standard_normal((256, 4))
    for moments in (Target(joint).moments(), Target(joint, root @ root.T / 1000).moments()):
        for m, heat in ((5, 0.1), (13, 0.05), (24, 0.01)):
            begin = start(Task(m), moments, quiet)
            schedule, area = Schedule(4000, heat, 1e-4, m), np.full(10, 0.1 / m)
            runs = [anneal(moments, *begin, schedule, None, area, 0.3, bounded) for bounded in (True, False)]
            np.testing.assert_array_equal(runs[0].circuits, runs[1].circuits)
            np.testing.assert_array_equal(runs[0].weights, runs[1].weights)
            assert (runs[0].error, runs[0].evaluated) == (runs[1].error, runs[1].evaluated)


def test_native_error_is_the_reference_one(joint, moments):
    begin = start(Task(13), moments, quiet)
    found = anneal(moments, *begin, Schedule(5000, 0.05, 1e-4, 3))
    selector = Selector(pool_of([decode(row) for row in found.circuits], moments, unique=False), moments)
    fitted = selector.fit(list(range(13)))
    assert found.error == pytest.approx(fitted.error, rel=1e-7)  # both load the diagonal a little
    a, w = OPERANDS[:, None], OPERANDS[None, :]
    table = sum(s * evaluate(decode(c), a, w) for c, s in zip(found.circuits, found.weights, strict=True))
    assert table_errors(table, joint)["centred_rmse"] ** 2 == pytest.approx(found.error, rel=1e-7)


SEARCHES = """
import hashlib, numpy as np
from models.search.anneal import Task, allowed_weights, start
from models.search.moments import walsh_moments
from models.search.native import Schedule, anneal
from models.search.paper import evolve
silent = lambda _stage, _error: None
scale = np.exp(-np.abs(np.arange(-128, 128)) / 20)
moments = walsh_moments(np.outer(scale, scale) / scale.sum() ** 2)
found = [anneal(moments, *start(Task(10, kind), moments, silent), Schedule(3000, 0.05), allowed_weights(kind))
         for kind in ("general", "pow2")]
genome, score = evolve(24, 60, 1, silent)
arrays = [a for f in found for a in (f.circuits, f.weights)] + [genome.gates, score.weights, score.error]
print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest())
"""


def test_results_do_not_depend_on_the_processor():
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    found = set()
    for flags in ("", "-DFAST=", '-DFAST=__attribute__((target("avx2")))'):
        command = [sys.executable, "-c", SEARCHES]
        done = subprocess.run(command, env=environment | {"ENCMAC_CXXFLAGS": flags}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_wide_circuits_are_named():
    gates = np.array(
        [[CODES["and"], 0, 8], [CODES["or"], 1, 2], [CODES["xor"], 16, 17], [CODES["and"], 18, 3]], np.int32
    )
    for portable in (False, True):
        assert len(spectra(gates, np.array([18]), portable)) == 1
        with pytest.raises(TooWide):
            spectra(gates, np.array([19]), portable)


def test_paper_preset_is_reproducible_and_improves():
    runs = [evolve(36, 200, seed=2, progress=quiet) for _ in range(2)]
    assert runs[0][1].error == runs[1][1].error
    assert runs[0][1].error < score_genome(random_genome(np.random.default_rng(2)), 36).error
    found = to_found(*runs[0])
    encoding = build_encoding("paper", "", found.circuits, found.weights, joint_distribution(None))
    assert encoding.max_relative_error() == pytest.approx(runs[0][1].error, abs=0.01)


def test_genomes_of_equal_circuits_are_scored_once(monkeypatch):
    scored = []

    def counted(genome, m):
        scored.append(genome)
        return score_genome(genome, m)

    right = paper.mutate
    monkeypatch.setattr(paper, "evaluate", counted)
    monkeypatch.setattr(paper, "mutate", lambda genome, _rate, rng: right(genome, 5e-4, rng))  # as late in a search
    runs = [evolve(36, 400, seed=4, progress=quiet)]
    assert 50 < len(scored) < 350
    monkeypatch.setattr(paper, "same_circuit", lambda *_: False)
    runs.append(evolve(36, 400, seed=4, progress=quiet))
    for one, other in ((runs[0][0], runs[1][0]), (runs[0][1], runs[1][1])):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name))


def test_a_large_constant_of_preset_paper_goes_into_the_bits():
    gates, outputs = np.zeros((512, 3), np.int32), np.arange(128, dtype=np.int32) % 16
    gates[:2] = [CODES["and"], 7, 15], [CODES["not"], 15, 15]
    outputs[:2] = 16, 17
    score = Score(0.0, 0.0, np.arange(4), np.array([12000.0, 9000.0, -500.0, 3.0, -20000.4]))
    found = to_found(Genome(gates, outputs), score)
    assert found.circuits == [("nand", 7, 15), ("not", 15, 15), 2, 3]
    assert found.weights.tolist() == [-12000, 9000, -500, 3]
    # -20000 + 12000 = -8000: one bit is enough
    score = Score(0.0, 0.0, np.arange(4), np.array([5000.0, 9000.0, -500.0, 3.0, -20000.4]))
    assert to_found(Genome(gates, outputs), score).circuits == [("nand", 7, 15), 15, 2, 3]


def test_target_noise_is_the_annealers_error_less_its_gain(joint):
    rng = np.random.default_rng(5)
    root = rng.standard_normal((256, 4))
    root -= root.mean(0)  # numbers of values in a window add up to a constant
    target = Target(joint, root @ root.T / 1000, 0.5)
    moments = target.moments()
    found = run_anneal(Task(10, "pow2", steps=5000, restarts=1), moments, quiet)
    encoding = build_encoding("x", "", found.circuits, found.weights, joint)
    table = encoding.product_table
    product = np.multiply.outer(np.arange(-128.0, 128.0), np.arange(-128.0, 128.0))
    error, product = target._centred(table - product), target._centred(product)
    assert target._inner(error, error) == pytest.approx(found.error, rel=1e-6)
    noise = target.noise(table)
    assert 0 < noise < found.error * 0.5 / (1 + target._inner(product, error) / target._inner(product, product)) ** 2
    assert target.noise(3 * table) == pytest.approx(noise, rel=1e-9)  # a gain is no noise
    assert encoding.is_power_of_two


def test_csd_digits_are_respected(joint, moments):
    found = run_anneal(Task(8, "csd2", steps=5000, restarts=1), moments, quiet)
    assert all(len(signed_digits(int(s))) <= 2 for s in found.weights)
    for bad in ("csd0", "odd", "csd"):
        with pytest.raises(UserError, match="unknown position weights"):
            allowed_weights(bad)


def test_cost_counts_shared_gates_once_and_prices_digits():
    plain = Encoding("x", (Gate("and", 0, 8), Gate("xor", 16, 9)), (16, 17), (4, -8))
    cost = column_cost(plain, rows=8)
    area = coefficients()
    assert cost.gates == pytest.approx(8 * (area["and"] + area["xor"]) * area["factor_gates"])
    width = 7  # 8 rows of -8..4: -64..32
    assert cost.registers == pytest.approx(
        8 * (3 * area["flip_flop"] + 2 * area["weight_mux"]) + width * area["flip_flop"]
    )
    wide = Encoding("x", plain.gates, (16, 17), (5, -8))
    assert column_cost(wide, 8).decoder > cost.decoder
    terms = ("gates", "counting", "decoder")
    some = [plain, wide, load_encoding("exact64"), load_encoding("and44"), load_encoding("m32p")]
    costs = [column_cost(e, 8) for e in some]
    areas = [c.registers + 2 * sum(getattr(c, t) for t in terms) for c in costs]
    factors, error = fit_areas(some, areas, [8] * 5)
    assert error < 1e-9
    assert [factors[t] for t in terms] == pytest.approx([2 * area[f"factor_{t}"] for t in terms])
    assert factors["registers"] == 1


def test_target_of_a_network_is_measured_once(tmp_path, monkeypatch):
    measured, said = [], []

    def measure(network, images):
        measured.append((network.name, len(images)))
        return {"joint": np.ones((256, 256)), "coherent": np.eye(256)}

    monkeypatch.setattr(target_module, "FOLDER", tmp_path)
    monkeypatch.setattr(target_module, "measure", measure)
    monkeypatch.setattr(
        histogram_module, "load_dataset", lambda _dataset, _split, folder: SimpleNamespace(images=trained[folder])
    )
    trained = {None: np.zeros((300, 3, 32, 32)), "few": np.zeros((200, 3, 32, 32))}  # as of ImageNet
    paths = [
        target_module.measured_target("resnet20_cifar10", data, said.append) for data in (None, None, "few", "few")
    ]
    assert paths[0] == paths[1] != paths[2] == paths[3] and paths[0].name.startswith("resnet20_cifar10-")
    assert measured == [("resnet20_cifar10", 256), ("resnet20_cifar10", 200)]
    assert len(said) == 2 and "on 200 training images" in said[1]
    assert target_module.load_target(paths[0]).coherent.shape == (256, 256)


def test_a_target_of_other_images_is_not_the_one_that_searches_take(monkeypatch):
    monkeypatch.setattr(target_module, "measure", lambda *_, **__: pytest.fail("measured"))
    for words in (["--images", "8"], ["--seed", "2"]):
        monkeypatch.setattr("sys.argv", ["target", "--net", "resnet20_cifar10", *words])
        with pytest.raises(UserError, match=r"take a target of 256 images and seed 1; .* --out"):
            target_module.main()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--name m20p", "choose another --name"),
        ("--name Mine", "choose another --name"),
        ("--name w4a8", "'w4a8' is the name of exact products of fewer bits; choose another --name"),
        ("-M 37", "M = 37: radix-4 digits make 1..36"),
        ("-M 18 --preset chosen --weight-bits 3", "weights of 3 bits make 1..17 product bits"),
        ("--preset chosen --weights general", "powers of two"),
        ("--preset paper", "general position weights only"),
        ("--weight-bits 3", "preset radix4 reads all bits of a weight"),
    ],
)
def test_what_cannot_be_is_refused_before_a_network_is_measured(words, why, monkeypatch):
    monkeypatch.setattr(search_main, "measured_target", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr("sys.argv", ["search", "--net", "resnet20_cifar10", "-M", "12", *words.split()])
    with pytest.raises(UserError, match=why):
        search_main.main()


def test_names_follow_from_the_task():
    assert default_name("build/search/ResNet-20.npz", Task(24, "pow2")) == "resnet_20_m24p"
    assert default_name(None, Task(8, "csd2")) == "uniform_m8_csd2"
    assert check_name("uniform_m8") == "uniform_m8"
    with pytest.raises(UserError, match="'m20p' is an encoding of the library"):
        check_name("m20p", Path("build/encodings"))
    with pytest.raises(UserError, match="another --name"):
        check_name("8bit")
