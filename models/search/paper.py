"""The paper's search: Cartesian genetic programming (EncodingNet, arXiv 2402.18595, section III).

A grid of 2 columns x 256 rows of gates over the 16 operand bits; 128 outputs plus the constant one are
fitted to the product by ridge regression over all 65,536 operand pairs, the M largest position weights
are kept. Fitness: the maximal relative error while it is above the threshold, then the area of the
active gates. (1 + 4) evolution; the mutation rate grows with success and shrinks without. Departure
from the paper: the M weights are fitted again after the selection, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from models.encoding import GATES, UNARY
from models.search.anneal import Found
from models.search.native import CODES, NAMES, Spectra, max_error, score, spectra, uniform_fit
from models.search.pool import Circuit
from models.search.select import Progress

ROWS, OUTPUTS, CHILDREN, INPUTS = 256, 128, 4, 16
OPS = np.array([CODES[op] for op in ("nand", "nor", "xnor", "and", "or", "xor", "not", "buf")], np.int32)
AREAS = {"nand": 1, "nor": 1, "and": 4 / 3, "or": 4 / 3, "xor": 2, "xnor": 2, "not": 2 / 3, "buf": 0}
PRICES = np.array([AREAS.get(name, 0) for name in NAMES], np.float64)  # by code
IS_UNARY = np.array([name in UNARY for name in NAMES])
RIDGE = 1e-3 / 65536  # on means; 1e-3 on the sums over all pairs
PRODUCT_MAX = 16384
OFFSET_MAX = 8192  # beyond it the sums without the constant might not fit the 16 bits of a product
INVERSE = {"and": "nand", "or": "nor", "xor": "xnor", "nand": "and", "nor": "or", "xnor": "xor"}


@dataclass(frozen=True)
class Genome:
    """`gates` int32 [512, 3] (code, x, y), column by column; `outputs` int32 [128] wires."""

    gates: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True)
class Score:
    """Maximal relative error, active area, kept outputs int [M], weights float64 [M + 1], the constant last."""

    error: float
    area: float
    kept: np.ndarray
    weights: np.ndarray


def random_genome(rng: np.random.Generator) -> Genome:
    """Gates and outputs drawn uniformly from what each may be."""
    gates = np.empty((2 * ROWS, 3), np.int32)
    gates[:ROWS, 1:] = rng.integers(INPUTS, size=(ROWS, 2))
    gates[ROWS:, 1:] = rng.integers(INPUTS + ROWS, size=(ROWS, 2))
    gates[:, 0] = OPS[rng.integers(len(OPS), size=2 * ROWS)]
    return Genome(gates, rng.integers(INPUTS + 2 * ROWS, size=OUTPUTS).astype(np.int32))


def mutate(genome: Genome, rate: float, rng: np.random.Generator) -> Genome:
    """Each gene is drawn anew with probability `rate`; at least one output or gate field is."""
    fresh = random_genome(rng)
    gates = rng.random(genome.gates.shape) < rate
    outputs = rng.random(OUTPUTS) < rate
    if not gates.any() and not outputs.any():
        outputs[rng.integers(OUTPUTS)] = True
    return Genome(np.where(gates, fresh.gates, genome.gates), np.where(outputs, fresh.outputs, genome.outputs))


def with_constant(bits: Spectra) -> Spectra:
    """The bits and, last, the constant one."""
    counts = np.append(bits.counts, np.int32(1))
    masks = np.vstack([bits.masks, np.zeros((1, 16), np.int32)])
    values = np.vstack([bits.values, np.eye(1, 16)])
    return Spectra(counts, masks, values)


def evaluate(genome: Genome, m: int, portable: bool = False) -> Score:
    """Ridge fit of all outputs, the M largest weights kept and fitted again, maximal error over all pairs."""
    if not portable and (found := score(genome.gates, genome.outputs, m, RIDGE, PRICES)):
        return Score(found[0] / PRODUCT_MAX, *found[1:])
    bits = with_constant(spectra(genome.gates, genome.outputs, portable))
    weights = uniform_fit(bits, RIDGE, portable)
    kept = np.sort(np.argsort(-np.abs(weights[:-1]), kind="stable")[:m])
    rows = np.append(kept, OUTPUTS)
    chosen = Spectra(bits.counts[rows], bits.masks[rows], bits.values[rows])
    weights = uniform_fit(chosen, RIDGE, portable)
    error = max_error(chosen, weights, portable) / PRODUCT_MAX
    return Score(error, active_area(genome, kept), kept, weights)


def active_gates(genome: Genome, kept: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Rows of `gates` that the kept outputs depend on, int [N], ascending."""
    read = np.zeros(INPUTS + 2 * ROWS, bool)
    read[genome.outputs[kept]] = True
    second = genome.gates[ROWS:][read[INPUTS + ROWS :]]
    read[second[:, 1]] = True
    read[second[~IS_UNARY[second[:, 0]], 2]] = True
    return np.flatnonzero(read[INPUTS:])


def active_area(genome: Genome, kept: np.ndarray) -> float:
    """Area of the gates that the kept outputs depend on, in NAND gates (the paper's table)."""
    return sum(PRICES[genome.gates[active_gates(genome, kept)[::-1], 0]].tolist())


def fitness(score: Score, threshold: float) -> tuple[float, float]:
    """What evolution minimises, in lexical order."""
    return (0.0, score.area) if score.error <= threshold else (score.error, score.area)


def evolve(m: int, evaluations: int, seed: int, progress: Progress, threshold: float = 0.01) -> tuple[Genome, Score]:
    """The best genome after a number of evaluations; reproducible for a seed."""
    if not 1 <= m <= OUTPUTS:
        raise UserError(f"preset paper keeps M of {OUTPUTS} outputs; M = {m} is impossible")
    rng = np.random.default_rng(seed)
    parent = random_genome(rng)
    best, rate, spent = evaluate(parent, m), 0.05, 1
    active = active_gates(parent)  # the gates that the score of the parent depends on
    while spent < evaluations:
        children = [mutate(parent, rate, rng) for _ in range(min(CHILDREN, evaluations - spent))]
        scores = [best if same_circuit(child, parent, active) else evaluate(child, m) for child in children]
        spent += len(children)
        winner = min(range(len(scores)), key=lambda i: fitness(scores[i], threshold))
        better = fitness(scores[winner], threshold) < fitness(best, threshold)
        if fitness(scores[winner], threshold) <= fitness(best, threshold):
            if scores[winner] is not best:
                active = active_gates(children[winner])
            parent, best = children[winner], scores[winner]
        rate = min(rate * 1.3, 0.2) if better else max(rate * 0.97, 5e-4)
        progress("paper", (best.error * PRODUCT_MAX) ** 2)
    return parent, best


def same_circuit(one: Genome, other: Genome, active: np.ndarray) -> bool:
    """True if all outputs, which depend on the gates `active` of `other`, are the same: so is the score then."""
    return np.array_equal(one.outputs, other.outputs) and np.array_equal(one.gates[active], other.gates[active])


def to_found(genome: Genome, score: Score) -> Found:
    """Circuits and rounded weights of the kept outputs; outputs whose weight rounds to 0 are left out.

    A large constant is taken into the bits, s b = s - s (1 - b), by inverting as few as it takes.
    """
    weights = np.rint(score.weights[:-1])
    pairs = [(wire, s) for wire, s in zip(genome.outputs[score.kept].tolist(), weights, strict=True) if s]
    circuits, signed = [_circuit(genome, wire) for wire, _ in pairs], np.array([s for _, s in pairs])
    constant, left = score.weights[-1], set(range(len(pairs)))
    while abs(constant) > OFFSET_MAX and left:
        m = min(left, key=lambda m: abs(constant + signed[m]))
        if abs(constant + signed[m]) >= abs(constant):
            break
        constant, signed[m], circuits[m] = constant + signed[m], -signed[m], _inverse(circuits[m])
        left.remove(m)
    return Found(circuits, signed, (score.error * PRODUCT_MAX) ** 2)


def _inverse(circuit: Circuit) -> Circuit:
    if isinstance(circuit, int) or circuit[0] == "buf":
        return ("not", circuit, circuit) if isinstance(circuit, int) else ("not", *circuit[1:])
    return circuit[1] if circuit[0] == "not" else (INVERSE[circuit[0]], *circuit[1:])


def _circuit(genome: Genome, wire: int) -> Circuit:
    if wire < INPUTS:
        return wire
    code, x, y = genome.gates[wire - INPUTS].tolist()
    y = x if NAMES[code] in UNARY else y
    return (NAMES[code], _circuit(genome, x), _circuit(genome, y))


def reference_objective(genome: Genome, m: int, dtype: type = np.float64) -> tuple[float, np.ndarray]:
    """The same result the dense way, as the public reference computes it: for the benchmark and tests.

    All gates over all 65,536 pairs, dense normal equations of 129 columns, then of M + 1, dense
    prediction, in `dtype` (the reference: float32). Returns (maximal relative error, weights [M + 1]).
    """
    operands = np.arange(-128, 128, dtype=np.int32)
    a, w = np.repeat(operands, 256), np.tile(operands, 256)
    wires = [((v >> i) & 1).astype(np.uint8) for v in (a, w) for i in range(8)]
    for code, x, y in genome.gates.tolist():
        wires.append(GATES[NAMES[code]](wires[x], wires[y]))
    table = np.ones((OUTPUTS + 1, 65536), dtype)
    for row, wire in enumerate(genome.outputs):
        table[row] = wires[wire]
    product = (a * w).astype(dtype)

    def ridge(columns: np.ndarray) -> np.ndarray:
        gram = columns @ columns.T + dtype(RIDGE * 65536) * np.eye(len(columns), dtype=dtype)
        return np.linalg.lstsq(gram, columns @ product, rcond=None)[0]

    kept = np.sort(np.argsort(-np.abs(ridge(table)[:-1]), kind="stable")[:m])
    chosen = table[np.append(kept, OUTPUTS)]
    weights = ridge(chosen)
    return float(np.abs(product - weights @ chosen).max() / PRODUCT_MAX), weights
