"""Joint histograms of the operand pairs a network multiplies: what an encoding is fitted to.

A histogram is float64 [256, 256], index [a + 128, w + 128], the number (or weight) of products of
each operand pair. Stored as `.npz` with one such array.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import NO_ARRAYS, first_line

UNIFORM_SHARE = 1e-3  # of uniform mass mixed in, so that no operand pair is without consequence


def load_histogram(path: str | Path) -> np.ndarray:
    """Histogram of a `.npz` (array `joint`, or its only array) or `.npy`: float64 [256, 256]."""
    try:
        stored = np.load(path)
        if isinstance(stored, np.lib.npyio.NpzFile):
            names = stored.files
            key = next((k for k in ("joint", "histogram") if k in names), names[0] if len(names) == 1 else None)
            if key is None:
                raise UserError(f"{path}: no array 'joint' among {', '.join(names) or 'none'}")
            stored = stored[key]
    except NO_ARRAYS as error:
        raise UserError(
            f"cannot read histogram {path} ({first_line(error)}); it must be .npz with float64 [256, 256]"
        ) from error
    return check_histogram(stored, str(path))


def check_histogram(histogram: np.ndarray, source: str) -> np.ndarray:
    """`histogram` as float64 [256, 256] if it is one; UserError naming `source` if not."""
    if histogram.shape != (256, 256):
        raise UserError(f"{source}: histogram of shape {list(histogram.shape)}; it must be [256, 256]")
    if not np.issubdtype(histogram.dtype, np.number) or np.iscomplexobj(histogram):
        raise UserError(f"{source}: histogram of type {histogram.dtype}; it must be real numbers")
    histogram = histogram.astype(np.float64)
    if not np.isfinite(histogram).all() or histogram.min() < 0:
        raise UserError(f"{source}: the histogram has negative or non-finite entries; count the operand pairs again")
    if histogram.sum() <= 0:
        raise UserError(f"{source}: the histogram has no mass; count the operand pairs of some images first")
    return histogram


def joint_distribution(histogram: np.ndarray | None, uniform: float = UNIFORM_SHARE) -> np.ndarray:
    """p(a, w), float64 [256, 256] of sum 1: the histogram with a share of uniform mass; None: uniform."""
    flat = np.full((256, 256), 1 / 65536)
    return flat if histogram is None else (1 - uniform) * histogram / histogram.sum() + uniform * flat
