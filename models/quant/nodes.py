"""Nodes of integer networks that multiply no activations by weights: exact functions of int8 tensors.

Tensors are int8 [N, C, H, W] or [N, C]; real value = scale * (q - zero_point). Where a node subtracts the
zero point of an operand, it is a field of the node; everything is integer arithmetic of models.quant.arith.
With a `grid` the results are multiples of 2**grid, rounded once, from the wide value (models/quant/grid.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from models.quant.arith import INT8_MAX, INT8_MIN, requantise, scale_sums

BLOCK = 1 << 16  # sums requantised at once: they stay in the cache


@dataclass(frozen=True)
class Requant:
    """int32 sums to int8: `multiplier`, `shift` int32 [O] or [1] (see models.quant.arith), clamp lo..hi.

    On a `grid` a zero point between its multiples is the one below and the rest added to the sums (`offsets`).
    """

    multiplier: np.ndarray
    shift: np.ndarray
    lo: int = INT8_MIN
    hi: int = INT8_MAX
    zero_point: int = 0
    rounding: str = "single"
    grid: int = 0

    @property
    def factors(self) -> np.ndarray:
        """Real factors multiplier * 2**-shift, float64 [O] or [1]."""
        return np.ldexp(self.multiplier.astype(np.float64), -self.shift)

    @property
    def offsets(self) -> np.ndarray:
        """What the part of the zero point between multiples of 2**grid is in sums: int64 [O] or [1]."""
        rest = self.zero_point & ((1 << self.grid) - 1)
        factors = self.factors
        return np.rint(rest / np.where(factors > 0, factors, np.inf)).astype(np.int64)

    def coarse(self) -> Requant:
        """The requantiser without a grid whose result for sums plus `offsets` is this one's over 2**grid."""
        lo, hi, zero_point = -(-self.lo >> self.grid), self.hi >> self.grid, self.zero_point >> self.grid
        return Requant(self.multiplier, self.shift + np.int32(self.grid), lo, hi, zero_point, self.rounding)

    def __call__(self, acc: np.ndarray) -> np.ndarray:
        """int8 of `acc` int32 [N, O, ...]."""
        if self.grid and self.zero_point:
            offsets = np.broadcast_to(self.offsets, acc.shape[1:2])
            acc = acc + offsets.reshape(-1, *[1] * (acc.ndim - 2))
        zero_point = self.zero_point >> self.grid << self.grid
        rows = acc.reshape(len(acc) * acc.shape[1], -1)
        repeats = len(rows) // len(self.multiplier)
        multiplier, shift = (np.tile(v, repeats)[:, None] for v in (self.multiplier, self.shift))
        result = np.empty(rows.shape, np.int8)
        step = max(1, BLOCK // rows.shape[1])
        for i in range(0, len(rows), step):
            part = slice(i, i + step)
            result[part] = requantise(
                rows[part], multiplier[part], shift[part], self.lo, self.hi, zero_point, self.rounding, self.grid
            )
        return result.reshape(acc.shape)


@dataclass(frozen=True)
class _OneSource:
    name: str
    source: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.source,)


@dataclass(frozen=True)
class Add:
    """Sum of two int8 tensors: clamp(((a - za) * m1 + (b - zb) * m2 + (1 << (shift - 1))) >> shift) + zero_point."""

    name: str
    sources: tuple[str, str]
    multipliers: tuple[int, int]
    shift: int
    output_scale: float
    lo: int = INT8_MIN
    hi: int = INT8_MAX
    zero_point: int = 0
    input_zero_points: tuple[int, int] = (0, 0)
    grid: int = 0

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """int8 of int8 `a`, `b` (same shape)."""
        za, zb = self.input_zero_points
        total = (a - np.int64(za)) * self.multipliers[0] + (b - np.int64(zb)) * self.multipliers[1]
        zero_point = self.zero_point >> self.grid << self.grid
        total += self.zero_point - zero_point << self.shift
        return requantise(total, 1, self.shift, self.lo, self.hi, zero_point, grid=self.grid)


@dataclass(frozen=True)
class TfliteAdd:
    """Sum of two int8 tensors as TensorFlow Lite defines it: three requantisations.

    Operands are shifted left by LEFT_SHIFT bits and brought to twice the larger of their scales, the sum to the
    output's. `multipliers` and `shifts` are those of a, b and the sum.
    """

    name: str
    sources: tuple[str, str]
    multipliers: tuple[int, int, int]
    shifts: tuple[int, int, int]
    output_scale: float
    lo: int = INT8_MIN
    hi: int = INT8_MAX
    zero_point: int = 0
    input_zero_points: tuple[int, int] = (0, 0)
    rounding: str = "double"
    grid: int = 0

    LEFT_SHIFT = 20

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """int8 of int8 `a`, `b` (same shape)."""
        # an operand has 256 values: its requantisation is a table
        codes = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)
        total = 0
        for i, x in enumerate((a, b)):
            shifted = (codes - self.input_zero_points[i]) << self.LEFT_SHIFT
            table = scale_sums(shifted, self.multipliers[i], self.shifts[i], self.rounding)
            total = total + table[x.astype(np.int16) + 128]
        last = (np.array([v[2]], np.int32) for v in (self.multipliers, self.shifts))
        return Requant(*last, self.lo, self.hi, self.zero_point, self.rounding, self.grid)(total)


@dataclass(frozen=True)
class Multiply:
    """Product of two int8 tensors: requant((a - za) * (b - zb)); a `b` of [N, C] or [N, C, 1, 1] scales channels."""

    name: str
    sources: tuple[str, str]
    requant: Requant
    output_scale: float
    input_zero_points: tuple[int, int] = (0, 0)

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """int8 [N, C, H, W] of int8 `a` [N, C, H, W] and `b`."""
        if b.ndim < a.ndim:
            b = b.reshape(*b.shape, *[1] * (a.ndim - b.ndim))
        za, zb = self.input_zero_points
        return self.requant((a - np.int32(za)) * (b - np.int32(zb)))


@dataclass(frozen=True)
class Lookup(_OneSource):
    """Any function of one int8 value: `table` int8 [256], index q + 128 (SiLU, sigmoid, clamp, another scale)."""

    table: np.ndarray
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 of int8 `x`, same shape."""
        return self.table[x.astype(np.int16) + 128]


@dataclass(frozen=True)
class SubsamplePad(_OneSource):
    """Parameter-free shortcut ("option A"): every `stride`-th pixel, zero channels around."""

    stride: int
    before: int
    after: int
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, before + C + after, H', W'] of int8 [N, C, H, W]."""
        x = x[:, :, :: self.stride, :: self.stride]
        return np.pad(x, ((0, 0), (self.before, self.after), (0, 0), (0, 0)))


@dataclass(frozen=True)
class GlobalAveragePool(_OneSource):
    """Mean over all pixels: the integer sum, requantised (the 1/pixels is in the multiplier)."""

    requant: Requant
    output_scale: float
    input_zero_point: int = 0
    keep: bool = False  # the result stays [N, C, 1, 1]
    pixels: int = 0  # of the feature map that the multiplier is for; 0 in networks that do not say

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, C] of int8 [N, C, H, W]."""
        if self.pixels and x.shape[2] * x.shape[3] != self.pixels:
            raise UserError(
                f"node {self.name} averages {self.pixels} pixels, these images give {x.shape[2]} x {x.shape[3]}; "
                "give images of the size that the network was quantised for"
            )
        total = x.sum(axis=(2, 3), dtype=np.int32) - np.int32(self.input_zero_point * x.shape[2] * x.shape[3])
        pooled = self.requant(total)
        return pooled[:, :, None, None] if self.keep else pooled


@dataclass(frozen=True)
class Pool(_OneSource):
    """Largest value or mean (`reduction` "max" or "average") of a window.

    `padding` (top, bottom, left, right) counts for neither. The mean is the integer quotient, rounded to nearest,
    ties away from zero, of the values that are there.
    """

    reduction: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    output_scale: float
    lo: int = INT8_MIN
    hi: int = INT8_MAX
    grid: int = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, C, H', W'] of int8 [N, C, H, W]."""
        if self.reduction == "max":
            result = self._reduce(x, np.maximum, INT8_MIN)
        else:
            total = self._reduce(x.astype(np.int32), np.add, 0)
            count = self._reduce(np.ones((1, 1, *x.shape[2:]), np.int32), np.add, 0) << self.grid
            result = np.sign(total) * ((np.abs(total) + count // 2) // count) << self.grid
        lo, hi = (-(-self.lo >> self.grid) << self.grid), (self.hi >> self.grid << self.grid)
        return np.clip(result, lo, hi).astype(np.int8)

    def _reduce(self, x: np.ndarray, combine: np.ufunc, neutral: int) -> np.ndarray:
        top, bottom, left, right = self.padding
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=neutral)
        (kh, kw), (sy, sx) = self.kernel, self.stride
        rows, columns = (x.shape[2] - kh) // sy + 1, (x.shape[3] - kw) // sx + 1
        result = None
        for ky in range(kh):
            for kx in range(kw):
                part = x[:, :, ky : ky + sy * (rows - 1) + 1 : sy, kx : kx + sx * (columns - 1) + 1 : sx]
                result = part.copy() if result is None else combine(result, part, out=result)
        return result


@dataclass(frozen=True)
class Pad(_OneSource):
    """Pixels of value `value` around: `padding` (top, bottom, left, right)."""

    padding: tuple[int, int, int, int]
    value: int
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, C, H', W'] of int8 [N, C, H, W]."""
        top, bottom, left, right = self.padding
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=self.value)


@dataclass(frozen=True)
class Pixels(_OneSource):
    """Rows of numbers as pixels, their places in a row as channels: what a matrix product is a 1x1 convolution of."""

    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, K, rows, 1] of int8 [N, ..., K]."""
        return np.ascontiguousarray(x.reshape(len(x), -1, x.shape[-1]).transpose(0, 2, 1))[..., None]


@dataclass(frozen=True)
class Rows(_OneSource):
    """Pixels as rows again: `shape` is that of the result for one image."""

    shape: tuple[int, ...]
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, *shape] of int8 [N, O, rows, 1]."""
        return x[..., 0].transpose(0, 2, 1).reshape(len(x), *self.shape)


@dataclass(frozen=True)
class Repeat(_OneSource):
    """Every channel `times` times: a weight of more than 8 bits is the sum of several that have 8."""

    times: int
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, times * C, ...] of int8 [N, C, ...]."""
        return np.repeat(x, self.times, axis=1)


@dataclass(frozen=True)
class Spread(_OneSource):
    """`stride` - 1 pixels of value `value` between neighbours: what a transposed convolution convolves."""

    stride: tuple[int, int]
    value: int
    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, C, (H - 1) * sy + 1, (W - 1) * sx + 1] of int8 [N, C, H, W]."""
        sy, sx = self.stride
        wide = np.full((*x.shape[:2], (x.shape[2] - 1) * sy + 1, (x.shape[3] - 1) * sx + 1), self.value, x.dtype)
        wide[:, :, ::sy, ::sx] = x
        return wide


@dataclass(frozen=True)
class Flatten(_OneSource):
    """[N, C, H, W] to [N, C * H * W], channel by channel."""

    output_scale: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, C * H * W] of int8 [N, C, H, W]."""
        return x.reshape(len(x), -1)


@dataclass(frozen=True)
class Rescale(_OneSource):
    """Sums of classes with weights of different scales brought to one, behind the array.

    `multiplier`, `shift` int32 [O]: round(sum * multiplier * 2**-shift) as models.quant.arith has it, int32.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    output_scale: float

    @property
    def factors(self) -> np.ndarray:
        """Real factors multiplier * 2**-shift, float64 [O]."""
        return np.ldexp(self.multiplier.astype(np.float64), -self.shift)

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        """int32 [N, O] of int32 `sums` [N, O]."""
        return scale_sums(sums, self.multiplier, self.shift).astype(np.int32)


PlainNode = (
    Add
    | TfliteAdd
    | Multiply
    | Lookup
    | SubsamplePad
    | GlobalAveragePool
    | Pool
    | Pad
    | Pixels
    | Rows
    | Repeat
    | Spread
    | Flatten
    | Rescale
)
