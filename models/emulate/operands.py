"""What every engine asks of its operands."""

from __future__ import annotations

import math

import numpy as np

from common.errors import UserError
from models.quant.arith import INT8_MAX, INT8_MIN


def output_size(
    x: np.ndarray,
    weights: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    groups: int,
    pad_value: int = 0,
) -> tuple[int, int]:
    """(H', W') of a convolution; raises UserError if operands do not fit each other."""
    for name, value in (("activations", x), ("weights", weights)):
        if value.dtype != np.int8 or value.ndim != 4 or 0 in value.shape:
            raise UserError(f"{name} are {value.dtype} {value.shape}; expected int8 with 4 dimensions, none empty")
    if groups < 1 or x.shape[1] != weights.shape[1] * groups or weights.shape[0] % groups:
        raise UserError(f"{x.shape[1]} channels do not fit weights {weights.shape} in {groups} groups")
    if len(padding) != 4 or len(stride) != 2 or min(padding) < 0 or min(stride) < 1:
        raise UserError(f"stride {stride} or padding {padding} is impossible")
    if not INT8_MIN <= pad_value <= INT8_MAX:
        raise UserError(f"padding has the value {pad_value}; activations are {INT8_MIN}..{INT8_MAX}")
    top, bottom, left, right = padding
    spans = (x.shape[2] + top + bottom - weights.shape[2], x.shape[3] + left + right - weights.shape[3])
    if min(spans) < 0:
        raise UserError(
            f"a window of {weights.shape[2:]} does not fit an input of {x.shape[2:]} with padding {padding}"
        )
    return spans[0] // stride[0] + 1, spans[1] // stride[1] + 1


def check_sums(weights: np.ndarray, largest: int) -> None:
    """UserError if the sums of a layer with these `weights` and products of up to `largest` may not fit int32."""
    taps = math.prod(weights.shape[1:])
    if taps * largest >= 1 << 31:
        raise UserError(f"sums of {taps} products of up to {largest} do not fit int32")
