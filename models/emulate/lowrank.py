"""Convolutions with a table of products as int8 matrix products, exact, for tensor cores.

A table is a polynomial in the bits of the activation (Moebius transform over subsets S of the bits):

    table[a, w] = sum_S c_S(w) prod_{i in S} a_i

Product bits see few activation bits at a time, so few terms are not 0: at most 9 for every encoding of
the library, 8 bits and a constant. Terms whose c_S are integer combinations of others are merged into them, so
that what remains is close to the rank of the table (1 for exact products). The c_S are split into int8
digits; everything is then one int8 matrix product with int32 sums, K and the outputs larger by the
numbers of terms and digits. Integers only: the result is exact on any device. The same code runs on a CPU,
where `TableEngine` is faster; on CUDA the matrix product is cuBLAS's int8 one.
"""

from __future__ import annotations

import numpy as np

from common.errors import UserError
from models.emulate.operands import output_size
from models.emulate.table import checked_table

BITS = 8
INT8 = 1 << 7
COLUMN_BYTES = 1 << 28  # unrolled activations at a time
SUMMANDS = 1 << 16  # of products of int8 that surely fit int32
FEW = 32  # terms, worth merging
ALIGN = 8  # of the sizes of an int8 matrix product on CUDA
LEAST_ROWS = 24  # it takes more than 16


def terms(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(u int8 [256, r] by activation byte, c int64 [r, 256] by weight byte) with u @ c = table, exactly.

    `table` int [256, 256], index [a + 128, w + 128].
    """
    by_byte = np.arange(256) ^ 128  # index of the value whose two's complement byte is i
    products = table[np.ix_(by_byte, by_byte)].astype(np.int64)
    coefficients = products.copy()  # of subsets of bits, as numbers
    for bit in range(BITS):
        halves = coefficients.reshape(128 >> bit, 2, 1 << bit, 256)
        halves[:, 1] -= halves[:, 0]
    used = coefficients.any(axis=1)
    used[0] |= not used.any()  # a table of zeros has a term, too
    u, c = _subset_products()[:, used], coefficients[used]
    for smaller in (_merged(u, c), (u, c)):
        if smaller is not None and np.array_equal(smaller[0] @ smaller[1], products):
            return smaller[0].astype(np.int8), smaller[1]
    raise AssertionError("a Moebius transform that is not inverted")


def _subset_products() -> np.ndarray:
    """int64 [256, 256]: product of the bits in subset S of activation byte a, index [a, S]."""
    numbers = np.arange(256)
    return ((numbers[:, None] & numbers) == numbers).astype(np.int64)


def _merged(u: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """`u`, `c` without terms that are combinations of others, smallest first; None if they are many or too large."""
    if len(c) > FEW:
        return None
    order = np.argsort(np.abs(c).max(axis=1), kind="stable")
    kept: list[int] = []
    for term in order:
        if not kept or np.linalg.matrix_rank(c[[*kept, term]].astype(float)) > len(kept):
            kept.append(int(term))
    combined = np.rint(c @ np.linalg.pinv(c[kept].astype(float))).astype(np.int64)  # c = combined @ c[kept]
    merged = u @ combined
    return (merged, c[kept]) if merged.min() >= -INT8 and merged.max() < INT8 else None


def digits(values: np.ndarray) -> np.ndarray:
    """Balanced digits to base 256 of integers: int8 [d, ...], lowest first, as many as are needed."""
    found, rest = [], np.asarray(values, np.int64)
    while not found or rest.any():
        low = (rest + INT8 & 0xFF) - INT8
        found.append(low.astype(np.int8))
        rest = (rest - low) >> 8
    return np.stack(found)


class LowRankEngine:
    """Engine (see models.quant.graph) of `table`, integer [256, 256], values in int16, on torch's `device`."""

    def __init__(self, table: np.ndarray, device: str = "cpu") -> None:
        import torch

        self._torch, self.device = torch, torch.device(device)
        u, c = terms(checked_table(table))
        self.rank, self._u = u.shape[1], torch.from_numpy(u).to(self.device)
        self._digits = torch.from_numpy(digits(c)).to(self.device)  # [d, r, weight byte]

    def __call__(
        self,
        x: np.ndarray,
        weights: np.ndarray,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        pad_value: int = 0,
    ) -> np.ndarray:
        """int32 [N, O, H', W'] of int8 `x` [N, C, H, W] and `weights` [O, C / groups, kh, kw]."""
        torch, size = self._torch, output_size(x, weights, stride, padding, groups, pad_value)
        top, bottom, left, right = padding
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=pad_value)
        maps = torch.from_numpy(x.view(np.uint8)).to(self.device)
        codes = torch.from_numpy(np.ascontiguousarray(weights).view(np.uint8)).to(self.device)
        outputs, depth = len(weights), int(np.prod(weights.shape[1:]))
        if depth * self.rank > SUMMANDS:
            raise UserError(f"sums of {depth} products of rank {self.rank} do not fit int32; use TableEngine")
        # [g, taps * r, d * outputs]
        factors = self._digits[:, :, codes.long().reshape(groups, outputs // groups, depth)]
        factors = factors.permute(2, 4, 1, 0, 3).reshape(groups, depth * self.rank, -1)
        found = torch.empty((len(x), *size, outputs), dtype=torch.int32, device=self.device)
        step = max(1, COLUMN_BYTES // (size[0] * size[1] * groups * depth * self.rank))
        for first in range(0, len(x), step):
            part = maps[first : first + step]
            windows = part.unfold(2, weights.shape[2], stride[0]).unfold(3, weights.shape[3], stride[1])
            columns = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, groups, depth)
            for group in range(groups):
                taps = self._u[columns[:, group].long()].reshape(-1, depth * self.rank)
                sums = self._matmul(taps, factors[group]).reshape(len(taps), len(self._digits), -1)
                total = sum(sums[:, d] << 8 * d for d in range(len(self._digits)))
                outs = slice(group * outputs // groups, (group + 1) * outputs // groups)
                found[first : first + step, ..., outs] = total.reshape(len(part), *size, -1)
        return found.permute(0, 3, 1, 2).contiguous().cpu().numpy()

    def _matmul(self, left: object, right: object) -> object:
        """int32 [P, Q] of int8 [P, K] and [K, Q]: padded to the sizes that CUDA's int8 matrix product takes."""
        pad = self._torch.nn.functional.pad
        rows, columns = len(left), right.shape[1]
        inner = -left.shape[1] % ALIGN
        left = pad(left, (0, inner, 0, max(0, LEAST_ROWS - rows)))
        right = pad(right, (0, -columns % ALIGN, 0, inner))
        return self._torch._int_mm(left.contiguous(), right.contiguous())[:rows, :columns]
