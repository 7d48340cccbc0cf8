"""Ready-made searches."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from models.encoding import Encoding
from models.errors import UserError
from models.search.assemble import build_encoding
from models.search.figures import figures
from models.search.histogram import UNIFORM_SHARE, joint_distribution
from models.search.moments import walsh_moments
from models.search.pool import build_pool, first_level, pool_of
from models.search.positions import power_of_two_weights, round_weights
from models.search.select import Progress, Selector

WEIGHTS = ("general", "pow2")


@dataclass(frozen=True)
class GreedyOptions:
    """M product bits; `weights` "general" or "pow2"; `pairs` second-level candidates; `uniform` mass share."""

    m: int
    weights: str = "general"
    pairs: int = 0
    kicks: int = 20
    uniform: float = UNIFORM_SHARE
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.m <= 256:
            raise UserError(f"M = {self.m} product bits; 1..256 are possible")
        if self.weights not in WEIGHTS:
            raise UserError(f"unknown position weights '{self.weights}'; known: {', '.join(WEIGHTS)}")
        if not 0 <= self.uniform <= 1:
            raise UserError(f"share of uniform mass {self.uniform}; it must lie in 0..1")


def greedy(name: str, histogram: np.ndarray | None, options: GreedyOptions, progress: Progress) -> Encoding:
    """Greedy and swap selection among first-level gates, then among a wider pool, then position weights.

    `histogram` float64 [256, 256] or None for uniform operands.
    """
    start = time.monotonic()
    rng = np.random.default_rng(options.seed)
    joint = joint_distribution(histogram, options.uniform)
    moments = walsh_moments(joint)
    selector = Selector(pool_of(first_level(), moments), moments)
    choice = selector.swap(selector.greedy(options.m, progress), progress)
    if options.pairs:
        circuits = [selector.pool.circuits[n] for n in choice.chosen]
        wide = Selector(build_pool(moments, options.pairs, rng), moments)
        at = {circuit: n for n, circuit in enumerate(wide.pool.circuits)}
        selector, choice = wide, wide.swap(wide.fit([at[c] for c in circuits]), progress)
    if options.weights == "pow2":
        choice = power_of_two_weights(selector, choice, rng, progress, options.kicks)
    else:
        choice = round_weights(selector, choice)
    circuits = [selector.pool.circuits[n] for n in choice.chosen]
    kind = "power-of-two" if options.weights == "pow2" else "general"
    text = f"{options.m} product bits, {kind} position weights, selected greedily for a network's operands"
    encoding = build_encoding(name, text, circuits, choice.weights, joint)
    encoding.figures.update(figures(encoding, {} if histogram is None else {"fitted": joint}))
    encoding.provenance.update(seed=options.seed, seconds=round(time.monotonic() - start, 1))
    return encoding
