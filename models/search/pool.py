"""Candidate product bits: small circuits of one or two gate levels and their Walsh coefficients.

Every candidate is 0 when both operands are 0, so that an unused row adds nothing. Nothing is lost
by that: the complement of a bit differs from it by a constant and a sign of the position weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.encoding import GATES
from models.search.moments import Moments, table_moments

if TYPE_CHECKING:
    from models.search.target import Target

Circuit = int | tuple  # a wire 0..15, or (op, circuit, circuit)

# First level: (op, polynomial of the two inputs f, g): coefficients of f, g and f*g.
_POLYNOMIALS = {"and": (0, 0, 1), "or": (1, 1, -1), "xor": (1, 1, -2), "andnot": (1, 0, -1)}


@dataclass(frozen=True)
class Pool:
    """`circuits[n]` is sum_k values[n, k] * chi_(masks[index[n, k]]): index int32, values float64 [N, 16]."""

    circuits: list[Circuit]
    index: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.circuits)

    def dot(self, vector: np.ndarray) -> np.ndarray:
        """Inner products with a vector over the Walsh functions, float64 [B] -> [N]."""
        return np.einsum("nk,nk->n", self.values, vector[self.index])

    def rows(self, chosen: list[int], size: int) -> np.ndarray:
        """Dense coefficients of some candidates: float64 [len(chosen), size]."""
        dense = np.zeros((len(chosen), size))
        for row, n in enumerate(chosen):
            np.add.at(dense[row], self.index[n], self.values[n])
        return dense

    def norms(self, gram: np.ndarray, block: int = 4096) -> np.ndarray:
        """Squared norms: float64 [N]."""
        out = np.empty(len(self))
        for at in range(0, len(self), block):
            index, values = self.index[at : at + block], self.values[at : at + block]
            out[at : at + block] = np.einsum("nk,nl,nkl->n", values, values, gram[index[:, :, None], index[:, None]])
        return out


def walsh_polynomial(circuit: Circuit) -> dict[int, float]:
    """Walsh coefficients {mask: value} of a circuit of and/or/xor/andnot over the wires 0..15."""
    if isinstance(circuit, int):
        return {0: 0.5, 1 << circuit: -0.5}
    op, x, y = circuit
    f, g = walsh_polynomial(x), walsh_polynomial(y)
    cf, cg, cfg = _POLYNOMIALS[op]
    out: dict[int, float] = {}
    for u, value in f.items():
        out[u] = out.get(u, 0.0) + cf * value
        for v, other in g.items():
            out[u ^ v] = out.get(u ^ v, 0.0) + cfg * value * other
    for v, other in g.items():
        out[v] = out.get(v, 0.0) + cg * other
    return {u: value for u, value in out.items() if value}


def first_level() -> list[Circuit]:
    """The activation bits and the gates of one activation and one weight bit that differ after centring."""
    pairs = [(i, 8 + j) for i in range(8) for j in range(8)]
    return [*range(8), *((op, i, j) for op in ("and", "andnot", "xor") for i, j in pairs)]


def second_level() -> list[Circuit]:
    """Gates over two first-level gates or operand bits that read both operands (reads no bit twice)."""
    products = [(op, i, 8 + j) for op in ("and", "andnot", "xor") for i in range(8) for j in range(8)]
    products += [("andnot", 8 + j, i) for i in range(8) for j in range(8)]
    alone = [
        (op, i, j)
        for op in ("and", "or", "xor", "andnot")
        for b in (0, 8)
        for i in range(b, b + 8)
        for j in range(b, b + 8)
        if i != j and (i < j or op == "andnot")
    ]
    parts: list[Circuit] = [*range(16), *alone, *products]
    reads = [_reads(p) for p in parts]
    out: list[Circuit] = []
    for i, x in enumerate(parts):
        for j in range(i):
            y, both = parts[j], reads[i] | reads[j]
            if reads[i] & reads[j] or not both & 255 or not both >> 8 or isinstance(x, int):
                continue
            out += [("and", x, y), ("or", x, y), ("xor", x, y), ("andnot", x, y), ("andnot", y, x)]
    return out


def build_pool(moments: Moments, pairs: int, rng: np.random.Generator) -> Pool:
    """The first level and `pairs` second-level circuits drawn at random (all of them if fewer exist)."""
    deeper = second_level()
    if pairs < len(deeper):
        deeper = [deeper[n] for n in np.sort(rng.choice(len(deeper), pairs, replace=False))]
    return pool_of(first_level() + deeper, moments)


def pool_of(circuits: list[Circuit], moments: Moments, unique: bool = True) -> Pool:
    """Coefficients of the circuits; `unique`: those equal after centring appear once, those that vanish never."""
    index = np.zeros((len(circuits), 16), np.int32)
    values = np.zeros((len(circuits), 16))
    for n, circuit in enumerate(circuits):
        terms = [(u, v) for u, v in walsh_polynomial(circuit).items() if u & 255]
        index[n, : len(terms)] = moments.index[[u for u, _ in terms]]
        values[n, : len(terms)] = [v for _, v in terms]
    if not unique:
        return Pool(list(circuits), index, values)
    probe = np.random.default_rng(0).standard_normal(len(moments.masks))
    keys = np.abs(np.einsum("nk,nk->n", values, probe[index])).round(9)
    _, first = np.unique(keys, return_index=True)
    keep = np.sort(first)
    pool = Pool([circuits[n] for n in keep], index[keep], values[keep])
    alive = np.flatnonzero(pool.norms(moments.gram) > 1e-9)
    return Pool([pool.circuits[n] for n in alive], pool.index[alive], pool.values[alive])


def circuit_table(circuit: Circuit, known: dict[Circuit, np.ndarray] | None = None) -> np.ndarray:
    """Value of a circuit of any depth for all operands: uint8 [256, 256], index [a + 128, w + 128].

    `known` keeps the tables of its parts.
    """
    known = {} if known is None else known
    if circuit not in known:
        if isinstance(circuit, int):
            bits = ((np.arange(-128, 128) >> (circuit & 7)) & 1).astype(np.uint8)
            table = np.broadcast_to(bits[:, None] if circuit < 8 else bits[None, :], (256, 256))
        else:
            table = GATES[circuit[0]](circuit_table(circuit[1], known), circuit_table(circuit[2], known))
        known[circuit] = table
    return known[circuit]


def table_pool(circuits: Sequence[Circuit], target: Target, free: Sequence[Circuit] = ()) -> tuple[Pool, Moments]:
    """Pool and moments of circuits of any depth, from their tables instead of Walsh functions.

    `free` are circuits, of the activation say, that cost nothing: what they explain is no error.
    Of candidates that are equal after centring the first stays; those that vanish go.
    """
    known: dict[Circuit, np.ndarray] = {}
    product = np.multiply.outer(np.arange(-128.0, 128.0), np.arange(-128.0, 128.0))
    tables = [circuit_table(circuit, known) for circuit in circuits]
    gram = target.gram([*tables, product], [circuit_table(c, known) for c in free] if free else None)
    size = np.sqrt(np.maximum(np.diag(gram)[:-1], 0))
    kept: list[int] = []
    for n in np.flatnonzero(size > 1e-5):
        alike = np.abs(gram[n, kept]) > (1 - 1e-9) * size[n] * size[kept] if kept else np.zeros(0)
        if not np.any(alike):
            kept.append(int(n))
    gram = gram[np.ix_([*kept, len(circuits)], [*kept, len(circuits)])]
    index = np.arange(len(kept), dtype=np.int32)[:, None]
    return Pool([circuits[n] for n in kept], index, np.ones((len(kept), 1))), table_moments(gram)


def _reads(circuit: Circuit) -> int:
    return 1 << circuit if isinstance(circuit, int) else _reads(circuit[1]) | _reads(circuit[2])
