"""Evaluations per second of the paper's objective: ours in Walsh coefficients, the peer dense.

Both fit 128 outputs and the constant to the product over all 65,536 operand pairs, keep the M largest
weights, fit those again and find the largest error (models/search/paper.py). With a checkout of the
paper's public code also its own objective, on the same genomes (bench/reference.py).
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import numpy as np

from bench.timing import Effort, Row, calls_per_second
from models.search.native import library
from models.search.paper import active_area, evaluate, random_genome, reference_objective

KEPT = 36
DIGITS = 1e-6  # relative difference of the maximal error that is still agreement


def run(effort: Effort, size: int, ref: Path | None = None) -> list[Row]:
    """Rows against dense float64 and float32, and the checkout `ref`, on `size` random genomes (the first is timed)."""
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
    rows = [
        Row(
            "search", case, name, rates["ours"], rates[name], "evaluations/s", agrees,
            f"maximal errors differ by {differences[dtype]:.1e} at most on {size} genomes",
        )
        for name, dtype in (("dense float64", np.float64), ("dense float32", np.float32))
    ]  # fmt: skip
    return rows if ref is None else [*rows, beside_checkout(effort, genomes, ref)]


def beside_checkout(effort: Effort, genomes: list, folder: Path) -> Row:
    """Evaluations per second of the objective in a checkout of EncodingNet; agreement is with its float64 form."""
    module = importlib.import_module("bench.reference")  # only here: it needs torch
    reference = module.Reference(folder, KEPT)
    exact, single, areas = 0.0, 0.0, True
    for genome in genomes:
        error, individual = module.evaluate(genome, KEPT)[0], reference.individual(genome)
        peer, area, kept = reference.evaluate_float64(individual)
        exact = max(exact, abs(error - peer) / peer)
        areas &= abs(active_area(genome, kept) - area) < DIGITS
        single = max(single, abs(reference.evaluate(individual)[0] - error) / error)
    individual = reference.individual(genomes[0])
    candidates = {
        "ours": lambda: module.evaluate(genomes[0], KEPT),
        "checkout": lambda: reference.evaluate(individual),
    }
    rates = calls_per_second(candidates, effort)
    script = hashlib.sha256((folder / module.SCRIPT).read_bytes()).hexdigest()[:12]
    note = (
        f"maximal errors differ by {exact:.1e} at most from its functions in float64, by {single:.1e} from its "
        f"float32 as it runs, on {len(genomes)} genomes; {module.SCRIPT} has sha256 {script}"
    )
    case = f"objective of EncodingNet's code, M = {KEPT}"
    agrees = exact <= DIGITS and areas
    return Row("search", case, "EncodingNet", rates["ours"], rates["checkout"], "evaluations/s", agrees, note)
