"""Annealing of two-level product bits together with their position weights.

Starts from the greedy choice among first-level gates, which is nearly the bipolar (XNOR) array, and
mutates gates, wires and weights. Energy is log(error variance) plus a price for gate area, so one
price gives one point of the Pareto front of cost against accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from common.errors import UserError
from models.encoding import WEIGHT_LIMIT, signed_digits
from models.search.cost import gate_areas
from models.search.moments import Moments
from models.search.native import CODES, NAMES, Annealed, Schedule, anneal
from models.search.pool import Circuit, Pool, first_level, pool_of
from models.search.positions import fix_powers, round_weights
from models.search.select import Progress, Selector

HEATS = (0.01, 0.03, 0.02, 0.06, 0.015, 0.1)  # first temperatures of successive restarts


@dataclass(frozen=True)
class Task:
    """What to anneal: M, position weights ("general", "pow2", "csd<t>"), price of relative gate area."""

    m: int
    weights: str = "general"
    price: float = 0.0
    steps: int = 1_000_000
    restarts: int = 4
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.m <= 256:
            raise UserError(f"M = {self.m} product bits; 1..256 are possible")
        if self.m > len(first_level()):
            raise UserError(f"M = {self.m} is more than the {len(first_level())} candidates to start from; lower M")
        if self.steps < 1 or self.restarts < 1:
            raise UserError(f"{self.steps} steps, {self.restarts} restarts; both must be at least 1")
        allowed_weights(self.weights)


def allowed_weights(kind: str) -> np.ndarray | None:
    """Sizes of position weights, sorted float64: None for "general", powers of two, or at most t CSD digits."""
    if kind == "general":
        return None
    digits = {"pow2": "1"}.get(kind, kind.removeprefix("csd") if kind.startswith("csd") else "")
    if not digits.isdigit() or int(digits) < 1:
        raise UserError(f"unknown position weights '{kind}'; known: general, pow2, csd<t> with t >= 1 digits")
    return np.array([v for v in range(1, WEIGHT_LIMIT) if len(signed_digits(v)) <= int(digits)], np.float64)


def encode(circuit: Circuit) -> list[int]:
    """A circuit of at most two levels as the seven numbers of models.search.native."""
    if isinstance(circuit, int):
        return [CODES["buf"], CODES["buf"], circuit, circuit, CODES["buf"], circuit, circuit]
    op, x, y = circuit
    if isinstance(x, int) and isinstance(y, int):
        return [CODES["buf"], CODES[op], x, y, CODES["buf"], x, x]
    first, second = ((CODES["buf"], c, c) if isinstance(c, int) else (CODES[c[0]], c[1], c[2]) for c in (x, y))
    return [CODES[op], *first, *second]


def decode(row: np.ndarray) -> Circuit:
    """Inverse of `encode`, simplified: a gate over one wire twice is that wire (or stays if it is 0)."""
    op, op1, x1, y1, op2, x2, y2 = (int(v) for v in row)
    first = _gate(op1, x1, y1)
    return first if NAMES[op] == "buf" else (NAMES[op], first, _gate(op2, x2, y2))


def _gate(op: int, x: int, y: int) -> Circuit:
    if NAMES[op] == "buf" or (x == y and NAMES[op] in ("and", "or")):
        return x
    return (NAMES[op], x, y)


@dataclass(frozen=True)
class Found:
    """A result: circuits [M], integer weights float64 [M], error variance (centred)."""

    circuits: list[Circuit]
    weights: np.ndarray
    error: float


def start(task: Task, moments: Moments, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Greedy circuits int32 [M, 7] and weights float64 [M] (allowed ones, if the task restricts them)."""
    selector = Selector(pool_of(first_level(), moments), moments)
    choice = selector.swap(selector.greedy(task.m, progress), progress)
    if task.weights != "general":
        choice = fix_powers(selector, choice)
    return np.array([encode(selector.pool.circuits[n]) for n in choice.chosen], np.int32), choice.weights


def run(task: Task, moments: Moments, progress: Progress, begin: tuple | None = None) -> Found:
    """Restarts from `begin` (or a start of its own), each from the best so far or anew; then integer weights.

    Powers of two start from the greedy choice. Other weights start from annealed powers of two: their
    proposals cost a tenth of a least-squares fit and the circuits that they find are as good.
    """
    area = gate_areas()
    area = area / area[CODES["xor"]] / task.m  # an array of XORs costs 1
    best = None
    if begin is not None:
        first = begin
    elif task.weights == "pow2":
        first = start(task, moments, progress)
    else:
        powers = run(replace(task, weights="pow2", restarts=2 * task.restarts), moments, progress)
        first = (np.array([encode(c) for c in powers.circuits], np.int32), powers.weights)
    for restart in range(task.restarts):
        heat = HEATS[restart % len(HEATS)]
        origin = first if best is None or restart % 2 else (best.circuits, best.weights)
        schedule = Schedule(task.steps, heat, min(1e-4, heat), task.seed * 1000 + restart)
        found = anneal(moments, *origin, schedule, allowed_weights(task.weights), area, task.price)
        if best is None or energy(found, area, task.price) < energy(best, area, task.price):
            best = found
        progress("anneal", best.error)
    return integers(best, moments)


def energy(found: Annealed, area: np.ndarray, price: float) -> float:
    """What the annealer minimises."""
    rows = found.circuits
    plain = rows[:, 0] == CODES["buf"]
    total = area[rows[:, 1]].sum() + np.where(plain, 0, area[rows[:, 0]] + area[rows[:, 4]]).sum()
    return float(np.log(max(found.error, 1e-300)) + price * total)


def integers(found: Annealed, moments: Moments) -> Found:
    """The result with integer weights: rounded one by one with the others refitted, if they are not yet."""
    circuits = [decode(row) for row in found.circuits]
    if (found.weights == np.rint(found.weights)).all():
        return Found(circuits, found.weights, found.error)
    pool: Pool = pool_of(circuits, moments, unique=False)
    selector = Selector(pool, moments)
    choice = round_weights(selector, selector.fit(list(range(len(pool)))))
    return Found(pool.circuits, choice.weights, choice.error)
