"""Evaluations per second of the paper's objective: ours in Walsh coefficients, the peer dense.

Both fit 128 outputs and the constant to the product over all 65,536 operand pairs, keep the M largest
weights, fit those again and find the largest error (models/search/paper.py).
"""

from __future__ import annotations

import numpy as np

from bench.timing import Effort, Row, calls_per_second
from models.search.native import library
from models.search.paper import evaluate, random_genome, reference_objective

KEPT = 36
DIGITS = 1e-6  # relative difference of the maximal error that is still agreement


def run(effort: Effort, size: int) -> list[Row]:
    """Rows against dense float64 and dense float32 on `size` random genomes (the first is timed)."""
    rng = np.random.default_rng(1)
    genomes = [random_genome(rng) for _ in range(size)]
    differences: dict[type, float] = {}
    for dtype in (np.float64, np.float32):
        pairs = [(evaluate(g, KEPT).error, reference_objective(g, KEPT, dtype)[0]) for g in genomes]
        differences[dtype] = max(abs(ours - peer) / peer for ours, peer in pairs)
    # float32 itself is not exact to six digits: ours is right if it equals float64
    agrees = differences[np.float64] <= DIGITS
    genome = genomes[0]
    candidates = {
        "ours": lambda: evaluate(genome, KEPT),
        "dense float64": lambda: reference_objective(genome, KEPT),
        "dense float32": lambda: reference_objective(genome, KEPT, np.float32),
    }
    rates = calls_per_second(candidates, effort)
    case = f"paper objective, M = {KEPT}, {'compiled' if library() else 'portable'}"
    return [
        Row(
            "search", case, name, rates["ours"], rates[name], "evaluations/s", agrees,
            f"maximal errors differ by {differences[dtype]:.1e} at most on {size} genomes",
        )
        for name, dtype in (("dense float64", np.float64), ("dense float32", np.float32))
    ]  # fmt: skip
