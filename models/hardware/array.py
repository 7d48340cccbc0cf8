"""Golden model of an array that holds one tile of weights.

It works from a table of all products, not from gates, counters and digits as the RTL does, so the
two share no structure.
"""

from __future__ import annotations

import numpy as np


class TileModel:
    """Column sums of a tile: y[c] = sum over rows r of table[a[r], w[r, c]].

    `table` is int [256, 256] with index [a + 128, w + 128] (an encoding's `array_table`, or the
    exact products); `weights` is int8 [R, C].
    """

    def __init__(self, table: np.ndarray, weights: np.ndarray) -> None:
        self.rows, self.columns = weights.shape
        # [R, 256, C]: for each row and activation the products with that row's weights
        self._products = table.astype(np.int64)[:, weights.astype(np.int64) + 128].transpose(1, 0, 2)
        self._row_index = np.arange(self.rows)

    def column_sums(self, activations: np.ndarray) -> np.ndarray:
        """Result vector int64 [C] for one activation vector int8 [R]."""
        return self._products[self._row_index, activations.astype(np.int64) + 128].sum(axis=0)
