"""From wrong sums to the product bit or count that explains them.

A testbench sees ports only. But the golden model knows every product bit of the encoding, so it can
say which single fault (a bit of one row, a bit of all rows, a position weight, a count) turns the expected sums into
those that came. What fits all wrong sums of a column is a strong hint where to look in the waves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoding import Encoding, load_encoding

USED_MISMATCHES = 16


@dataclass(frozen=True)
class Mismatch:
    """One wrong sum: operands of its column int8 [R], what should have come and what came."""

    activations: np.ndarray
    weights: np.ndarray
    expected: int
    got: int


def first_wrong_bit(mismatch: Mismatch) -> int:
    """Lowest bit in which two sums differ."""
    difference = mismatch.expected ^ mismatch.got
    return (difference & -difference).bit_length() - 1


def explain(mismatches: Sequence[Mismatch], encoding: Encoding | None) -> str:
    """One line about wrong sums of one column. Without an encoding the sums are of exact products."""
    mismatches = mismatches[:USED_MISMATCHES]
    first = mismatches[0]
    line = f"first differing bit of the sum: {first_wrong_bit(first)} ({first.got - first.expected:+d})"
    for used in (mismatches, mismatches[:1]):
        suspects = _suspects(
            used, encoding or load_encoding("exact64"), "product bit" if encoding else "partial product"
        )
        if suspects:
            others = f"; {len(suspects) - 1} other single faults fit" if len(suspects) > 1 else ""
            sums = "the first wrong sum alone" if used is not mismatches else f"{len(used)} wrong sums"
            return f"{line}; {sums}: {suspects[0]}{others}"
    return f"{line}; no single product bit or count explains it"


def _other_weights(counts: np.ndarray, wrong: np.ndarray, encoding: Encoding) -> list[str]:
    """Position weights that, with another sign or as another power of two, give sums that are `wrong` [n] too large.

    `counts` is [n, M]. One sum alone fits nearly everything and names none.
    """
    found = []
    for m, weight in enumerate(encoding.weights):
        if len(wrong) < 2 or not counts[:, m].all() or (wrong % counts[:, m]).any():
            continue
        (change, *others) = np.unique(wrong // counts[:, m]).tolist()
        seen = weight + change
        if not others and (seen == -weight or (seen and abs(seen) & (abs(seen) - 1) == 0)):
            found.append(f"position weight {m} being {seen} instead of {weight}")
    return found


def _suspects(mismatches: Sequence[Mismatch], encoding: Encoding, noun: str) -> list[str]:
    """Single faults that give exactly what came, the narrowest first."""
    operands = (np.stack([getattr(m, name) for m in mismatches]) for name in ("activations", "weights"))
    bits = encoding.product_bits(*operands).astype(np.int64)  # [n, R, M]
    rows, weights = bits.shape[1], np.array(encoding.weights, np.int64)
    counts = bits.sum(axis=1)  # [n, M]
    wrong = np.array([m.got - m.expected for m in mismatches], np.int64)

    def product(m: int) -> str:
        return f"{noun} {m} (weight {weights[m]})"

    suspects = []
    kinds = (("is stuck at 0", -bits), ("is stuck at 1", 1 - bits), ("is inverted", 1 - 2 * bits))
    for text, change in kinds:
        fits = (change * weights == wrong[:, None, None]).all(axis=0)  # [R, M]
        suspects += [f"{product(m)} of row {r} {text}" for m, r in np.argwhere(fits.T)]
    for text, change in kinds:
        fits = (change.sum(axis=1) * weights == wrong[:, None]).all(axis=0)
        suspects += [f"{product(m)} {text} in all {rows} rows" for m in np.flatnonzero(fits)]
    suspects += _other_weights(counts, wrong, encoding)
    steps, rest = np.divmod(wrong[:, None], weights)  # [n, M]
    seen = counts + steps
    fits = ((rest == 0) & (seen >= 0) & (seen <= rows)).all(axis=0)
    order = sorted(np.flatnonzero(fits), key=lambda m: (abs(steps[:, m]).max(), m))
    return suspects + [f"count {m} (weight {weights[m]}) being {seen[0, m]} instead of {counts[0, m]}" for m in order]
