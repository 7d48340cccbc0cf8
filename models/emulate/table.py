"""Convolutions with the products of any 256x256 table: what an array of encoded MACs computes.

The sums are exact integers, so they equal the RTL's bit for bit. The kernel is
models/emulate/table_conv.cpp; this module prepares the table and checks shapes.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np

from models.emulate.native import load_library
from models.errors import UserError

SOURCE = Path(__file__).parent / "table_conv.cpp"
PATHS = ("auto", "portable", "vbmi")


@cache
def _kernel() -> ctypes.CDLL:
    library = load_library(SOURCE)
    library.encmac_table_conv.argtypes = [ctypes.c_void_p] * 7 + [ctypes.c_int] * 2
    library.encmac_table_conv.restype = None
    return library


def has_vbmi() -> bool:
    """True if this processor has the AVX-512 VBMI instructions of the fast path."""
    return bool(_kernel().encmac_has_vbmi())


def exact_table() -> np.ndarray:
    """The products themselves: int32 [256, 256], index [a + 128, w + 128]."""
    operands = np.arange(-128, 128, dtype=np.int32)
    return np.multiply.outer(operands, operands)


class TableEngine:
    """Engine (see models.quant.graph) whose product of `a` and `w` is `table[a + 128, w + 128]`.

    `table` integer [256, 256], values in int16; `threads` defaults to all processors; `path` is
    "auto", "portable" or "vbmi" (a UserError where that does not exist).
    """

    def __init__(self, table: np.ndarray, threads: int | None = None, path: str = "auto") -> None:
        table = np.asarray(table)
        if table.shape != (256, 256) or not np.issubdtype(table.dtype, np.integer):
            raise UserError(f"product table is {table.dtype} {table.shape}; expected integers [256, 256]")
        if table.min() < -(1 << 15) or table.max() >= 1 << 15:
            raise UserError(f"product table reaches {table.min()}..{table.max()}; products must fit 16 bits")
        if path not in PATHS:
            raise UserError(f"unknown path '{path}'; known: {', '.join(PATHS)}")
        if path == "vbmi" and not has_vbmi():
            raise UserError("this processor has no AVX-512 VBMI; use path 'auto' or 'portable'")
        self.vbmi = path != "portable" and has_vbmi()
        self.threads = threads or len(os.sched_getaffinity(0))
        by_byte = np.arange(256) ^ 128  # index of the value whose two's complement byte is i
        rows = np.ascontiguousarray(table[np.ix_(by_byte, by_byte)].T.astype(np.int16))
        self._rows = rows  # [weight byte, activation byte]
        self._planes = np.ascontiguousarray(np.stack([rows & 0xFF, (rows >> 8) & 0xFF], axis=1).astype(np.uint8))
        positive = rows[:, :128]
        extremes = [positive.min(axis=1), positive.max(axis=1), rows.min(axis=1), rows.max(axis=1)]
        self._extremes = np.ascontiguousarray(extremes, np.int32)
        self._largest = max(int(np.abs(table).max()), 1)

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
        rows, columns = output_size(x, weights, stride, padding, groups)
        taps = int(np.prod(weights.shape[1:]))
        if taps * self._largest >= 1 << 31:
            raise UserError(f"sums of {taps} products of up to {self._largest} do not fit int32")
        x, weights = np.ascontiguousarray(x), np.ascontiguousarray(weights)
        out = np.empty((x.shape[0], weights.shape[0], rows, columns), np.int32)
        top, _, left, _ = padding
        kernel = (weights.shape[0], *weights.shape[2:])
        numbers = np.array([*x.shape, *kernel, *stride, top, left, rows, columns, groups, pad_value], np.int64)
        operands = (x, weights, self._rows, self._planes, self._extremes, out, numbers)
        _kernel().encmac_table_conv(*(o.ctypes.data for o in operands), self.threads, self.vbmi)
        return out


def output_size(
    x: np.ndarray,
    weights: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    groups: int,
) -> tuple[int, int]:
    """(H', W') of a convolution; raises UserError if operands do not fit each other."""
    for name, value in (("activations", x), ("weights", weights)):
        if value.dtype != np.int8 or value.ndim != 4 or 0 in value.shape:
            raise UserError(f"{name} are {value.dtype} {value.shape}; expected int8 with 4 dimensions, none empty")
    if groups < 1 or x.shape[1] != weights.shape[1] * groups or weights.shape[0] % groups:
        raise UserError(f"{x.shape[1]} channels do not fit weights {weights.shape} in {groups} groups")
    if len(padding) != 4 or len(stride) != 2 or min(padding) < 0 or min(stride) < 1:
        raise UserError(f"stride {stride} or padding {padding} is impossible")
    top, bottom, left, right = padding
    spans = (x.shape[2] + top + bottom - weights.shape[2], x.shape[3] + left + right - weights.shape[3])
    if min(spans) < 0:
        raise UserError(
            f"a window of {weights.shape[2:]} does not fit an input of {x.shape[2:]} with padding {padding}"
        )
    return spans[0] // stride[0] + 1, spans[1] // stride[1] + 1
