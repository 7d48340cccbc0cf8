"""Golden model of one column: what its ports take, and the sums that must come.

It works from a table of products, not from gates, trees and digits as the RTL does. Kinds of columns:

- encoded: the encoding's bits of an activation, bit-sliced within a group of rows; `shared`: its extra column;
- conventional: the upper bits of an activation, row by row; products are those of a rival (models/rivals.py);
- fast inner product (`pairs`): as conventional, and in units of the operands' last bits the sum has
  w_2k w_2k+1 more for every two rows; `shared` is the extra column that sums a_2k a_2k+1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.encoding import Encoding, load_encoding
from models.hardware.array import TileModel


@dataclass(frozen=True)
class ColumnModel:
    """A column, alone or beside others that share its activations; widths are those of a conventional one."""

    encoding: Encoding | None = None
    shared: bool = False
    pairs: bool = False
    weight_bits: int = 8
    activation_bits: int = 8

    def codes(self, activations: np.ndarray) -> np.ndarray:
        """What a row is given of its activations, bool [..., bits]: int8 [...]."""
        if self.encoding and not self.shared:
            wires = self.encoding.wires(activations, np.int8(0))
            return np.stack([wires[i] for i in self.encoding.operands[0]], axis=-1).astype(bool)
        kept = 8 if self.encoding else self.activation_bits
        return (activations[..., None].astype(int) >> np.arange(8 - kept, 8) & 1).astype(bool)

    def port(self, activations: np.ndarray, group: int) -> np.ndarray:
        """Bits of the activation port, bool [N, bits * R]: int8 [N, R]; `group` rows are bit-sliced."""
        codes = self.codes(activations)
        count, rows, bits = codes.shape
        group = group if self.encoding else 1
        return codes.reshape(count, rows // group, group, bits).swapaxes(2, 3).reshape(count, rows * bits)

    def zeros(self, activations: np.ndarray) -> np.ndarray:
        """Rows that are given zeros alone, bool [...]: int8 [...]."""
        return ~self.codes(activations).any(axis=-1)

    def f_sums(self, activations: np.ndarray) -> np.ndarray:
        """What the extra column sends, int64 [N]: int8 [N, R]; 0 for columns without one."""
        if self.shared:
            return np.zeros(len(activations), np.int64)
        if self.pairs:
            return _sum_of_pairs(activations.T, self.activation_bits) << self._unit
        if self.encoding is None:
            return np.zeros(len(activations), np.int64)
        return self._f_table[activations.astype(int) + 128, 0].sum(axis=1)

    def sums(self, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Results int64 [N, C]: activations int8 [N, R], weights int8 [R, C]; f(a) is in them."""
        if self.pairs and self.shared:
            return _sum_of_pairs(activations.T, self.activation_bits)[:, None] + np.zeros(weights.shape[1], np.int64)
        model = TileModel(self._table, weights)
        sums = np.stack([model.column_sums(vector) for vector in activations])
        if self.pairs:
            return sums + (_sum_of_pairs(weights, self.weight_bits) << self._unit)
        return sums + self.f_sums(activations)[:, None]

    @property
    def _unit(self) -> int:
        return 16 - self.weight_bits - self.activation_bits

    @property
    def _f_table(self) -> np.ndarray:
        return self.encoding.array_table - self.encoding.column_table

    @property
    def _table(self) -> np.ndarray:
        if self.encoding:
            return self._f_table if self.shared else self.encoding.column_table
        return load_encoding(f"w{self.weight_bits}a{self.activation_bits}").product_table


def _sum_of_pairs(operands: np.ndarray, bits: int) -> np.ndarray:
    """Sum over pairs of rows of the product of their upper `bits`, int64 [...]: int8 [R, ...]."""
    upper = operands.astype(np.int64) >> 8 - bits
    return (upper[0::2] * upper[1::2]).sum(axis=0)
