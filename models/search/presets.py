"""Ready-made searches: each takes a target and options and returns a finished `Encoding`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from models.encoding import Encoding
from models.search.anneal import Found, Task, integers, run, start
from models.search.assemble import build_encoding
from models.search.chosen import READ, check_bits, chosen_noise, search_chosen
from models.search.cost import COST_ROWS, column_cost
from models.search.figures import figures, significant
from models.search.moments import Moments
from models.search.native import Annealed
from models.search.paper import evolve, to_found
from models.search.pool import build_pool, first_level, pool_of
from models.search.positions import power_of_two_weights, round_weights
from models.search.recoded import check_m, search_recoded
from models.search.select import Progress, Selector
from models.search.target import Target


@dataclass(frozen=True)
class Options:
    """Task, candidates of `greedy`, kicks of `greedy` and radix-4 digits, evaluations and threshold of `paper`.

    `weight_bits` are those that bits of `chosen` may read, by default four.
    """

    task: Task
    pairs: int = 0
    kicks: int = 20
    evaluations: int = 20_000
    threshold: float = 0.01
    weight_bits: int | None = None


def greedy(options: Options, moments: Moments, progress: Progress) -> Found:
    """Greedy and swap selection among first-level gates, then among a wider pool, then position weights."""
    task, rng = options.task, np.random.default_rng(options.task.seed)
    selector = Selector(pool_of(first_level(), moments), moments)
    choice = selector.swap(selector.greedy(task.m, progress), progress)
    if options.pairs:
        circuits = [selector.pool.circuits[n] for n in choice.chosen]
        wide = Selector(build_pool(moments, options.pairs, rng), moments)
        at = {circuit: n for n, circuit in enumerate(wide.pool.circuits)}
        selector, choice = wide, wide.swap(wide.fit([at[c] for c in circuits]), progress)
    if task.weights == "pow2":
        choice = power_of_two_weights(selector, choice, rng, progress, options.kicks)
    elif task.weights == "general":
        choice = round_weights(selector, choice)
    else:
        circuits, weights = start(task, moments, progress)
        return integers(Annealed(circuits, weights, choice.error, 0), moments)
    return Found([selector.pool.circuits[n] for n in choice.chosen], choice.weights, choice.error)


def annealed(options: Options, moments: Moments, progress: Progress) -> Found:
    """Annealing over gates, bits and position weights (models.search.anneal)."""
    return run(options.task, moments, progress)


def from_paper(options: Options, moments: Moments, progress: Progress) -> Found:
    """The paper's genetic programming (models.search.paper); uniform operands, whatever the target."""
    return to_found(*evolve(options.task.m, options.evaluations, options.task.seed, progress, options.threshold))


FOUND: dict[str, Callable[[Options, Moments, Progress], Found]] = {
    "anneal": annealed,
    "greedy": greedy,
    "paper": from_paper,
}
RECODED = {  # system of digits, whether with an f(a)
    "radix4": ("plain", True), "signed": ("signed", False), "signedf": ("signed", True),
    "booth": ("booth", False), "boothf": ("booth", True),
}  # fmt: skip
PRESETS = (*FOUND, *RECODED, "chosen")


def check(preset: str, options: Options) -> None:
    """Raise UserError for a task that the preset cannot have: told before a network is measured for it."""
    task = options.task
    if (preset == "chosen" or preset in RECODED) and task.weights != "pow2":
        raise UserError(
            f"preset {preset} has powers of two as position weights only; for others give --preset anneal (PRESET=)"
        )
    if preset == "paper" and task.weights != "general":
        raise UserError("preset paper has general position weights only; add --weights general (WEIGHTS=)")
    if preset == "chosen":
        check_bits(task.m, options.weight_bits or READ)
    elif options.weight_bits is not None:
        raise UserError(
            f"preset {preset} reads all bits of a weight; --weight-bits (WEIGHT_BITS=) is for preset chosen"
        )
    if preset in RECODED:
        check_m(task.m)


def search(preset: str, name: str, target: Target, options: Options, progress: Progress) -> Encoding:
    """Run a preset and finish its result: offset, figures, provenance; UserError as `check`."""
    check(preset, options)
    begin, task = time.monotonic(), options.task
    if preset == "chosen":
        extent = (options.weight_bits or READ, options.kicks, task.seed, task.restarts)
        encoding = search_chosen(name, task.m, target.layers, progress, *extent)
    elif preset in RECODED:
        system, correct_a = RECODED[preset]
        extent = (options.kicks, task.seed, correct_a, task.restarts)
        encoding = search_recoded(name, task.m, target, progress, system, task.price, *extent)
    else:
        found = FOUND[preset](options, target.moments(), progress)
        text = f"{len(found.circuits)} product bits, {task.weights} position weights, preset {preset}"
        encoding = build_encoding(name, text, found.circuits, found.weights, target.joint)
    encoding.figures.update(all_figures(encoding, None if target.uniform else target))
    encoding.provenance.update(seed=options.task.seed, seconds=round(time.monotonic() - begin, 1))
    return encoding


def all_figures(encoding: Encoding, target: Target | None) -> dict:
    """Error figures and cost of an encoding; with a target also `noise` of the network's result,
    and `noise_chosen`, what is left of it when weights are chosen for the encoding (models/search/chosen.py).
    """
    joints = {} if target is None else {"fitted": target.joint}
    out = figures(encoding, joints) | {"column_area_um2": significant(column_cost(encoding, COST_ROWS).total)}
    if target is not None:
        out["noise"] = significant(target.noise(encoding.product_table))
        if target.layers is not None:
            out["noise_chosen"] = significant(chosen_noise(encoding.product_table, target.layers))
    return out
