"""The compiled evaluator (models/search/kernel.cpp) and its portable form in numpy.

Circuits are an `Encoding`'s gates, or two-level product bits of the annealer: int32 [M, 7] with
columns op, op1, x1, y1, op2, x2, y2, meaning op(op1(x1, y1), op2(x2, y2)) over the wires 0..15.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.emulate.native import load_library
from models.encoding import GATES, UNARY, Gate
from models.search.moments import Moments, product_coefficients, walsh_transform

SOURCE = Path(__file__).parent / "kernel.cpp"
CODES = {op: code for code, op in enumerate(GATES)}
NAMES = tuple(GATES)
TERMS = 16  # a function of four bits has at most 16 Walsh coefficients
COLUMNS = (0xAAAA, 0xCCCC, 0xF0F0, 0xFF00)  # truth tables of the four inputs of such a function


class TooWide(ValueError):
    """A circuit that reads more than four operand bits; its statistics come from its table."""


@dataclass(frozen=True)
class Spectra:
    """Walsh coefficients of M bits: counts int32 [M], masks int32 [M, 16], values float64 [M, 16]."""

    counts: np.ndarray
    masks: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel, or None where it cannot be built."""
    try:
        found = load_library(SOURCE)
    except UserError:
        return None
    found.encmac_max_error.restype = ctypes.c_double
    found.encmac_anneal.restype = ctypes.c_long
    return found


@cache
def product_spectrum() -> np.ndarray:
    """Walsh coefficients of a * w for all 65,536 masks, float64."""
    return product_coefficients(np.arange(65536))


def spectra(gates: tuple[Gate, ...] | np.ndarray, wires: np.ndarray, portable: bool = False) -> Spectra:
    """Coefficients of the `wires` int32 [M] of a circuit; raises TooWide beyond four operand bits.

    `gates` is a tuple of `Gate` or int32 [G, 3] of (code, x, y).
    """
    table = gates if isinstance(gates, np.ndarray) else np.array([(CODES[g.op], g.x, g.y) for g in gates], np.int32)
    table = np.ascontiguousarray(table.reshape(-1, 3), np.int32)
    wires = np.ascontiguousarray(wires, np.int32)
    count = len(wires)
    out = Spectra(np.zeros(count, np.int32), np.zeros((count, TERMS), np.int32), np.zeros((count, TERMS)))
    kernel = None if portable else library()
    if kernel is None:
        _portable_spectra(table, wires, out)
        return out
    arrays = (out.counts, out.masks, out.values)
    wide = kernel.encmac_spectra(len(table), _at(table), count, _at(wires), *map(_at, arrays))
    if wide >= 0:
        raise TooWide(f"product bit {wide} reads more than four operand bits")
    return out


def uniform_fit(bits: Spectra, ridge: float = 0.0, portable: bool = False) -> np.ndarray:
    """Weights float64 [M] of the ridge regression of a * w on the bits, uniform operands.

    `ridge` is added to the diagonal of the Gram matrix of *means* (divide a ridge on sums by 65,536).
    """
    count = len(bits)
    kernel = None if portable else library()
    if kernel is not None:
        weights = np.empty(count)
        operands = map(_at, (bits.counts, bits.masks, bits.values, product_spectrum()))
        if not kernel.encmac_uniform_fit(count, *operands, ctypes.c_double(ridge), _at(weights)):
            return weights
    dense = np.zeros((count, 65536))
    for m in range(count):
        dense[m, bits.masks[m, : bits.counts[m]]] = bits.values[m, : bits.counts[m]]
    used = np.flatnonzero(np.abs(dense).sum(0))
    gram = dense[:, used] @ dense[:, used].T
    return np.linalg.lstsq(gram + ridge * np.eye(count), dense[:, used] @ product_spectrum()[used], rcond=1e-12)[0]


def max_error(bits: Spectra, weights: np.ndarray, portable: bool = False) -> float:
    """Largest |a w - sum s b| over all 65,536 operand pairs."""
    kernel = None if portable else library()
    if kernel is not None:
        arrays = (bits.counts, bits.masks, bits.values, np.ascontiguousarray(weights, np.float64), product_spectrum())
        return kernel.encmac_max_error(len(bits), *map(_at, arrays))
    left = product_spectrum().copy()
    for m in range(len(bits)):
        np.subtract.at(left, bits.masks[m, : bits.counts[m]], weights[m] * bits.values[m, : bits.counts[m]])
    return float(np.abs(walsh_transform(left)).max())


def score(
    gates: np.ndarray, outputs: np.ndarray, keep: int, ridge: float, area: np.ndarray
) -> tuple[float, float, np.ndarray, np.ndarray] | None:
    """Largest error, area, kept outputs int32 [keep] and weights float64 [keep + 1] of a genome of the paper's search.

    `gates` int32 [G, 3], `outputs` int32 [O] wires, `area` float64 [10] the price of a gate of each type; what is
    computed, models/search/paper.py says. None where the kernel cannot do it.
    """
    kernel = library()
    if kernel is None:
        return None
    gates, outputs = np.ascontiguousarray(gates, np.int32), np.ascontiguousarray(outputs, np.int32)
    kept, weights, result = np.empty(keep, np.int32), np.empty(keep + 1), np.empty(2)
    failed = kernel.encmac_score(
        len(gates), _at(gates), len(outputs), _at(outputs), _at(product_spectrum()), ctypes.c_double(ridge), keep,
        _at(area), _at(kept), _at(weights), _at(result),
    )  # fmt: skip
    return None if failed else (float(result[0]), float(result[1]), kept, weights)


@dataclass(frozen=True)
class Schedule:
    """Annealing: proposals, first and last temperature in units of log(error), seed."""

    steps: int
    hot: float = 0.1
    cold: float = 1e-3
    seed: int = 1


@dataclass(frozen=True)
class Annealed:
    """Circuits int32 [M, 7], weights float64 [M], error (variance), proposals evaluated."""

    circuits: np.ndarray
    weights: np.ndarray
    error: float
    evaluated: int


def anneal(
    moments: Moments,
    circuits: np.ndarray,
    weights: np.ndarray,
    schedule: Schedule,
    allowed: np.ndarray | None = None,
    area: np.ndarray | None = None,
    price: float = 0.0,
    bounded: bool = True,
) -> Annealed:
    """Anneal log(error) + price * gate area from `circuits` int32 [M, 7], `weights` float64 [M].

    `allowed` (sorted, positive, float64) restricts the size of the weights; None: least squares.
    `area` float64 [10] is the price of a gate of each type. Deterministic for a seed.
    `bounded`: weights are not fitted again where a forecast says that the proposal will be refused, which
    changes no result; False: they always are.
    """
    kernel = library()
    if kernel is None:
        raise UserError("annealing needs the compiled kernel; install a C++ compiler, e.g. apt install g++")
    circuits = np.array(circuits, np.int32, order="C")
    weights = np.array(weights, np.float64, order="C")
    allowed = np.zeros(0) if allowed is None else np.ascontiguousarray(allowed, np.float64)
    area = np.zeros(len(NAMES)) if area is None else np.ascontiguousarray(area, np.float64)
    gram = np.ascontiguousarray(moments.gram)
    towards = np.ascontiguousarray(moments.gram @ moments.target)
    error = ctypes.c_double()
    evaluated = kernel.encmac_anneal(
        len(gram), _at(gram), _at(moments.index), _at(towards), ctypes.c_double(moments.power),
        len(circuits), _at(circuits), _at(weights), _at(allowed), len(allowed),
        ctypes.c_long(schedule.steps), ctypes.c_double(schedule.hot), ctypes.c_double(schedule.cold),
        _at(area), ctypes.c_double(price), ctypes.c_uint64(schedule.seed), bounded, ctypes.byref(error),
    )  # fmt: skip
    if evaluated < 0:
        raise ValueError("a circuit reads more than four operand bits or no activation bit")
    return Annealed(circuits, weights, error.value, evaluated)


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.__array_interface__["data"][0])  # `ctypes.data` takes twice as long


def _portable_spectra(table: np.ndarray, wires: np.ndarray, out: Spectra) -> None:
    """`encmac_spectra` in Python: supports (sorted tuples) and 16-entry truth tables."""
    functions: list[tuple[tuple[int, ...], int] | None] = [((i,), COLUMNS[0]) for i in range(16)]
    for code, x, y in table.tolist():
        op = NAMES[code]
        y = x if op in UNARY else y
        f, g = functions[x], functions[y]
        support = tuple(sorted(set(f[0]) | set(g[0]))) if f and g else range(5)
        if len(support) > 4:
            functions.append(None)
            continue
        bits = [np.array([(t >> p) & 1 for p in _places(s, support)]) for s, t in (f, g)]
        truth = GATES[op](*bits) & 1
        functions.append((support, int((truth << np.arange(TERMS)).sum())))
    for m, wire in enumerate(wires.tolist()):
        if functions[wire] is None:
            raise TooWide(f"product bit {m} reads more than four operand bits")
        support, truth = functions[wire]
        coefficients = walsh_transform(np.array([(truth >> p) & 1 for p in range(TERMS)])) / TERMS
        terms = [u for u in range(1 << len(support)) if coefficients[u]]
        out.counts[m] = len(terms)
        out.masks[m, : len(terms)] = [sum(1 << s for i, s in enumerate(support) if u >> i & 1) for u in terms]
        out.values[m, : len(terms)] = coefficients[terms]


def _places(inner: tuple[int, ...], outer: tuple[int, ...]) -> list[int]:
    """For each of 16 assignments of `outer` inputs, the assignment of `inner` it implies."""
    where = [outer.index(s) for s in inner]
    return [sum(((p >> k) & 1) << i for i, k in enumerate(where)) for p in range(TERMS)]
