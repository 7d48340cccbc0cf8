"""Choose M product bits of a pool and their position weights by centred least squares.

Everything works on inner products: a candidate is a vector over the Walsh functions, the Gram
matrix of the Walsh functions measures it. The error of bits `b_m` with position weights `s_m` is
`|t - sum s_m b_m|^2`, the variance of the product's error about its mean given the weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from models.search.moments import Moments
from models.search.pool import Pool

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Choice:
    """Candidates chosen (indices into the pool), their position weights float64 [M], the error left."""

    chosen: list[int]
    weights: np.ndarray
    error: float


class Selector:
    """Selection from one pool under one distribution."""

    def __init__(self, pool: Pool, moments: Moments) -> None:
        self.pool, self.moments = pool, moments
        self.correlation = pool.dot(moments.gram @ moments.target)  # <t, b_n>, [N]
        self.norms = pool.norms(moments.gram)  # |b_n|^2, [N]
        self._columns: dict[int, np.ndarray] = {}

    def column(self, n: int) -> np.ndarray:
        """<b_n, b_k> for all candidates k: float64 [N]."""
        if n not in self._columns:
            dense = self.pool.rows([n], len(self.moments.masks))[0]
            self._columns[n] = self.pool.dot(self.moments.gram @ dense)
        return self._columns[n]

    def fit(self, chosen: list[int], fixed: dict[int, float] | None = None) -> Choice:
        """Least squares over the weights of `chosen` whose position is not in `fixed` {position: weight}."""
        fixed = fixed or {}
        gram = np.array([self.column(n)[chosen] for n in chosen])
        rhs = self.correlation[chosen]
        weights = np.array([fixed.get(m, 0.0) for m in range(len(chosen))])
        free = [m for m in range(len(chosen)) if m not in fixed]
        if free:
            sub = gram[np.ix_(free, free)]
            ridge = 1e-12 * np.trace(sub) / len(free) * np.eye(len(free))
            weights[free] = np.linalg.solve(sub + ridge, rhs[free] - gram[free] @ weights)
        return Choice(list(chosen), weights, self.error(gram, rhs, weights))

    def error(self, gram: np.ndarray, rhs: np.ndarray, weights: np.ndarray) -> float:
        """|t - sum s b|^2 from the Gram matrix and <t, b> of the bits."""
        return float(self.moments.power - 2 * rhs @ weights + weights @ gram @ weights)

    def gains(self, chosen: list[int]) -> np.ndarray:
        """By how much each candidate, added to `chosen` with all weights refitted, lowers the error: [N]."""
        if not chosen:
            return self.correlation**2 / self.norms
        columns = np.array([self.column(n) for n in chosen])  # [M, N]
        factor = np.linalg.inv(np.linalg.cholesky(self._regular(columns[:, chosen])))
        q = factor @ columns
        left = self.norms - np.einsum("mn,mn->n", q, q)
        gain = (self.correlation - (factor @ self.correlation[chosen]) @ q) ** 2 / np.maximum(left, 1e-12)
        gain[left < 1e-9 * self.norms] = 0
        return gain

    def greedy(self, count: int, progress: Progress) -> Choice:
        """Forward selection: the candidate that lowers the error most, `count` times."""
        if count > len(self.pool):
            raise UserError(f"M = {count} product bits asked of {len(self.pool)} candidates; lower M or widen the pool")
        chosen: list[int] = []
        while len(chosen) < count:
            chosen.append(int(self.gains(chosen).argmax()))
            progress("greedy", self.fit(chosen).error)
        return self.fit(chosen)

    def swap(self, choice: Choice, progress: Progress, rounds: int = 20) -> Choice:
        """Replace one bit at a time by the best candidate until no replacement lowers the error."""
        for _ in range(rounds):
            before = choice.error
            for position in range(len(choice.chosen)):
                others = choice.chosen[:position] + choice.chosen[position + 1 :]
                trial = self.fit([*others, int(self.gains(others).argmax())])
                if trial.error < choice.error * (1 - 1e-9):
                    order = [*others[:position], trial.chosen[-1], *others[position:]]
                    choice = self.fit(order)
                progress("swap", choice.error)
            if choice.error > before * (1 - 1e-6):
                break
        return choice

    def _regular(self, gram: np.ndarray) -> np.ndarray:
        return gram + 1e-11 * np.trace(gram) / len(gram) * np.eye(len(gram))
