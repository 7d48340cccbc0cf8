"""The one place where numbers are rounded: float to integer, and int32 sums back to int8.

Requantisation is the *single rounding* definition of TensorFlow Lite
(`TFLITE_SINGLE_ROUNDING`, `MultiplyByQuantizedMultiplier`): the real factor is a 32-bit integer
times a power of two, and

    y = clamp(((acc * multiplier + (1 << (shift - 1))) >> shift) + zero_point, lo, hi)

in 64-bit two's complement with an arithmetic shift: rounded to nearest, ties towards plus infinity.
Hardware does exactly this, so nothing here may use floating point after `quantise_multiplier`.

Networks imported from TensorFlow Lite keep the *double rounding* of its kernels (gemmlowp's
`SaturatingRoundingDoublingHighMul`, then `RoundingDivideByPOT`): the product is rounded at bit 31, ties towards
plus infinity, then the rest of the shift, ties away from zero. Its default kernels (XNNPACK) and those of ONNX
Runtime multiply the sum, as float32, by a float32 factor and round ties to even: *float* rounding, where the
multiplier has 24 significant bits (`float32_multipliers`). The three differ by 1 at most, and rarely.
"""

from __future__ import annotations

import math

import numpy as np

INT8_MIN, INT8_MAX = -128, 127
MULTIPLIER_BITS = 31  # multipliers are below 2**31: positive int32
MIN_SHIFT, MAX_SHIFT = 1, 62
ROUNDINGS = ("single", "double", "float")


def round_half_even(values: np.ndarray | float) -> np.ndarray:
    """Nearest integers of float `values`, ties to even: int64, same shape. NaN and infinity are refused."""
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("cannot round NaN or infinity to an integer")
    return np.rint(values).astype(np.int64)


def quantise(values: np.ndarray, scale: np.ndarray | float, lo: int = INT8_MIN, hi: int = INT8_MAX) -> np.ndarray:
    """int8 codes of real `values`: round(values / scale), ties to even, clamped to lo..hi."""
    return np.clip(round_half_even(np.asarray(values, np.float64) / scale), lo, hi).astype(np.int8)


def quantise_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier * 2**-shift, the most precise 31-bit multiplier.

    A factor below 2**-32 brings every int32 sum to 0: its multiplier is 0. One above about 2**29 is refused.
    """
    if not (math.isfinite(real) and real > 0):
        raise ValueError(f"requantisation factor {real} is not a positive number")
    mantissa, exponent = math.frexp(real)  # real = mantissa * 2**exponent, mantissa in [0.5, 1)
    multiplier = int(np.rint(mantissa * 2.0**MULTIPLIER_BITS))
    shift = MULTIPLIER_BITS - exponent
    if multiplier == 1 << MULTIPLIER_BITS:
        multiplier, shift = multiplier >> 1, shift - 1
    if shift > MAX_SHIFT:
        return 0, MAX_SHIFT
    if shift < MIN_SHIFT:
        raise ValueError(f"requantisation factor {real} needs a shift of {shift}, outside {MIN_SHIFT}..{MAX_SHIFT}")
    return multiplier, shift


def quantise_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`quantise_multiplier` of each element of float [O]: multipliers int32 [O], shifts int32 [O]."""
    pairs = [quantise_multiplier(float(r)) for r in np.asarray(reals).ravel()]
    return np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.int32)


def float32_multipliers(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and shifts int32 [O] that are the float32 `factors` [O] exactly, for the rounding "float"."""
    return quantise_multipliers(np.asarray(factors, np.float32).astype(np.float64))


def quantise_multiplier_pair(first: float, second: float) -> tuple[int, int, int]:
    """Two multipliers with one shift, as an addition of two scales needs: (m1, m2, shift).

    One bit less than `quantise_multiplier`, so that the sum of two int8 products and the rounding
    constant stays far inside 64 bits; the smaller factor keeps the larger one's shift.
    """
    _, shift = quantise_multiplier(max(first, second))
    scaled = [int(np.rint(f * 2.0 ** (shift - 1))) for f in (first, second)]
    return scaled[0], scaled[1], shift - 1


def scale_sums(
    acc: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int, rounding: str = "single"
) -> np.ndarray:
    """round(acc * multiplier * 2**-shift) of integer `acc` (|acc| < 2**31), by one of ROUNDINGS.

    int64, for the rounding "float" whole numbers in float32 (far beyond int8 where float32 skips integers).
    `multiplier` and `shift` are integers or arrays that broadcast against `acc`.
    """
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    if rounding == "single":
        value = np.multiply(acc, multiplier, dtype=np.int64)
        value += np.left_shift(np.int64(1), shift - 1)
        value >>= shift
        return value
    if rounding == "float":
        factor = np.ldexp(multiplier.astype(np.float64), -shift).astype(np.float32)
        value = np.multiply(acc, factor, dtype=np.float32, casting="same_kind")
        return np.rint(value, out=value)
    if rounding != "double":
        raise ValueError(f"unknown rounding '{rounding}'; known: {', '.join(ROUNDINGS)}")
    value = np.left_shift(np.asarray(acc, np.int64), np.maximum(MULTIPLIER_BITS - shift, 0)) * multiplier
    value += 1 << (MULTIPLIER_BITS - 1)
    value >>= MULTIPLIER_BITS
    right = np.maximum(shift - MULTIPLIER_BITS, 0)
    half = np.where(right > 0, np.left_shift(np.int64(1), np.maximum(right - 1, 0)), 0)
    value += half - ((value < 0) & (right > 0))
    value >>= right
    return value


def requantise(
    acc: np.ndarray,
    multiplier: np.ndarray | int,
    shift: np.ndarray | int,
    lo: int = INT8_MIN,
    hi: int = INT8_MAX,
    zero_point: int = 0,
    rounding: str = "single",
    grid: int = 0,
) -> np.ndarray:
    """int8 of integer sums `acc` (|acc| < 2**31), bit-exact as in the module's text.

    `multiplier` and `shift` are integers or arrays that broadcast against `acc`. With a `grid` the result is the
    nearest multiple of 2**grid: the same arithmetic on a coarser scale (a shift of `grid` more, clamp and zero
    point, which must be a multiple, shifted right), then times 2**grid.
    """
    if zero_point & ((1 << grid) - 1):
        raise ValueError(f"zero point {zero_point} is no multiple of {1 << grid}")
    value = scale_sums(acc, multiplier, np.add(shift, grid) if grid else shift, rounding)
    if zero_point:
        value += zero_point >> grid
    np.clip(value, -(-lo >> grid), hi >> grid, out=value)
    if grid:
        value *= 1 << grid
    return value.astype(np.int8)
