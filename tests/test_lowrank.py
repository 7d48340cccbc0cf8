"""Low-rank int8 matrix products equal the table, and `TableEngine`, integer for integer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.errors import UserError
from models.emulate import LowRankEngine, TableEngine, exact_table
from models.emulate.lowrank import digits, terms
from models.encoding import library_names, load_encoding

RNG = np.random.default_rng(5)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
    ),
]
SHAPES = [  # images, channels, side, outputs, kernel, stride, padding, groups
    (3, 16, 9, 20, 3, 1, 1, 1),
    (2, 3, 11, 7, 5, 2, 2, 1),
    (2, 6, 6, 12, 3, 1, 1, 6),
    (2, 8, 5, 12, 1, 1, 0, 2),
    (5, 20, 1, 10, 1, 1, 0, 1),
]


@pytest.mark.parametrize("name", library_names())
def test_few_terms_are_every_encoding(name):
    table = load_encoding(name).array_table
    u, c = terms(table)
    assert u.shape[1] <= 9 and (u.astype(int) @ c == np.roll(np.roll(table, 128, 0), 128, 1)).all()
    assert len(digits(c)) <= 2


def test_rank_of_exact_products_is_one():
    u, c = terms(exact_table())
    assert u.shape == (256, 1) and c.shape == (1, 256)


def test_digits():
    values = RNG.integers(-(1 << 23), 1 << 23, 1000)
    found = digits(values)
    assert found.dtype == np.int8
    assert (sum(found[d].astype(int) << 8 * d for d in range(len(found))) == values).all()
    assert digits(np.zeros(3)).shape == (1, 3) and digits(np.array([127])).shape == (1, 1)
    assert digits(np.array([128])).tolist() == [[-128], [1]]


def cut(table: np.ndarray) -> np.ndarray:
    return table & ~15


TABLES = {
    "m20p": lambda: load_encoding("m20p").array_table,
    "xnor28f": lambda: load_encoding("xnor28f").array_table,
    "cut": lambda: cut(exact_table()),
    "zeros": lambda: np.zeros((256, 256), int),
    "random": lambda: RNG.integers(-(1 << 15), 1 << 15, (256, 256)),  # of rank 256
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", TABLES)
def test_convolutions_equal_the_table(name, device, monkeypatch):
    table = TABLES[name]()
    engine = LowRankEngine(table, device)
    for images, channels, side, outputs, kernel, stride, padding, groups in SHAPES[-1:] if name == "random" else SHAPES:
        x = RNG.integers(-128, 128, (images, channels, side, side)).astype(np.int8)
        weights = RNG.integers(-128, 128, (outputs, channels // groups, kernel, kernel)).astype(np.int8)
        geometry = ((stride, stride), (padding, padding, padding, 0), groups, -3)
        found = engine(x, weights, *geometry)
        assert found.dtype == np.int32
        assert np.array_equal(found, TableEngine(table)(x, weights, *geometry))
        monkeypatch.setattr("models.emulate.lowrank.COLUMN_BYTES", 1)  # one image at a time
        assert np.array_equal(found, engine(x, weights, *geometry))


def test_too_many_summands_are_refused():
    x = np.zeros((1, 40_000, 1, 1), np.int8)
    with pytest.raises(UserError, match="do not fit int32"):
        LowRankEngine(load_encoding("m20p").array_table)(x, x)
