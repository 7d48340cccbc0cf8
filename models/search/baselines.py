"""Encodings that need no search: exact, and truncated arrays of AND and XNOR partial products.

An operand in bipolar form (x_i = 1 - 2 bit_i) is a = -1/2 - sum alpha_i x_i / 2, alpha_7 = -128, so the
product is an array of XORs plus terms of one operand alone: those of the weight go into the bias,
those of the activation stay as an error that the bias does not absorb, or go into an f(a) (names that
end in f), fitted to uniform operands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.encoding import Encoding, exact64
from models.search.assemble import build_encoding
from models.search.histogram import joint_distribution
from models.search.presets import all_figures

AND_BITS = (36, 40, 44, 48, 52, 56, 60)
XNOR_CUTS = (9, 8, 7, 6, 5)  # keep i + j >= cut: 21, 28, 36, 43, 49 bits
WITH_F = ("and36", "xnor21", "xnor28", "xnor36")
COMMAND = "python -m models.encodings"


def truncated_and(m: int) -> Encoding:
    """The M partial products a_i & w_j of largest weight, position weights and offset by least squares.

    Uniform operands, uncentred: the baseline of the paper's error measure.
    """
    pairs = sorted(((i, j) for i in range(8) for j in range(8)), key=lambda p: (-p[0] - p[1], p))[:m]
    a, w = np.arange(-128, 128)[:, None], np.arange(-128, 128)[None, :]
    columns = [((a >> i) & (w >> j) & 1).ravel() for i, j in pairs]
    table = np.stack([*columns, np.ones(65536)], 1).astype(np.float64)
    weights = np.linalg.lstsq(table.T @ table, table.T @ (a * w).ravel(), rcond=1e-13)[0][:-1]
    circuits = [("and", i, 8 + j) for i, j in pairs]
    text = f"the {m} largest AND partial products, least-squares position weights"
    return build_encoding(f"and{m}", text, circuits, np.rint(weights), joint_distribution(None))


def truncated_xnor(cut: int) -> Encoding:
    """The bipolar products of bits i and j with i + j >= `cut`: powers of two."""
    pairs = [(i, j) for i in range(8) for j in range(8) if i + j >= cut]
    weights = np.array([(-1 if (i == 7) == (j == 7) else 1) * 2.0 ** (i + j - 1) for i, j in pairs])
    circuits = [("xor", i, 8 + j) for i, j in pairs]
    text = f"bipolar partial products with i + j >= {cut}, powers of two, correct up to functions of one operand"
    return build_encoding(f"xnor{len(pairs)}", text, circuits, weights, joint_distribution(None))


def with_f(encoding: Encoding) -> Encoding:
    """The encoding with f(a), integers over the activation's bits, by least squares; uniform operands, uncentred."""
    a = np.arange(-128, 128)
    error = (np.multiply.outer(a, a) - encoding.product_table).mean(1)
    table = np.stack([*((a >> i) & 1 for i in range(8)), np.ones(256)], 1).astype(np.float64)
    values = np.rint(np.linalg.lstsq(table, error, rcond=None)[0]).astype(int).tolist()
    return replace(
        encoding,
        name=f"{encoding.name}f",
        description=f"{encoding.description}, with an f(a)",
        shared=tuple((i, value) for i, value in enumerate(values[:-1]) if value),
        offset=encoding.offset + values[-1],
        provenance={},
        figures={},
    )


def baselines() -> list[Encoding]:
    """All of them, with figures."""
    found = [exact64(), *map(truncated_and, AND_BITS), *map(truncated_xnor, XNOR_CUTS)]
    found += [with_f(encoding) for encoding in found if encoding.name in WITH_F]
    for encoding in found:
        encoding.figures.update(all_figures(encoding, None))
        encoding.provenance.update(command=COMMAND)
    return found
