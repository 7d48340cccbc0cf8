"""Error figures of an encoding, from its product table alone (so they hold for any circuit)."""

from __future__ import annotations

import numpy as np

from models.encoding import Encoding

SQUARE = np.multiply.outer(np.arange(-128.0, 128.0), np.arange(-128.0, 128.0))  # a * w


def table_errors(table: np.ndarray, joint: np.ndarray) -> dict[str, float]:
    """Errors of a product table [256, 256] under p(a, w) `joint`, float64 [256, 256], in product units.

    rmse: root of E[err^2]; centred_rmse: the same after the correction E[err | w] that the bias of
    each output channel absorbs; relative: centred_rmse over the centred product's own deviation.
    """
    error = table - SQUARE
    p_w = joint.sum(0)
    given = np.where(p_w > 0, p_w, 1)
    left = error - (joint * error).sum(0) / given
    product = SQUARE - (joint * SQUARE).sum(0) / given
    centred = float((joint * left**2).sum())
    power = float((joint * product**2).sum())
    return {
        "rmse": float((joint * error**2).sum()) ** 0.5,
        "centred_rmse": centred**0.5,
        "relative": (centred / power) ** 0.5 if power else 0.0,
    }


def figures(encoding: Encoding, joints: dict[str, np.ndarray]) -> dict:
    """Figures stored with an encoding; `joints` are distributions p(a, w) by name, "uniform" is added."""
    flat = {"uniform": np.full((256, 256), 1 / 65536)}
    errors = {
        name: {k: significant(v) for k, v in table_errors(encoding.product_table, joint).items()}
        for name, joint in (flat | joints).items()
    }
    return {
        "max_relative_error": significant(encoding.max_relative_error()),
        "array_at_zero": int(encoding.array_table[128, 128]),
        "gates": len(encoding.gates),
        "digits": len(encoding.digits),
        "errors": errors,
    }


def significant(value: float, digits: int = 6) -> float:
    """`value` rounded to some significant decimal digits, so that files compare across machines."""
    return float(f"{value:.{digits}g}")
