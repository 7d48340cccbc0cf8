"""Exact integer convolutions on floating-point units, for the int8 baseline."""

from __future__ import annotations

import numpy as np

from models.emulate.operands import check_sums, output_size

LARGEST_PRODUCT = 1 << 14  # |a * w| <= 128 * 128
FLOAT32_INTEGERS = 1 << 24  # float32 holds every integer up to here


class ExactEngine:
    """Engine (see models.quant.graph) of exact products.

    Sums of K products stay integers below 2**24 in float32 if K * 2**14 < 2**24, otherwise float64
    is used: the result is exact whatever the order of summation. Torch is imported with the first
    engine, so that simulations and searches, which need none, start without it.
    """

    def __init__(self) -> None:
        import torch

        self._torch = torch
        # NNPACK would use Winograd's algorithm, whose intermediate values are no integers.
        torch.backends.nnpack.set_flags(False)

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
        output_size(x, weights, stride, padding, groups, pad_value)
        check_sums(weights, LARGEST_PRODUCT)
        torch = self._torch
        products = int(np.prod(weights.shape[1:]))
        kind = np.float32 if products * LARGEST_PRODUCT < FLOAT32_INTEGERS else np.float64
        top, bottom, left, right = padding
        operand = torch.from_numpy(x.astype(kind, order="C"))
        if any(padding):
            operand = torch.nn.functional.pad(operand, (left, right, top, bottom), value=float(pad_value))
        kernel = torch.from_numpy(weights.astype(kind, order="C"))
        with torch.inference_mode():
            acc = torch.nn.functional.conv2d(operand, kernel, stride=stride, groups=groups)
        return acc.to(torch.int32).numpy()
