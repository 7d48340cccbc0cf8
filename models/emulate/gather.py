"""Convolutions with a table of products in torch's integers: slow, plain, sharing no code with `TableEngine`."""

from __future__ import annotations

import numpy as np

from models.emulate.operands import check_sums, output_size

CHUNK = 1 << 22  # look-ups at a time


class GatherEngine:
    """Engine (see models.quant.graph) that looks up every product `table[a + 128, w + 128]` by itself.

    `table` integer [256, 256]. One look-up and one addition of int32 for each product: a second opinion
    on what `TableEngine` computes, for tables as for exact products.
    """

    def __init__(self, table: np.ndarray) -> None:
        import torch

        self._torch = torch
        self._largest = int(np.abs(np.asarray(table, np.int64)).max())
        self._table = torch.from_numpy(np.asarray(table, np.int32).reshape(-1).copy())

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
        check_sums(weights, self._largest)
        outputs, depth = weights.shape[0], int(np.prod(weights.shape[1:]))
        top, bottom, left, right = padding
        maps = torch.from_numpy(np.ascontiguousarray(x)).to(torch.int32)
        maps = torch.nn.functional.pad(maps, (left, right, top, bottom), value=pad_value)
        windows = maps.unfold(2, weights.shape[2], stride[0]).unfold(3, weights.shape[3], stride[1])
        pixels = len(x) * size[0] * size[1]
        rows = windows.permute(1, 4, 5, 0, 2, 3).reshape(groups, depth, pixels)  # taps before pixels: long inner loops
        rows = (rows + 128) * 256
        columns = torch.from_numpy(np.ascontiguousarray(weights)).to(torch.int32).reshape(outputs, depth, 1) + 128
        found = torch.empty((outputs, pixels), dtype=torch.int32)
        step = max(1, CHUNK // depth)
        for output in range(outputs):
            taps = rows[output * groups // outputs]
            for first in range(0, pixels, step):
                where = taps[:, first : first + step] + columns[output]
                products = self._table.index_select(0, where.reshape(-1)).view(where.shape)
                found[output, first : first + step] = products.sum(0, dtype=torch.int32)
        return found.reshape(outputs, len(x), *size).permute(1, 0, 2, 3).contiguous().numpy()
