"""Encodings for weights whose codes will be chosen: preset `chosen`; `python -m models.search.chosen` compares.

When the codes of weights are chosen for an encoding (models/quant/choose.py), a code c need not stand for c. In a layer
whose activations have the distribution p(a), its products P(a, c) are a slope and a spread that no slope explains:

    alpha[c] = cov(a, P(a, c)) / var(a),        spread[c] = var(P(a, c) - alpha[c] a) / var(a).

A weight w takes the code that costs least, and of its rounding error w - alpha[c] later weights make up for all but the
share `kept` of the layer (models/search/target.py); of the spread they make up for nothing. So the noise to expect is

    sum over layers and weights of   var(a) min_c (kept (s w - alpha[c])^2 + spread[c]) / s^2,

with the best scale s of each layer, which the requantiser takes back. Only the upper bits of a code are read: that is
how many levels there are. Codes given, the noise is a square in the product bits, so bits are exchanged as for other
radix-4 digits (models/search/recoded.py); then codes are assigned anew, and so on, as in Lloyd's quantiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import UserError, run_cli
from models.encoding import Encoding, load_encoding
from models.search.assemble import build_encoding
from models.search.cost import coefficients, column_cost
from models.search.moments import table_moments
from models.search.pool import Circuit, Pool, circuit_table
from models.search.recoded import (
    DIGITS,
    ROW_BITS,
    Digit,
    Exchange,
    area_of,
    candidates,
    constants_of_weight,
    digits,
    position_weight,
    product_bit,
    selected,
)
from models.search.select import Choice, Progress, Selector
from models.search.target import Layers, load_target, measured_target
from tools.options import parse

A = np.arange(-128.0, 128.0)
SCALES = (0.8, 0.9, 1.0, 1.15, 1.3, 1.5)  # of the weights of a layer, tried when codes are assigned
WORTH = 3.0  # the encoding of least log(noise) + WORTH log(area) is taken: fewer bits cost a rival about that
PRICES = (4.5, 3.0, 2.0)  # in place of WORTH while bits are exchanged, in turn: each leads to other bits
ROUNDS = 4  # of exchanging bits and assigning codes, at most
WEIGHT_BITS = range(3, 9)
READ = 4  # bits of a weight, unless others are asked for


def slopes(table: np.ndarray, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """(alpha, spread) of products `table` float64 [256, C] in every layer: float64 [L, C], see the module's text."""
    mean = layers.activations @ A
    variance = layers.activations @ A**2 - mean**2
    weighted = (A - mean[:, None]) * layers.activations
    alpha = weighted @ table / variance[:, None]
    spread = (layers.activations @ table**2 - (layers.activations @ table) ** 2) / variance[:, None] - alpha**2
    return alpha, np.maximum(spread, 0)


@dataclass(frozen=True)
class Assignment:
    """Column of each weight in each layer, int [L, 256]; the layers' scales, float64 [L]; the noise to expect."""

    columns: np.ndarray
    scales: np.ndarray
    noise: float


def assign(table: np.ndarray, layers: Layers) -> Assignment:
    """The best columns of products `table` float64 [256, C] for the weights of every layer."""
    alpha, spread = slopes(table, layers)
    variance = layers.activations @ A**2 - (layers.activations @ A) ** 2
    columns = np.empty((len(alpha), 256), np.int64)
    scales, noise = np.empty(len(alpha)), 0.0
    for n in range(len(alpha)):
        best = np.inf
        for scale in SCALES:
            cost = layers.kept[n] * (scale * A[:, None] - alpha[n]) ** 2 + spread[n]
            total = float(layers.weights[n] @ cost.min(1) / scale**2 * variance[n])
            if total < best:
                best, columns[n], scales[n] = total, cost.argmin(1), scale
        noise += best
    return Assignment(columns, scales, noise)


def chosen_noise(table: np.ndarray, layers: Layers) -> float:
    """Noise to expect of the result over its variance with codes chosen, for products int [256, 256]."""
    return assign(np.unique(table, axis=1).astype(np.float64), layers).noise


class Priced(Exchange):
    """Exchanges that make log(error + `base`) + price log(area of a row) small, registers of what is read included."""

    def __init__(self, selector: Selector, gates: np.ndarray, reads: np.ndarray, base: float, price: float) -> None:
        super().__init__(selector, gates, price)
        area = coefficients()
        self.reads, self.base = reads, base
        self.held = np.array([area["flip_flop"]] * 8 + [area["flip_flop"] + area["weight_mux"]] * 8)
        self.bit = area["full_adder"] * area["factor_counting"]
        self.dead = selector.norms < 1e-6 * selector.norms.max()

    def row_area(self, chosen: list[int]) -> float:
        """um2 of a row with these bits."""
        held = self.reads[chosen].any(0) @ self.held
        return float(self.area[chosen].sum() + self.bit * len(chosen) + held)

    def value(self, choice: Choice) -> float:
        """What is made small."""
        return float(np.log(max(choice.error, 0) + self.base) + self.price * np.log(self.row_area(choice.chosen)))

    def scores(self, others: Choice, residual: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of any exchange."""
        powers, errors, _ = super().scores(others, residual, error)
        read = self.reads[others.chosen].any(0)
        area = self.area + self.area[others.chosen].sum() + self.bit * (len(others.chosen) + 1)
        area = area + (self.reads | read) @ self.held
        values = np.log(np.maximum(errors, 0) + self.base) + self.price * np.log(area)
        values[others.chosen] = np.inf
        values[self.dead] = np.inf
        return powers, errors, values


class Columns:
    """Candidate bits on the columns that W bits of a weight tell apart, their means and slopes in every layer."""

    def __init__(self, layers: Layers, weight_bits: int) -> None:
        self.layers = layers
        low = 16 - weight_bits  # the lowest wire of a weight that is read
        number = digits("plain")
        self.circuits = [c for c in candidates(number) if wires(c) >> 8 & ((1 << low - 8) - 1) == 0]
        at = {circuit: n for n, circuit in enumerate(self.circuits)}
        first = [(("and", k, low), float((-1 if k == 7 else 1) << k + low - 8)) for k in range(8) if low % 2]
        for j in range((low - 7) // 2, DIGITS):
            first += [(product_bit(number[j], k), position_weight(number[j], j, k)) for k in range(ROW_BITS - 2)]
            # the two bits of highest weight need no XOR: 2 a7 w - s, in place of (s ^ neg) - 2 (a7 ^ neg)
            size, high = float(1 << 7 + 2 * j), 9 + 2 * j
            first += [(selected(number[j], 7), -size), (("and", 7, high), 2 * (size if j == DIGITS - 1 else -size))]
        self.start = [at[circuit] for circuit, _ in first], np.array([weight for _, weight in first])
        known: dict[Circuit, np.ndarray] = {}
        self.codes = np.arange(-128, 128, 1 << low - 8)
        tables = [circuit_table(c, known)[:, self.codes + 128] for c in (*self.circuits, *range(8))]
        self.tables = np.stack(tables).astype(np.float64)  # candidates, then the bits of f(a): [N + 8, 256, C]
        mean = layers.activations @ A
        self.variance = layers.activations @ A**2 - mean**2
        weighted = (A - mean[:, None]) * layers.activations / self.variance[:, None]
        self.means, self.slopes = (
            np.einsum("la,nac->nlc", m, self.tables, optimize=True) for m in (layers.activations, weighted)
        )
        twos = frozenset(digit.two for digit in number)  # gates that all bits of a digit share
        self.gates = np.array([area_of(c, twos) for c in self.circuits]) * coefficients()["factor_gates"]
        self.reads = np.array([[wires(c) >> i & 1 for i in range(16)] for c in self.circuits], bool)
        self.number: list[Digit] = number

    def first_assignment(self) -> Assignment:
        """Every weight at the nearest code."""
        nearest = np.abs(A[:, None] - self.codes).argmin(1)
        return Assignment(np.tile(nearest, (len(self.layers.kept), 1)), np.ones(len(self.layers.kept)), np.inf)

    def exchange(self, given: Assignment, price: float) -> Priced:
        """Exchanges of product bits for given codes; `self.fit` then has what f(a) takes."""
        layers, count = self.layers, len(self.circuits)
        mass, level, rounding = np.zeros((2, len(layers.kept), len(self.codes))), None, 0.0
        mass, level = mass
        for n, columns in enumerate(given.columns):
            wanted, share = A * given.scales[n], layers.weights[n] / given.scales[n] ** 2
            mass[n] = np.bincount(columns, share, len(self.codes))
            level[n] = np.bincount(columns, share * wanted, len(self.codes)) / np.maximum(mass[n], 1e-300)
            left = share @ (wanted - level[n][columns]) ** 2
            rounding += layers.kept[n] * self.variance[n] * left
        joint = np.einsum("lc,la->ac", mass, layers.activations)
        flat = (self.tables * np.sqrt(joint)).reshape(len(self.tables), -1)
        means = (self.means * np.sqrt(mass)).reshape(len(flat), -1)
        made_up = mass * ((1 - layers.kept) * self.variance)[:, None]  # slopes that later weights make up for
        lines = (self.slopes * np.sqrt(made_up)).reshape(len(flat), -1)
        gram = flat @ flat.T - means @ means.T - lines @ lines.T
        gram += self._coherent(mass, joint)
        counted = mass * (layers.kept * self.variance)[:, None]
        aim = np.einsum("nlc,lc->n", self.slopes, counted * level)
        power = float((counted * level**2).sum())
        free = np.linalg.pinv(gram[count:, count:], rcond=1e-10)
        cross = gram[:count, count:]
        self.fit = (gram[count:, count:], aim[count:], cross)
        whole = np.empty((count + 1, count + 1))
        whole[:-1, :-1] = gram[:count, :count] - cross @ free @ cross.T
        whole[:-1, -1] = whole[-1, :-1] = aim[:count] - cross @ free @ aim[count:]
        whole[-1, -1] = power - aim[count:] @ free @ aim[count:]
        whole[np.diag_indices(count)] += 1e-10 * np.diag(whole)[:-1].max()
        index = np.arange(count, dtype=np.int32)[:, None]
        pool = Pool(self.circuits, index, np.ones((count, 1)))
        return Priced(Selector(pool, table_moments(whole)), self.gates, self.reads, rounding, price)

    def _coherent(self, mass: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """What errors of one window have in common, less their slope: float64 [N + 8, N + 8]."""
        share, p = mass.sum(0) / mass.sum(), joint.sum(1) / joint.sum()
        mean = p @ A
        over = self.tables @ share
        over = over - (over @ p)[:, None]
        over = over - np.outer(over @ (p * (A - mean)) / (p @ (A - mean) ** 2), A - mean)
        return over @ self.layers.coherent @ over.T

    def function_of_a(self, choice: Choice) -> np.ndarray:
        """Integer weights float64 [8] of the activation's bits in f(a), for the last exchange; 0 if unread."""
        gram, aim, cross = self.fit
        read = np.flatnonzero(self.reads[choice.chosen, :8].any(0))
        wanted = (aim - cross[choice.chosen].T @ choice.weights)[read]
        weights = np.zeros(8)
        weights[read] = np.rint(np.linalg.pinv(gram[np.ix_(read, read)], rcond=1e-10) @ wanted)
        return weights

    def table(self, choice: Choice, shared: np.ndarray) -> np.ndarray:
        """Products of all columns, f(a) included: float64 [256, C]."""
        count = len(self.circuits)
        return np.tensordot(choice.weights, self.tables[choice.chosen], 1) + np.tensordot(
            shared, self.tables[count:], 1
        )


def wires(circuit: Circuit) -> int:
    """Operand bits that a circuit reads, as a mask."""
    return 1 << circuit if isinstance(circuit, int) else wires(circuit[1]) | wires(circuit[2])


def check_bits(m: int, weight_bits: int) -> None:
    """Raise UserError for an M or bits of a weight that cannot be."""
    if weight_bits not in WEIGHT_BITS:
        raise UserError(f"{weight_bits} bits of a weight; {WEIGHT_BITS[0]}..{WEIGHT_BITS[-1]} are possible")
    most = weight_bits // 2 * ROW_BITS + weight_bits % 2 * 8
    if not 1 <= m <= most:
        raise UserError(f"M = {m}: weights of {weight_bits} bits make 1..{most} product bits, and {most} are exact")


def search_chosen(
    name: str,
    m: int,
    layers: Layers | None,
    progress: Progress,
    weight_bits: int = READ,
    kicks: int = 150,
    seed: int = 1,
    restarts: int = 1,
) -> Encoding:
    """The best M bits found for weights that will be chosen; UserError for an M or weight bits that cannot be."""
    if layers is None:
        raise UserError("preset chosen needs the layers of a network; give --net (NET=), or a target measured anew")
    check_bits(m, weight_bits)
    columns = Columns(layers, weight_bits)
    best: tuple[float, Choice, np.ndarray] | None = None
    for restart in range(restarts):
        rng, price = np.random.default_rng([seed, restart]), PRICES[restart % len(PRICES)]
        lowest, exchange = np.inf, columns.exchange(columns.first_assignment(), price)
        choice = Choice(*columns.start, exchange.error(*columns.start))
        choice = exchange.leave_out(choice, m, progress)
        for _ in range(ROUNDS):
            choice = Choice(choice.chosen, choice.weights, exchange.error(choice.chosen, choice.weights))
            choice = exchange.kicked(exchange.improve(choice, progress), kicks, rng, progress)
            shared = columns.function_of_a(choice)
            given = assign(columns.table(choice, shared), layers)
            noise, area = np.log(given.noise), np.log(exchange.row_area(choice.chosen))
            if best is None or noise + WORTH * area < best[0] - 1e-9:
                best = (noise + WORTH * area, choice, shared)
            if noise + price * area > lowest - 1e-4:
                break
            lowest, exchange = noise + price * area, columns.exchange(given, price)
    _, choice, shared = best
    text = f"{m} product bits for chosen weights of {weight_bits} bits, radix-4 digits, powers of two, f(a)"
    circuits = [columns.circuits[n] for n in choice.chosen]
    pairs = [(k, int(value)) for k, value in enumerate(shared)]
    error = np.multiply.outer(A, A)
    error -= np.repeat(columns.table(choice, shared), 256 // len(columns.codes), 1)
    whole = [digit for j, digit in enumerate(columns.number) if 2 * j >= 8 - weight_bits]
    constants, offset = constants_of_weight(error, whole, {})
    return build_encoding(name, text, circuits, choice.weights, layers.joint(), (), [*pairs, *constants], offset)


def main() -> None:
    """Command line: encodings side by side, least noise first."""
    args = parse("models.search.chosen")
    found = [load_encoding(name) for name in args.encodings.split(",")]
    layers = load_target([measured_target(net, args.data) for net in args.net.split(",")]).layers
    if layers is None:
        raise UserError("this target was measured by an older version; delete it")
    rows = sorted((chosen_noise(e.product_table, layers), e.m, column_cost(e).total, e.name) for e in found)
    print("encoding    M  column um2   noise")
    for noise, m, area, name in rows:
        print(f"{name:10s} {m:2d}  {area:10,.0f}  {noise:.4f}")


if __name__ == "__main__":
    run_cli(main)
