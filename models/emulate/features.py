"""A table as few products of bytes: table[a, w] = constant[w] + sum over r of u[r, a] * v[r, w], exactly.

Possible where the table is affine in the bits of the activation, P(a, w) = P(0, w) + sum over i of
a_i * C_i(w), as every encoding of the library is: its product bits see one bit of the activation each.
The C_i are close to 2^i times the same function, so integer combinations of few short rows give them
all. Rows are reduced by each other pair by pair (as Euclid and Gauss do), as long as both factors stay
bytes; what remains too long is split into digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BITS = 8
BYTE = 255
MOST = 10  # terms: with more, look-ups are faster
LEAST_GAIN = 1.001  # in the squared length of a row


@dataclass(frozen=True)
class Features:
    """Factors of a table, index by byte: u uint8 [R, 256], v int8 [R, 256], constant int32 [256]."""

    u: np.ndarray
    v: np.ndarray
    constant: np.ndarray

    @property
    def rank(self) -> int:
        """Number of terms."""
        return len(self.u)

    @property
    def shared(self) -> bool:
        """Whether the last term is of the activation alone: its v is 1 for all weights."""
        return self.rank > 1 and bool((self.v[-1] == 1).all())


def slopes(table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(P(0, w) [256], C_i(w) [8, 256]) by weight byte, int64, or None if `table` is not affine in the bits.

    `table` int [256, 256], index [a + 128, w + 128].
    """
    by_byte = np.arange(256) ^ 128  # index of the value whose two's complement byte is i
    products = table[np.ix_(by_byte, by_byte)].astype(np.int64)
    rows = products[1 << np.arange(BITS)] - products[0]
    return (products[0], rows) if np.array_equal(products, products[0] + _bits() @ rows) else None


def features(table: np.ndarray) -> Features | None:
    """The fewest terms that are found for `table` int [256, 256], index [a + 128, w + 128]; None if more than MOST."""
    found = slopes(table)
    if found is None:
        return None
    constant, rows = found
    ramp = np.arange(256).astype(np.uint8).view(np.int8).astype(np.int64)[None]
    step = _step(rows)
    residues = (rows[:, :1] + step // 2) % step - step // 2  # rows = residues + multiples of step
    best: list[tuple[np.ndarray, np.ndarray]] | None = None
    for short, factor in ((rows, 1), ((rows - residues) // step, step)):
        for more in (np.empty((0, 256), np.int64), ramp):
            pairs = _reduced(short, more)
            if factor > 1:
                pairs = [(u, v * factor) for u, v in pairs]
                pairs.append((_bits() @ residues[:, 0], np.ones(256, np.int64)))
            terms = [term for u, v in _constants_joined(pairs) for term in _bytes(u, v)]
            if best is None or len(terms) < len(best):
                best = terms
    best = best or [(np.zeros(256, np.int64), np.zeros(256, np.int64))]
    if len(best) > MOST:
        return None
    u, v = (np.stack(side) for side in zip(*best, strict=True))
    lowest = u.min(axis=1)
    constant = constant + lowest @ v
    u -= lowest[:, None]
    if not np.array_equal(constant + u.T @ v, found[0] + _bits() @ rows):
        raise AssertionError("terms that do not give their table")
    return Features(u.astype(np.uint8), v.astype(np.int8), constant.astype(np.int32))


def _bits() -> np.ndarray:
    """int64 [256, 8]: bit i of activation byte a."""
    return np.arange(256)[:, None] >> np.arange(BITS) & 1


def _step(rows: np.ndarray) -> int:
    """Largest power of two up to 32 that divides the differences within each row."""
    common = int(np.gcd.reduce(rows - rows[:, :1], axis=None))
    return min(common & -common, 32) if common else 1


def _span(values: np.ndarray) -> int:
    return int(values.max() - values.min())


def _reduced(rows: np.ndarray, more: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (u [256], v [256]) whose products sum to `_bits() @ rows`; rows of `more` may serve as v, too."""
    v = np.concatenate([rows, more])
    u = np.concatenate([_bits().T, np.zeros_like(more)])
    while (chosen := _shortening(u, v)) is not None:
        i, j, times = chosen
        v[i] -= times * v[j]
        u[j] += times * u[i]
    return [(a, b) for a, b in zip(u, v, strict=True) if a.any() and b.any()]


def _shortening(u: np.ndarray, v: np.ndarray) -> tuple[int, int, int] | None:
    """(i, j, times) such that v[i] - times * v[j] is as much shorter as can be while u stays within bytes."""
    inner = v @ v.T
    square = inner.diagonal().astype(float)
    times = np.rint(inner / np.maximum(square, 1)).astype(np.int64)
    np.fill_diagonal(times, 0)
    shorter = square[:, None] - 2.0 * times * inner + times.astype(float) ** 2 * square
    gain = np.where(times != 0, square[:, None] / np.maximum(shorter, 1e-3), 0)
    for place in np.argsort(-gain, axis=None):
        i, j = divmod(int(place), len(v))
        if gain[i, j] <= LEAST_GAIN:
            return None
        if _span(u[j] + times[i, j] * u[i]) <= BYTE:
            return i, j, int(times[i, j])
    return None


def _constants_joined(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """`pairs` with those whose v is one number made one."""
    alike = [(u, v) for u, v in pairs if not _span(v)]
    if not alike:
        return pairs
    rest = [(u, v) for u, v in pairs if _span(v)]
    return [*rest, (sum(u * v[0] for u, v in alike), np.ones(256, np.int64))]


def _bytes(u: np.ndarray, v: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs whose products sum to u * v, where u spans a byte and v is one; what reaches further is cut."""
    if not u.any() or not v.any():
        return []
    common = int(np.gcd.reduce(u)), int(np.gcd.reduce(v))
    u, v = u // common[0], v // common[1]
    for prime in _primes(common[0] * common[1]):  # to the side that has more room
        if max(-int(v.min()) / 128, int(v.max()) / 127) < _span(u) / BYTE:
            v = v * prime
        else:
            u = u * prime
    near_u, near_v = np.minimum(u, u.min() + BYTE), np.clip(v, -128, 127)
    return [(near_u, near_v), *_bytes(u - near_u, near_v), *_bytes(u, v - near_v)]


def _primes(number: int) -> list[int]:
    """Prime factors, largest first."""
    found, prime = [], 2
    while number > 1:
        while number % prime == 0:
            found.append(prime)
            number //= prime
        prime += 1
    return found[::-1]
