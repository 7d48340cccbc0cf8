"""Speed of searches: evaluations per second, and encodings of a given quality per second of processor time.

**Evaluations** of the paper's objective: ours in Walsh coefficients, the peer dense.
Both fit 128 outputs and the constant to the product over all 65,536 operand pairs, keep the M largest
weights, fit those again and find the largest error (models/search/paper.py). With a checkout of the
paper's public code also its own objective, on the same genomes (bench/reference.py). Proposals of the annealer with
general weights: ours, which forecasts the errors of most, and the peer, which fits the weights of each; both must find
the same.

**Quality**: preset paper runs for a number of evaluations, as it is and in NumPy alone; the annealer with powers of two
until RMSE, RMSE less E[error | w] and column area are no worse. Figures are of the finished encodings and checked
(bench/paper.py).
"""

from __future__ import annotations

import hashlib
import importlib
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench.paper import PRICE, confirmed, finish, measures
from bench.timing import Effort, Row, calls_per_second
from models.encoding import Encoding
from models.search import paper
from models.search.anneal import Task, start
from models.search.anneal import run as run_anneal
from models.search.cost import gate_areas
from models.search.native import Annealed, Schedule, anneal, library
from models.search.paper import active_area, evaluate, evolve, random_genome, reference_objective, to_found
from models.search.target import load_target

KEPT = 36
STEPS, HEAT = 20_000, 0.02  # of an annealing
NUMPY, COMPILED = 25, 3000  # evaluations of preset paper for each genome that is asked for
FEWEST = (8, 12, 16, 20, 24, 28, 32, 36)  # product bits, in turn until the quality is reached
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
    rates = calls_per_second(candidates, effort, time.process_time)
    case = f"paper objective, M = {KEPT}, {'compiled' if library() else 'portable'}"
    rows = [
        Row(
            "search", case, name, rates["ours"], rates[name], "evaluations/s", agrees,
            f"maximal errors differ by {differences[dtype]:.1e} at most on {size} genomes",
        )
        for name, dtype in (("dense float64", np.float64), ("dense float32", np.float32))
    ]  # fmt: skip
    if library():
        rows += [*annealing(effort), *until_as_good(effort, size)]
    return rows if ref is None else [*rows, beside_checkout(effort, genomes, ref)]


def annealing(effort: Effort) -> list[Row]:
    """Proposals per second of the annealer with general weights, uniform operands."""
    moments = load_target(None).moments()
    area = gate_areas() / gate_areas().max() / KEPT
    begin, schedule = start(Task(KEPT), moments, _silent), Schedule(STEPS, HEAT)
    kinds = {
        kind: partial(anneal, moments, *begin, schedule, None, area, PRICE, kind == "ours")
        for kind in ("ours", "every fit")
    }
    found: list[Annealed] = [call() for call in kinds.values()]
    same = all(np.array_equal(*(getattr(f, name) for f in found)) for name in ("circuits", "weights", "error"))
    rates = calls_per_second(kinds, effort, time.process_time)
    ours, peer = (rates[kind] * found[0].evaluated for kind in kinds)
    return [Row("search", f"annealing, general weights, M = {KEPT}", "every fit", ours, peer, "evaluations/s", same)]


def until_as_good(effort: Effort, size: int) -> list[Row]:
    """Encodings per second of the annealer, as good as preset paper's, medians over a seed for each round."""
    rows = []
    for name, evaluations in (("preset paper in NumPy", NUMPY * size), ("preset paper", COMPILED * size)):
        score = partial(evaluate, portable=True) if evaluations == NUMPY * size else evaluate
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        agree, won, bits = True, True, []
        for seed in range(1, effort.rounds + 1):
            with patch.object(paper, "evaluate", score):
                theirs = _timed(seconds["peer"], lambda s=seed, n=evaluations: to_found(*evolve(KEPT, n, s, _silent)))
            peer = finish(theirs)
            ours = _timed(seconds["ours"], lambda s=seed, p=peer: as_good_as(p, s))
            agree &= confirmed(peer) and confirmed(ours)
            won &= _no_worse(ours, peer)
            bits.append(ours.m)
        note = f"ours have {min(bits)} to {max(bits)} product bits" + ("" if won else "; NOT all are as good")
        case = f"as good as preset paper, M = {KEPT}, {evaluations:,} evaluations, {effort.rounds} seeds"
        mine, other = (1 / statistics.median(seconds[side]) for side in ("ours", "peer"))
        rows.append(Row("search", case, name, mine, other, "encodings/s", agree, note))
    return rows


def as_good_as(peer: Encoding, seed: int) -> Encoding:
    """The first encoding that is no worse than `peer`, of as few bits as are tried first; the last if none is."""
    moments = load_target(None).moments()
    for m in FEWEST:
        found = finish(run_anneal(Task(m, "pow2", PRICE, STEPS, 1, seed), moments, _silent))
        if _no_worse(found, peer):
            break
    return found


def _no_worse(ours: Encoding, peer: Encoding) -> bool:
    (rmse, centred, _, area), limits = measures(ours), measures(peer)
    return rmse <= limits[0] and centred <= limits[1] and area <= limits[3]


def _timed(seconds: list[float], call: Callable):
    """What `call` returns; the processor's seconds that it took are added to the list."""
    started = time.process_time()
    found = call()
    seconds.append(time.process_time() - started)
    return found


def _silent(_stage: str, _error: float) -> None:
    """No progress."""


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
    rates = calls_per_second(candidates, effort, time.process_time)
    script = hashlib.sha256((folder / module.SCRIPT).read_bytes()).hexdigest()[:12]
    note = (
        f"maximal errors differ by {exact:.1e} at most from its functions in float64, by {single:.1e} from its "
        f"float32 as it runs, on {len(genomes)} genomes; {module.SCRIPT} has sha256 {script}"
    )
    case = f"objective of EncodingNet's code, M = {KEPT}"
    agrees = exact <= DIGITS and areas
    return Row("search", case, "EncodingNet", rates["ours"], rates["checkout"], "evaluations/s", agrees, note)
