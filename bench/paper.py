"""What our searches find beside the paper's in as many evaluations: uniform operands, medians over seeds.

The annealer searches M product bits with general position weights, as preset paper does; preset radix4
`BITS[M]` bits with powers of two, fewer than M. An evaluation is one genome of preset paper, one proposal of
the annealer, one candidate that its greedy start or an exchange of radix4 scores: our run is counted first,
then preset paper gets as many, and never fewer than asked for. Figures are of the finished encodings with
integer weights, and so are checked: the largest error by Walsh coefficients must equal that of the table.
"""

from __future__ import annotations

import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from bench.timing import Effort, Row
from models.encoding import Encoding
from models.search.anneal import Found, Task
from models.search.anneal import run as run_anneal
from models.search.assemble import build_encoding
from models.search.cost import column_cost
from models.search.figures import table_errors
from models.search.native import Spectra, max_error, spectra
from models.search.paper import PRODUCT_MAX, evolve, to_found, with_constant
from models.search.pool import first_level
from models.search.recoded import candidates, digits, search_recoded
from models.search.target import load_target

SIZES, SEEDS = (36, 48), 5
BITS = {36: 28, 48: 32}  # of preset radix4 beside M bits of preset paper
PRESETS = ("anneal", "radix4")
RESTARTS, PRICE = 6, 0.3  # as `python -m models.search` has them
RUNS = 3 * RESTARTS  # general weights start from powers of two, annealed in twice as many restarts
MEASURES = {
    "RMSE": "product units",
    "RMSE less E[error | w]": "product units",
    "largest relative error": "%",
    "column area": "um2",
}
EXPLAINED = (
    "lower is better; one proposal of the annealer, one candidate of its greedy start and one genome of preset "
    "paper count as one evaluation each; the annealer minimises the second measure, preset paper the third"
)


@dataclass(frozen=True)
class Trial:
    """One seed: the figures of both, evaluations of each, and whether the figures were confirmed."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]
    evaluations: int
    agrees: bool


def run(_effort: Effort, size: int) -> list[Row]:
    """Rows of every M and measure for `size` evaluations (more, if the greedy start alone takes more)."""
    jobs = [(m, seed, size, preset) for preset in PRESETS for m in SIZES for seed in range(1, SEEDS + 1)]
    workers = min(len(os.sched_getaffinity(0)), len(jobs))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        trials = dict(zip(jobs, pool.map(trial, *zip(*jobs, strict=True)), strict=True))
    rows = []
    for preset in PRESETS:
        for m in SIZES:
            rows += summary(m, preset, [t for job, t in trials.items() if (job[0], job[3]) == (m, preset)])
    first = rows[0]
    note = EXPLAINED + (f"; {first.note}" if first.note else "")
    return [Row(**{**vars(first), "note": note}), *rows[1:]]


def summary(m: int, preset: str, trials: list[Trial]) -> list[Row]:
    """Medians over the seeds, one row a measure; a measure in which we do not win says so."""
    found = []
    for place, (measure, unit) in enumerate(MEASURES.items()):
        ours, peer = (statistics.median(getattr(t, side)[place] for t in trials) for side in ("ours", "peer"))
        won = sum(t.ours[place] < t.peer[place] for t in trials)
        what = f"M = {m}" if preset == "anneal" else f"radix4 M = {BITS.get(m, m)} beside {m}"
        case = f"{measure}, {what}, {trials[0].evaluations:,} evaluations, {len(trials)} seeds"
        note = "" if ours < peer else f"{what}: ours does NOT win in {measure} ({won} of {len(trials)} seeds)"
        agrees = all(t.agrees for t in trials)
        found.append(Row("paper", case, "preset paper", ours, peer, unit, agrees, note))
    return found


def trial(m: int, seed: int, size: int, preset: str) -> Trial:
    """Both searches for one seed."""
    stages: list[str] = []
    if preset == "radix4":
        encoding = search_recoded(
            "found", BITS.get(m, m), load_target(None), lambda stage, _: stages.append(stage), kicks=0
        )
        evaluations = max(size, stages.count("exchange") * len(candidates(digits("plain"))))
    else:
        encoding, evaluations = anneal(m, seed, size, stages)
    peer = finish(to_found(*evolve(m, evaluations, seed, lambda _stage, _error: None)))
    agrees = all(confirmed(side) and side.m <= m for side in (encoding, peer))
    return Trial(measures(encoding), measures(peer), evaluations, agrees)


def anneal(m: int, seed: int, size: int, stages: list[str]) -> tuple[Encoding, int]:
    """The annealer's encoding and how many evaluations it took."""
    start = 2 * m * len(first_level())  # a greedy and, nearly always, one swap pass over all candidates
    task = Task(m, "general", PRICE, max(1, (size - start) // RUNS), RESTARTS, seed)
    ours = run_anneal(task, load_target(None).moments(), lambda stage, _error: stages.append(stage))
    scored = sum(stage in ("greedy", "swap") for stage in stages) * len(first_level())
    evaluations = scored + stages.count("anneal") * task.steps
    return finish(ours), evaluations


def finish(found: Found) -> Encoding:
    """The encoding of a result under uniform operands, its offset included."""
    return build_encoding("found", "", found.circuits, found.weights, load_target(None).joint)


def measures(encoding: Encoding) -> tuple[float, ...]:
    """Figures in the order of MEASURES."""
    errors = table_errors(encoding.product_table, load_target(None).joint)
    largest = 100 * encoding.max_relative_error()
    return errors["rmse"], errors["centred_rmse"], largest, column_cost(encoding).total


def confirmed(encoding: Encoding) -> bool:
    """True if the largest error of the product table is that of the Walsh coefficients."""
    outputs = [*encoding.bits, *(wire for wire, _ in encoding.shared)]
    weights = [*encoding.weights, *(weight for _, weight in encoding.shared), encoding.offset]
    bits: Spectra = with_constant(spectra(encoding.gates, np.array(outputs, np.int32)))
    largest = max_error(bits, np.array(weights, np.float64)) / PRODUCT_MAX
    return abs(largest - encoding.max_relative_error()) < 1e-9
