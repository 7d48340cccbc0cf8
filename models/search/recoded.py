"""Recoded weights: product bits from radix-4 digits of the weight, held in place of its bits.

A weight is four digits, w = sum_j 4^j d_j: three in -2..1, the highest in -2..2 (signed-digit recoding
after A. D. Booth 1951 and O. L. MacSorley 1961). Weights stay in the array, so digits are made once,
when a weight is loaded: the lower ones are two's complement pairs, `neg_j` and `one_j`, from which a
row makes `two_j`; the highest needs all three: nine bits in place of eight. Row j of partial products
has nine bits

    v_jk = ((one_j & a_k) | (two_j & a_(k-1))) ^ neg_j,      position weight 4^j 2^k, the ninth negative,

and a negative digit lacks 4^j, a function of the weight alone that goes into the bias. All 36 bits
are the exact product; leaving out bits of low position weight leaves errors that are small, nearly
centred for each weight, and 0 for a = 0. All position weights are powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.encoding import WEIGHT, Encoding, Gate
from models.errors import UserError
from models.search.select import Progress
from models.search.target import Target

DIGITS, ROW_BITS = 4, 9
BITS = DIGITS * ROW_BITS


@dataclass
class _Circuit:
    """Gates so far, each once."""

    gates: dict[Gate, int]

    def gate(self, op: str, x: int, y: int) -> int:
        """Wire of a gate."""
        key = Gate(op, *(sorted((x, y)) if op in ("and", "or", "xor") else (x, y)))
        return self.gates.setdefault(key, 16 + len(self.gates))


def digit_wires(circuit: _Circuit) -> list[tuple[int, int, int]]:
    """Wires (one, two, neg) of each digit; a digit of 0 is never negative."""
    digits, carry = [], None
    for j in range(DIGITS - 1):  # (w_(2j+1) w_2j) + carry as a two's complement pair, 2 and 3 carry over
        low, high = 8 + 2 * j, 8 + 2 * j + 1
        if carry is None:
            one, neg, carry = low, high, high
        else:
            both = circuit.gate("and", low, carry)
            one, neg = circuit.gate("xor", low, carry), circuit.gate("xor", high, both)
            carry = circuit.gate("or", high, both)
        digits.append((one, circuit.gate("andnot", neg, one), neg))
    both, none = circuit.gate("and", 14, carry), circuit.gate("nor", 14, carry)
    two = circuit.gate("or", circuit.gate("and", 15, none), circuit.gate("andnot", both, 15))
    return [*digits, (circuit.gate("xor", 14, carry), two, circuit.gate("andnot", 15, both))]


def bit_wire(circuit: _Circuit, digit: tuple[int, int, int], k: int) -> int:
    """Wire of v_jk."""
    one, two, neg = digit
    if k == 0:
        chosen = circuit.gate("and", one, 0)
    elif k == 8:
        chosen = circuit.gate("and", circuit.gate("or", one, two), 7)
    else:
        chosen = circuit.gate("or", circuit.gate("and", one, k), circuit.gate("and", two, k - 1))
    return circuit.gate("xor", chosen, neg)


def position_weight(n: int) -> int:
    """Position weight of bit n = 9 j + k."""
    j, k = divmod(n, ROW_BITS)
    return (-256 if k == 8 else 1 << k) << (2 * j)


def recoded(name: str, kept: list[int], description: str) -> Encoding:
    """The encoding of the bits `kept` (n = 9 j + k); g(w) centres its error for each weight."""
    circuit = _Circuit({})
    digits = digit_wires(circuit)
    order = sorted(kept, key=lambda n: (-abs(position_weight(n)), n))
    bits = tuple(bit_wire(circuit, digits[n // ROW_BITS], n % ROW_BITS) for n in order)
    weights = tuple(position_weight(n) for n in order)
    wires = [wire for digit in digits for wire in digit]
    made = [wire for one, _, neg in digits[:-1] for wire in (one, neg)] + list(digits[-1])
    stored = tuple(sorted(wire for wire in made if wire >= 16))
    plain = Encoding(name, tuple(circuit.gates), bits, weights, stored=stored)
    operands = np.arange(-128, 128)
    error = np.multiply.outer(operands, operands) - plain.column_table
    middle = (error.max(0) + error.min(0)) / 2  # of each weight, float64 [256]
    basis = np.stack([wire[0] for wire in (np.atleast_2d(plain.wires(0, operands)[i]) for i in wires)], 1)
    constants = np.rint(np.linalg.lstsq(basis.astype(float), middle, rcond=None)[0]).astype(int)
    shared = tuple((wire, int(c)) for wire, c in zip(wires, constants, strict=True) if c)
    assert all(plain.depends[wire] == WEIGHT for wire, _ in shared)
    return Encoding(name, plain.gates, bits, weights, 0, description, stored, shared)


def gram_matrix(target: Target) -> np.ndarray:
    """Centred inner products of the 36 weighted bits under the target: float64 [36, 36]."""
    whole = recoded("whole", list(range(BITS)), "")
    operands = np.arange(-128, 128)
    tables = whole.product_bits(operands[:, None], operands[None, :]).astype(np.float64)  # [256, 256, 36]
    order = sorted(range(BITS), key=lambda n: (-abs(position_weight(n)), n))
    weighted = np.empty((BITS, 256, 256))
    for at, n in enumerate(order):
        weighted[n] = tables[:, :, at] * position_weight(n)
    return target.gram(weighted)


def choose(m: int, target: Target, progress: Progress) -> list[int]:
    """The M bits to keep: leave out, one by one, those whose loss costs least; then exchange."""
    if not 1 <= m <= BITS:
        raise UserError(f"M = {m}: recoded weights have 1..{BITS} product bits")
    gram = gram_matrix(target)

    def loss(left_out: list[int]) -> float:
        return float(gram[np.ix_(left_out, left_out)].sum())

    left_out: list[int] = []
    while len(left_out) < BITS - m:
        rest = [n for n in range(BITS) if n not in left_out]
        left_out.append(min(rest, key=lambda n: loss([*left_out, n])))
        progress("leave out", loss(left_out))
    better = True
    while better:
        better = False
        for at in range(len(left_out)):
            for n in set(range(BITS)) - set(left_out):
                trial = [*left_out[:at], n, *left_out[at + 1 :]]
                if loss(trial) < loss(left_out) * (1 - 1e-9):
                    left_out, better = trial, True
                    break
        progress("exchange", loss(left_out))
    return [n for n in range(BITS) if n not in left_out]
