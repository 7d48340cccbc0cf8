"""Counts of product bits by words equal those of the encoding, and weigh up to the table's sums."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import UserError
from models.emulate import TableEngine, position_counts
from models.emulate import counts as module
from models.encoding import GATES, Encoding, Gate, library_names, load_encoding

RNG = np.random.default_rng(3)


def operands(vectors: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    return (RNG.integers(-128, 128, size).astype(np.int8) for size in ((vectors, rows), (rows, columns)))


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("name", ["exact64", "m20p", "xnor28f"])
def test_counts_are_the_encodings(name, rows, monkeypatch):
    encoding = load_encoding(name)
    activations, weights = operands(5, rows, 7)
    found = position_counts(encoding, activations, weights)
    assert found.dtype == np.int32 and found.shape == (5, 7, encoding.m)
    for column in range(7):
        assert np.array_equal(found[:, column], encoding.counts(activations, weights[:, column]))
    monkeypatch.setattr(module, "CHUNK", 1)
    assert np.array_equal(found, position_counts(encoding, activations, weights))


@pytest.mark.parametrize("name", library_names())
def test_weighted_counts_are_the_emulators_sums(name):
    encoding = load_encoding(name)
    activations, weights = operands(40, 64, 16)
    sums = position_counts(encoding, activations, weights) @ np.array(encoding.weights)
    engine = TableEngine(encoding.column_table)
    expected = engine(activations[:, :, None, None], np.ascontiguousarray(weights.T)[:, :, None, None])
    assert np.array_equal(sums, expected[:, :, 0, 0])


def test_every_gate():
    gates = tuple(Gate(op, 2, 11) for op in GATES)
    bits = (*range(16, 16 + len(gates)), 0, 15)  # operand bits may be product bits
    encoding = Encoding("gates", gates, bits, (1,) * len(bits))
    activations, weights = operands(9, 100, 3)
    found = position_counts(encoding, activations, weights)
    for column in range(3):
        assert np.array_equal(found[:, column], encoding.counts(activations, weights[:, column]))


def test_bad_tiles_are_refused():
    encoding = load_encoding("exact64")
    activations, weights = operands(5, 64, 7)
    with pytest.raises(UserError, match="activations are int64"):
        position_counts(encoding, activations.astype(int), weights)
    with pytest.raises(UserError, match="64 rows do not fit weights of 63 rows"):
        position_counts(encoding, activations, weights[:63])
