"""Weights read two bits at a time: product bits of radix-4 digits (A. D. Booth 1951; O. L. MacSorley 1961).

A weight is four digits, w + c = sum_j 4^j d_j with d_j in -2..2. Of a digit three bits matter, `one`,
`two` and `neg`, and row j of partial products has nine bits

    v_jk = ((one_j & a_k) | (two_j & a_(k-1))) ^ neg_j,      position weight 4^j 2^k, the ninth negative.

A negative digit lacks 4^j: a function of the weight alone, which goes into the bias. So 36 bits with
powers of two are the exact product, and leaving out bits of low position weight leaves small errors,
nearly centred for each weight. Systems of digits:

- `booth`: -2..2, c = 0. The three bits of a digit are computed when a weight is loaded and held in its
  row (11 bits in place of 8). A weight near 0 has high digits of 0, whose product bits do not toggle.
- `signed`: -2..1 thrice and a highest digit in -2..2, c = 0. The lower ones are two's complement pairs,
  `one` and `neg`, from which a row makes `two`: 9 bits held.
- `plain`: -2..1, c = -42. Then one_j = w_2j, neg_j = not w_(2j+1), two_j = nor of both: a row holds
  the bits of the weight and nothing else. 42 a is a function of the activation, which one extra column
  adds for all columns; a weight that reads fewer digits holds fewer bits.

Each is a start: bits are then exchanged with simpler ones where the gates saved are worth the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from common.errors import UserError
from models.encoding import Encoding
from models.search.assemble import build_encoding
from models.search.cost import COST_ROWS, coefficients, column_cost
from models.search.pool import Circuit, circuit_table, first_level, table_pool
from models.search.positions import nearest_power
from models.search.select import Choice, Progress, Selector
from models.search.target import Target

DIGITS, ROW_BITS = 4, 9
BITS = DIGITS * ROW_BITS
SYSTEMS = ("booth", "signed", "plain")


@dataclass(frozen=True)
class Digit:
    """Circuits of the three bits of a digit."""

    one: Circuit
    two: Circuit
    neg: Circuit
    inverted: bool = False  # `neg` is its complement: the product bit is, too
    held: tuple[Circuit, ...] = ()  # what a row holds, if its product bits read it, besides operand bits


def digits(system: str) -> list[Digit]:
    """The four digits of a system, lowest first."""
    if system == "plain":
        pairs = [(8 + 2 * j, 9 + 2 * j) for j in range(DIGITS)]
        found = [Digit(low, ("nor", high, low), high, True) for low, high in pairs[:-1]]
        low, high = pairs[-1]  # the sign bit counts the other way round
        return [*found, Digit(low, ("andnot", high, low), high)]
    if system == "signed":
        found, carry = [Digit(8, ("andnot", 9, 8), 9)], 9
        for j in range(1, DIGITS - 1):
            low, high = 8 + 2 * j, 9 + 2 * j
            both = ("and", low, carry)
            one, neg, carry = ("xor", low, carry), ("xor", high, both), ("or", high, both)
            found.append(Digit(one, ("andnot", neg, one), neg, False, (one, neg)))
        return [*found, _highest(14, 15, carry)]
    zeroth = ("andnot", 9, 8)
    found = [Digit(8, zeroth, 9, False, (zeroth,))]
    for j in range(1, DIGITS):
        found.append(_highest(8 + 2 * j, 9 + 2 * j, 7 + 2 * j))
    return found


def _highest(low: Circuit, high: Circuit, carry: Circuit) -> Digit:
    """The digit low + carry - 2 high, -2..2."""
    ones, none = ("and", low, carry), ("nor", low, carry)
    two = ("or", ("and", high, none), ("andnot", ones, high))
    parts = (("xor", low, carry), two, ("andnot", high, ones))
    return Digit(*parts, False, parts)


def selected(digit: Digit, k: int) -> Circuit:
    """Bit k of |d| a."""
    if k == 0:
        return ("and", 0, digit.one)
    if k == ROW_BITS - 1:
        return ("and", 7, ("or", digit.one, digit.two))
    return ("or", ("and", k, digit.one), ("and", k - 1, digit.two))


def product_bit(digit: Digit, k: int) -> Circuit:
    """v_jk, or its complement where `neg` is one."""
    return ("xor", selected(digit, k), digit.neg)


def position_weight(digit: Digit, j: int, k: int) -> float:
    """Position weight of `product_bit`."""
    size = float(1 << k + 2 * j)
    return -size if (k == ROW_BITS - 1) != digit.inverted else size


def candidates(system: list[Digit]) -> list[Circuit]:
    """The 36 product bits, first; then simpler ones: a part of each, and gates of two operand bits."""
    found = [product_bit(digit, k) for digit in system for k in range(ROW_BITS)]
    for digit in system:
        for k in range(8):
            single, double = ("and", k, digit.one), ("and", k, digit.two)
            found += [single, double, ("xor", single, digit.neg), ("xor", double, digit.neg), ("xor", k, digit.neg)]
        found += [selected(digit, k) for k in range(ROW_BITS)]
    return list(dict.fromkeys([*found, *first_level()]))


def area_of(circuit: Circuit, held: frozenset[Circuit]) -> float:
    """Area in um2 of a circuit over operand bits and `held` circuits."""
    if isinstance(circuit, int) or circuit in held:
        return 0.0
    op, x, y = circuit
    area = coefficients()
    if op == "or" and all(isinstance(c, tuple) and c[0] == "and" for c in (x, y)):
        return area["and_or"] + sum(area_of(part, held) for c in (x, y) for part in c[1:])
    return area[op] + area_of(x, held) + area_of(y, held)


class Exchange:
    """Powers of two for a fixed number of bits: least log(error) + price * gate area (of M product bits: 1)."""

    def __init__(self, selector: Selector, area: np.ndarray, price: float) -> None:
        self.selector, self.area, self.price = selector, area, price
        self.gram = np.array([selector.column(n) for n in range(len(selector.pool))])

    def value(self, choice: Choice) -> float:
        """What is made small."""
        return float(np.log(max(choice.error, 1e-9)) + self.price * self.area[choice.chosen].sum())

    def error(self, chosen: list[int], weights: np.ndarray) -> float:
        """Error of a choice."""
        return self.selector.error(self.gram[np.ix_(chosen, chosen)], self.selector.correlation[chosen], weights)

    def leave_out(self, choice: Choice, count: int, progress: Progress) -> Choice:
        """Bits leave one by one, the one whose loss costs least first, until `count` are left."""
        while len(choice.chosen) > count:
            residual = self.residual(choice)[choice.chosen]
            rises = 2 * choice.weights * residual + choice.weights**2 * self.selector.norms[choice.chosen]
            m = int(rises.argmin())
            choice = self.without(choice, [m])
            progress("leave out", choice.error)
        return choice

    def without(self, choice: Choice, gone: list[int]) -> Choice:
        """The choice less some of its bits."""
        kept = [m for m in range(len(choice.chosen)) if m not in gone]
        chosen, weights = [choice.chosen[m] for m in kept], choice.weights[kept]
        return Choice(chosen, weights, self.error(chosen, weights))

    def residual(self, choice: Choice) -> np.ndarray:
        """<target less chosen bits, b_k> of all candidates k: float64 [N]."""
        return self.selector.correlation - choice.weights @ self.gram[choice.chosen]

    def grow(self, choice: Choice, count: int) -> Choice:
        """Best candidates with their powers of two, one by one, until there are `count`."""
        while len(choice.chosen) < count:
            at, weight, error = self.best_for(choice, self.residual(choice), choice.error)
            choice = Choice([*choice.chosen, at], np.append(choice.weights, weight), error)
        return choice

    def best_for(self, others: Choice, residual: np.ndarray, error: float) -> tuple[int, float, float]:
        """(candidate, power of two, error) that goes best with `others`."""
        powers, errors, values = self.scores(others, residual, error)
        k = int(values.argmin())
        return k, float(powers[k]), float(errors[k])

    def scores(self, others: Choice, residual: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(power of two, error, value less the price of `others`) of each candidate added to `others`: float64 [N]."""
        powers = nearest_power(residual / self.selector.norms)
        errors = error - 2 * powers * residual + powers**2 * self.selector.norms
        values = np.log(np.maximum(errors, 1e-9)) + self.price * self.area
        values[others.chosen] = np.inf
        return powers, errors, values

    def improve(self, choice: Choice, progress: Progress) -> Choice:
        """Exchange one bit with its weight at a time while that helps; `progress` whenever all are scored."""
        while True:
            best = (self.value(choice) - 1e-9, choice)
            residual = self.residual(choice)
            for m, (n, weight) in enumerate(zip(choice.chosen, choice.weights, strict=True)):
                kept = [*choice.chosen[:m], *choice.chosen[m + 1 :]]
                others = Choice(kept, np.delete(choice.weights, m), 0.0)
                error = choice.error + 2 * weight * residual[n] + weight**2 * self.selector.norms[n]
                k, power, error = self.best_for(others, residual + weight * self.gram[n], error)
                progress("exchange", choice.error)
                trial = Choice([*kept, k], np.append(others.weights, power), error)
                if self.value(trial) < best[0]:
                    best = (self.value(trial), trial)
            if best[1] is choice:
                return choice
            choice = Choice(best[1].chosen, best[1].weights, self.error(best[1].chosen, best[1].weights))

    def kicked(self, best: Choice, kicks: int, rng: np.random.Generator, progress: Progress) -> Choice:
        """`kicks` times up to five bits are replaced, all but one at random among the better ones, and improved."""
        for _ in range(kicks):
            count = len(best.chosen)
            gone = rng.choice(count, int(rng.integers(1, min(6, count + 1))), replace=False)
            added = self.without(best, gone.tolist())
            for _ in gone[1:]:
                residual = self.residual(added)
                power = nearest_power(residual / self.selector.norms)
                gains = 2 * power * residual - power**2 * self.selector.norms
                gains[added.chosen] = -np.inf
                n = int(rng.choice(np.argsort(gains)[-20:]))
                joined, values = [*added.chosen, n], np.append(added.weights, power[n])
                added = Choice(joined, values, self.error(joined, values))
            trial = self.improve(self.grow(added, count), progress)
            if self.value(trial) < self.value(best) - 1e-9:
                best = trial
            progress("kicks", best.error)
        return self.improve_pairs(best, progress)

    def improve_pairs(self, choice: Choice, progress: Progress, width: int = 8) -> Choice:
        """Exchange two bits at a time, the first for each of the `width` best candidates, while that helps."""
        pairs = list(combinations(range(len(choice.chosen)), 2))
        since = 0  # pairs tried without success
        while pairs and since < len(pairs):
            pair, since = pairs[0], since + 1
            pairs = [*pairs[1:], pair]
            others = self.without(choice, list(pair))
            residual = self.residual(others)
            powers, errors, values = self.scores(others, residual, others.error)
            for k in np.argsort(values)[:width]:
                one = Choice([*others.chosen, int(k)], np.append(others.weights, powers[k]), float(errors[k]))
                trial = self.grow(one, len(choice.chosen))
                if self.value(trial) < self.value(choice) - 1e-9:
                    choice, since = trial, 0
            progress("pairs", choice.error)
        return choice


def check_m(m: int) -> None:
    """Raise UserError for a number of product bits that digits cannot make."""
    if not 1 <= m <= BITS:
        raise UserError(f"M = {m}: radix-4 digits make 1..{BITS} product bits, and {BITS} are the exact product")


def search_recoded(
    name: str,
    m: int,
    target: Target,
    progress: Progress,
    system: str = "plain",
    price: float = 0.3,
    kicks: int = 200,
    seed: int = 1,
    correct_a: bool = True,
    restarts: int = 1,
) -> Encoding:
    """The best M bits found from a system of digits; `correct_a` allows an f(a). Raises UserError for other M.

    Each of `restarts` begins with the same bits and gives them `kicks`: exchanges at random, kept if they help.
    """
    check_m(m)
    if system not in SYSTEMS:
        raise UserError(f"unknown digits '{system}'; known: {', '.join(SYSTEMS)}")
    if system == "plain" and not correct_a:
        raise UserError("digits 'plain' need an f(a); take 'booth', or allow one")
    number = digits(system)
    held = frozenset(circuit for digit in number for circuit in digit.held)
    free = range(8) if correct_a else ()
    circuits = candidates(number)
    pool, moments = table_pool(circuits, target, free)
    shared = held | {digit.two for digit in number}  # gates that all bits of a digit share
    area = np.array([area_of(circuit, frozenset(shared)) for circuit in pool.circuits])
    bit = area_of(product_bit(number[0], 1), frozenset(shared))
    area /= m * bit
    whole = m * bit * coefficients()["factor_gates"] * COST_ROWS
    exchange = Exchange(Selector(pool, moments), area, price)
    at = {circuit: n for n, circuit in enumerate(pool.circuits)}
    places = [(j, k) for j in range(DIGITS) for k in range(ROW_BITS)]
    chosen = [at[product_bit(number[j], k)] for j, k in places]
    weights = np.array([position_weight(number[j], j, k) for j, k in places])
    start = exchange.leave_out(Choice(chosen, weights, exchange.error(chosen, weights)), m, progress)
    if m < BITS:
        start = exchange.improve(start, progress)
    best: tuple[float, Encoding] | None = None
    for restart in range(restarts if m < BITS else 1):
        rng = np.random.default_rng([seed, restart] if restart else seed)
        choice = exchange.kicked(start, kicks, rng, progress) if m < BITS else start
        circuits = [pool.circuits[n] for n in choice.chosen]
        found = finish(name, circuits, choice.weights, number, target, free, system)
        # restarts are compared by the cost model: it knows which gates bits share
        value = np.log(max(choice.error, 1e-9)) + price * column_cost(found).gates / whole
        if best is None or value < best[0] - 1e-9:
            best = (value, found)
    return best[1]


def finish(
    name: str,
    circuits: list[Circuit],
    weights: np.ndarray,
    number: list[Digit],
    target: Target,
    free: range | tuple,
    system: str,
) -> Encoding:
    """The encoding with f(a) by least squares under the target, and the g(w) that halves the largest error."""
    held = [circuit for digit in number for circuit in digit.held]
    known: dict[Circuit, np.ndarray] = {}
    operands = np.arange(-128.0, 128.0)
    error = np.multiply.outer(operands, operands)
    for circuit, weight in zip(circuits, weights, strict=True):
        error = error - float(weight) * circuit_table(circuit, known)
    shared: list[tuple[Circuit, int]] = []
    if free:
        gram = target.gram([*(circuit_table(c, known) for c in free), error])
        values = np.rint(np.linalg.pinv(gram[:-1, :-1], rcond=1e-12) @ gram[:-1, -1]).astype(int)
        shared += [(c, int(v)) for c, v in zip(free, values, strict=True)]
        for circuit, value in shared:
            error = error - float(value) * circuit_table(circuit, known)
    constants, offset = constants_of_weight(error, number, known)
    shared += constants
    text = f"{len(circuits)} product bits from radix-4 digits of the weight ({system}), powers of two"
    text += ", f(a)" if free else ""
    return build_encoding(name, text, circuits, weights, target.joint, held, shared, offset)


def constants_of_weight(
    error: np.ndarray, number: list[Digit], known: dict[Circuit, np.ndarray]
) -> tuple[list[tuple[Circuit, int]], int]:
    """g(w) of the digits `number`, and an offset, that halve the largest `error` float64 [256, 256] of each weight."""
    middle = (error.max(0) + error.min(0)) / 2
    circuits = independent([c for d in number for c in (d.one, d.two, d.neg, ("and", d.one, d.neg))], known)
    basis = np.stack([*(circuit_table(c, known)[0] for c in circuits), np.ones(256)], 1).astype(np.float64)
    fitted = np.rint(np.linalg.lstsq(basis, middle, rcond=None)[0]).astype(int)
    return [(c, int(v)) for c, v in zip(circuits, fitted[:-1], strict=True)], int(fitted[-1])


def independent(circuits: list[Circuit], known: dict[Circuit, np.ndarray]) -> list[Circuit]:
    """Circuits of the weight that are no sums of earlier ones and a constant."""
    kept: list[Circuit] = []
    columns = [np.ones(256)]
    for circuit in circuits:
        trial = [*columns, circuit_table(circuit, known)[0].astype(np.float64)]
        if np.linalg.matrix_rank(np.stack(trial)) == len(trial):
            kept, columns = [*kept, circuit], trial
    return kept
