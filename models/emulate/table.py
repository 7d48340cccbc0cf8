"""Convolutions with the products of any 256x256 table: what an array of encoded MACs computes.

The sums are exact integers, so they equal the RTL's bit for bit. The kernels are
models/emulate/table_conv.cpp, which looks products up, and dot_conv.cpp, which multiplies bytes; this
module brings the table into the form that a path of them reads and checks shapes.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.emulate.exact import ExactEngine
from models.emulate.features import Features, features
from models.emulate.native import load_library
from models.emulate.operands import check_sums, output_size

ROWS = ("portable", "avx2", "vbmi")  # look-ups of any table
NIBBLES = ("nibbles_avx2", "nibbles_avx512", "nibbles_neon")  # of one that is low four bits' plus high four bits'
LOOK_UPS = (*ROWS, *NIBBLES)  # in the order of the kernel's numbers
PRODUCTS = "vnni"  # of a table of few terms (models/emulate/features.py)
PATHS = (*LOOK_UPS, PRODUCTS)  # slowest first
QUAD = 4  # terms that are multiplied at once
PIECE = (1 << 14) - 1  # largest value in a row of the vector paths: 7 bits and 7 bits


@cache
def _kernels(name: str) -> ctypes.CDLL:
    library = load_library(Path(__file__).parent / f"{name}.cpp")
    pointer, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    if name == "table_conv":
        library.encmac_planes_bytes.argtypes = [pointer, flag]
        library.encmac_planes_bytes.restype = number
        library.encmac_table_conv.argtypes = [pointer] * 8 + [number] + [flag] * 3
        library.encmac_table_conv.restype = None
        library.encmac_table_peak.argtypes = [flag, number]
        library.encmac_table_peak.restype = number
    else:
        library.encmac_dot_bytes.argtypes = [pointer, number, flag, flag]
        library.encmac_dot_bytes.restype = number
        library.encmac_dot_conv.argtypes = [pointer] * 8 + [number, flag, flag]
        library.encmac_dot_conv.restype = None
        library.encmac_dot_peak.argtypes = [number]
        library.encmac_dot_peak.restype = number
    return library


def available_paths(table: np.ndarray | None = None) -> tuple[str, ...]:
    """Paths that this processor can run, of any table or of `table` int32 [256, 256], fastest last."""
    paths = tuple(path for i, path in enumerate(LOOK_UPS) if _kernels("table_conv").encmac_has_path(i))
    if _kernels("dot_conv").encmac_has_dot():
        paths += (PRODUCTS,)
    return paths if table is None else tuple(path for path in paths if _takes(path, table))


def _takes(path: str, table: np.ndarray) -> bool:
    if path == PRODUCTS:
        return _features(table.tobytes()) is not None
    return path in ROWS or nibbles(table) is not None


@lru_cache(maxsize=32)
def _features(table: bytes) -> Features | None:
    """Terms of an int32 table: found once, although engines of it are many."""
    return features(np.frombuffer(table, np.int32).reshape(256, 256))


def exact_table() -> np.ndarray:
    """The products themselves: int32 [256, 256], index [a + 128, w + 128]."""
    operands = np.arange(-128, 128, dtype=np.int32)
    return np.multiply.outer(operands, operands)


def checked_table(table: np.ndarray, source: str = "product table") -> np.ndarray:
    """`table` as int32 [256, 256]; UserError, naming `source`, unless it holds 256x256 integers of 16 bits."""
    table = np.asarray(table)
    if table.shape != (256, 256) or not np.issubdtype(table.dtype, np.integer):
        raise UserError(f"{source} is {table.dtype} {table.shape}; expected integers [256, 256]")
    if table.min() < -(1 << 15) or table.max() >= 1 << 15:
        raise UserError(f"{source} reaches {table.min()}..{table.max()}; products must fit 16 bits")
    return table.astype(np.int32)


def nibbles(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(constant [256], low [256, 16], high [256, 16]) by weight byte, int64, of an int [256, 256] `table`.

    Its products are constant[w] + low[w, a & 15] + high[w, a >> 4] of the activation byte, neither below 0; None if
    the table is not of that form.
    """
    by_byte = np.arange(256) ^ 128
    products = table[np.ix_(by_byte, by_byte)].T.astype(np.int64)
    low, high = products[:, :16], products[:, ::16] - products[:, :1]
    if not np.array_equal(products.reshape(256, 16, 16), high[:, :, None] + low[:, None]):
        return None
    least = low.min(axis=1, keepdims=True), high.min(axis=1, keepdims=True)
    return (least[0] + least[1])[:, 0], low - least[0], high - least[1]


@dataclass(frozen=True)
class _Rows:
    """A table as the kernel reads it: rows of weight byte w are `data[first[w] : first[w + 1]]`, see the kernel."""

    data: np.ndarray  # [rows + 1, ...]
    first: np.ndarray  # int32 [257]
    constant: np.ndarray  # int32 [256]


def kernel_rows(table: np.ndarray, path: str, is_signed: bool) -> _Rows:
    """Rows of `table` int [256, 256] for one of LOOK_UPS and activations 0..127 or, if `is_signed`, for all."""
    if path in NIBBLES:
        return _nibble_rows(table)
    by_byte = np.arange(256) ^ 128  # index of the value whose two's complement byte is i
    products = table[np.ix_(by_byte, by_byte)].T[:, : 256 if is_signed else 128]
    constant = products.min(axis=1)
    rows, first = _pieces(products - constant[:, None], PIECE if path != "portable" else 1 << 16)
    if path == "portable":
        return _Rows(_kept(rows, np.uint16), first, constant.astype(np.int32))
    data = np.stack([rows & 127, rows >> 7], axis=1)  # [rows, plane, activation byte]
    if path == "avx2":  # differences of steps of 16 activations, from 0 on in each half of the codes
        steps = data.reshape(len(rows), 2, -1, 8, 16)
        data = np.diff(steps, axis=3, prepend=0).transpose(0, 2, 3, 1, 4)
    return _Rows(_kept(data, np.uint8), first, constant.astype(np.int32))


def _nibble_rows(table: np.ndarray) -> _Rows:
    """Rows of a table that has `nibbles`: digits of the low four bits' values, then of the high ones'."""
    found = nibbles(table)
    if found is None:
        raise AssertionError("a table without nibbles")
    constant, low, high = found
    most = min(max(int(low.max()), 1), PIECE)
    limits = np.repeat([most, ((255 - (most >> 7)) << 7) + 127], 16)  # digits of both sum to a byte
    rows, first = _pieces(np.concatenate([low, high], axis=1), limits)
    data = np.stack([rows & 127, rows >> 7], axis=1).reshape(-1, 2, 2, 16).transpose(0, 2, 1, 3)
    return _Rows(_kept(data, np.uint8), first, constant.astype(np.int32))


def _pieces(rest: np.ndarray, limit: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of at most `limit` whose sums are the rows `rest` [256, ...], then zeros; number of each one's first."""
    pieces = (-(-rest // limit)).max(axis=1)
    first = np.concatenate([[0], pieces.cumsum()]).astype(np.int32)
    number = np.arange(first[-1]) - np.repeat(first[:-1], pieces)  # of a piece in its row
    rows = np.clip(np.repeat(rest, pieces, axis=0) - limit * number[:, None], 0, limit)
    return np.concatenate([rows, np.zeros_like(rest[:1])]), first


def _kept(data: np.ndarray, kind: type) -> np.ndarray:
    """`data` as numbers of `kind`, beginning with a cache line."""
    place: np.ndarray = _aligned(data.size * np.dtype(kind).itemsize).view(kind).reshape(data.shape)
    place[:] = data
    return place


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]  # `ctypes.data` takes several times as long


def _aligned(size: int) -> np.ndarray:
    """uint8 [size], not initialised, that begins with a cache line: vector loads that cross one are slow."""
    memory = np.empty(size + 63, np.uint8)
    begin = -_address(memory) % 64
    return memory[begin : begin + size]


class _LookUps:
    """The kernel that looks products of `table` up, by one of LOOK_UPS."""

    def __init__(self, table: np.ndarray, path: str) -> None:
        self.path = path
        self._rows = cache(lambda signed: kernel_rows(table, path, signed))

    def planes_bytes(self, numbers: np.ndarray, _threads: int) -> int:
        return _kernels("table_conv").encmac_planes_bytes(_address(numbers), LOOK_UPS.index(self.path))

    def run(self, operands: tuple[np.ndarray, ...], signed: bool, threads: int) -> None:
        """`operands` are x, weights, result, planes and the kernel's shape."""
        x, weights, *rest = operands
        table = self._rows(signed)
        pointers = map(_address, (x, weights, table.data, table.first, table.constant, *rest))
        path = LOOK_UPS.index(self.path)
        _kernels("table_conv").encmac_table_conv(*pointers, table.data[0].nbytes, signed, path, threads)

    def peak(self, times: int, signed: bool) -> float:
        each = {"avx2": 16, "vbmi": 2}.get(self.path, 4) << (signed and self.path in ROWS)  # look-ups for a product
        return _kernels("table_conv").encmac_table_peak(LOOK_UPS.index(self.path), times) / each


def _is_grouped(outputs: int, groups: int) -> bool:
    """Whether the groups of a layer have but few outputs each."""
    return outputs < 4 * groups


class _Products:
    """The kernel that multiplies the terms of a table."""

    path = PRODUCTS

    def __init__(self, terms: Features) -> None:
        self.terms = terms
        self._shared = int(terms.shared)

    def _split(self, numbers: np.ndarray) -> tuple[int, int]:
        """Terms that are multiplied; 1 if the last is summed once for all outputs, which pays if a group has some."""
        shared = 0 if _is_grouped(int(numbers[4]), int(numbers[13])) else self._shared
        return self.terms.rank - shared, shared

    def planes_bytes(self, numbers: np.ndarray, threads: int) -> int:
        return _kernels("dot_conv").encmac_dot_bytes(_address(numbers), *self._split(numbers), threads)

    def run(self, operands: tuple[np.ndarray, ...], _signed: bool, threads: int) -> None:
        """`operands` are x, weights, result, planes and the kernel's shape."""
        x, weights, *rest = operands
        terms = self.terms
        pointers = map(_address, (x, weights, terms.u, terms.v, terms.constant, *rest))
        _kernels("dot_conv").encmac_dot_conv(*pointers, *self._split(operands[-1]), threads)

    def peak(self, times: int, _signed: bool) -> float:
        return _kernels("dot_conv").encmac_dot_peak(times) / (self.terms.rank - self._shared)


class TableEngine:
    """Engine (see models.quant.graph) whose product of `a` and `w` is `table[a + 128, w + 128]`.

    `table` integer [256, 256], values in int16; `threads` defaults to all processors; `path` is
    "auto", the fastest there is for a layer, or one of `PATHS` (a UserError where this processor lacks it, or where the
    table is not of its kind).
    """

    def __init__(self, table: np.ndarray, threads: int | None = None, path: str = "auto") -> None:
        self.table = checked_table(table)
        if threads is not None and threads < 0:
            raise UserError(f"{threads} threads; give 1 or more, or None for all processors")
        if path not in ("auto", *PATHS):
            raise UserError(f"unknown path '{path}'; known: auto, {', '.join(PATHS)}")
        if path not in ("auto", *available_paths()):
            raise UserError(f"this processor has no path '{path}'; it has: auto, {', '.join(available_paths())}")
        paths = available_paths(self.table)
        if path not in ("auto", *paths):
            raise UserError(f"path '{path}' is for tables of another kind; for this one: {', '.join(paths)}")
        self.path = paths[-1] if path == "auto" else path
        terms = _features(self.table.tobytes()) if self.path == PRODUCTS else None
        self._kernel: _Products | _LookUps = _Products(terms) if terms else _LookUps(self.table, self.path)
        self._grouped = self._kernel  # for depthwise layers, whose terms fill a quad or leave it half empty
        if path == "auto" and terms and terms.rank > QUAD and paths[-2] in NIBBLES:
            self._grouped = _LookUps(self.table, paths[-2])
        # rows of activations from 0 on take half the look-ups
        rows = path == "auto" and self.path not in ROWS and "vbmi" in paths
        self._grouped_from_0: _Products | _LookUps = _LookUps(self.table, "vbmi") if rows else self._grouped
        self.threads = threads or len(os.sched_getaffinity(0))
        self._largest = max(int(np.abs(self.table).max()), 1)

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
        rows, columns = output_size(x, weights, stride, padding, groups, pad_value)
        check_sums(weights, self._largest)
        x, weights = np.ascontiguousarray(x), np.ascontiguousarray(weights)
        out = np.empty((x.shape[0], weights.shape[0], rows, columns), np.int32)
        numbers = kernel_shape(x.shape, weights.shape, stride, padding, groups, pad_value, rows, columns)
        kernel: _Products | _LookUps = self._kernel
        grouped = _is_grouped(len(weights), groups)
        signed = (grouped or self.path in ROWS) and (pad_value < 0 or bool(x.min() < 0))
        if grouped:
            kernel = self._grouped if signed else self._grouped_from_0
        planes = _aligned(kernel.planes_bytes(numbers, self.threads))
        kernel.run((x, weights, out, planes, numbers), signed and kernel.path in ROWS, self.threads)
        return out

    def peak(self, times: int, signed: bool) -> float:
        """Run only the instruction that the path is bound by; the multiply-accumulates that so many of them make.

        0 for the portable path, which is bound by loads; `signed`: activations below 0 are among them.
        """
        return self._kernel.peak(times, signed)

    def workspace_bytes(
        self,
        x_shape: tuple[int, int, int, int],
        weights_shape: tuple[int, int, int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> int:
        """Bytes that a convolution takes beside its operands and its result: the kernel's planes of the input."""
        sizes = zip(x_shape[2:], weights_shape[2:], padding[::2], padding[1::2], stride, strict=True)
        rows, columns = ((size + before + after - kernel) // step + 1 for size, kernel, before, after, step in sizes)
        numbers = kernel_shape(x_shape, weights_shape, stride, padding, groups, 0, rows, columns)
        grouped = _is_grouped(weights_shape[0], groups)
        kernels = (self._grouped, self._grouped_from_0) if grouped else (self._kernel,)
        return max(kernel.planes_bytes(numbers, self.threads) for kernel in kernels)


def exact_engine(threads: int | None = None) -> TableEngine | ExactEngine:
    """The fastest engine of exact products: dot products of bytes where this processor has them, else floats."""
    return TableEngine(exact_table(), threads) if PRODUCTS in available_paths() else ExactEngine()


def kernel_shape(x_shape, weights_shape, stride, padding, groups, pad_value, rows, columns) -> np.ndarray:
    """`Shape` of the kernels, int64 [15]."""
    top, _, left, _ = padding
    kernel = (weights_shape[0], *weights_shape[2:])
    return np.array([*x_shape, *kernel, *stride, top, left, rows, columns, groups, pad_value], np.int64)
