"""Exact products of fewer bits, the rivals of equal accuracy: `w4a8` has weights of 4 bits, activations of 8.

A rival multiplies the upper bits of its operands: the lower 8 - W bits of a weight and 8 - A of an activation
are not read, so that codes that are multiples of 2^(8-W) and 2^(8-A) have their exact product. Whoever makes
the codes rounds. A rival is an encoding as any other, in the form that `exact36` has for 8 bits: radix-4 digits
of the weight (models/search/recoded.py, digits `plain`), one tree for all product bits of a column. An odd bit
of the weight, the lowest, is a row of AND gates.
"""

from __future__ import annotations

import re

import numpy as np

from common.errors import UserError
from models.encoding import Encoding
from models.search.assemble import build_encoding
from models.search.pool import Circuit
from models.search.recoded import DIGITS, digits, selected

WEIGHT_BITS = range(4, 9)
ACTIVATION_BITS = range(6, 9)
NAME = re.compile(r"w(\d+)a(\d+)")


def widths(name: str) -> tuple[int, int] | None:
    """(bits of a weight, bits of an activation) of a name like `w4a8`, None of another; UserError if none can be."""
    found = NAME.fullmatch(name)
    if not found:
        return None
    weight, activation = int(found[1]), int(found[2])
    if weight not in WEIGHT_BITS or activation not in ACTIVATION_BITS:
        raise UserError(
            f"no form has '{name}': weights may have {WEIGHT_BITS[0]} to {WEIGHT_BITS[-1]} bits, "
            f"activations {ACTIVATION_BITS[0]} to {ACTIVATION_BITS[-1]}, for example w4a8"
        )
    return weight, activation


def nearest(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes of `bits`: the nearest multiples of 2^(8-bits), int8 as `codes` are; the greatest saturates."""
    step = 1 << 8 - bits
    return np.minimum((codes.astype(np.int16) + step // 2) // step * step, 128 - step).astype(np.int8)


def rival(weight_bits: int, activation_bits: int) -> Encoding:
    """The exact product of the upper bits as an encoding: W/2 (A+1) product bits, and A more if W is odd."""
    low_a, low_w = 8 - activation_bits, 8 - weight_bits
    unit = 1 << low_a
    circuits: list[Circuit] = []
    weights: list[int] = []
    shared: list[tuple[Circuit, int]] = []
    surplus = 0  # what digits of -2..1 are less than the bits they are made of
    if low_w % 2:
        circuits += [("and", k, 8 + low_w) for k in range(low_a, 8)]
        weights += [(-1 if k == 7 else 1) << (k + low_w) for k in range(low_a, 8)]
    for j, digit in enumerate(digits("plain")):
        if 2 * j < low_w:
            continue
        sign = -1 if digit.inverted else 1
        for k in range(low_a, 9):
            chosen = ("and", k, digit.one) if k == low_a else selected(digit, k)
            circuits.append(("xor", chosen, digit.neg))
            weights.append((-sign if k == 8 else sign) << (k + 2 * j))
        # a negative digit lacks one unit of the activation; a complemented one has it already
        shared.append((digit.neg, sign * unit << 2 * j))
        surplus += 2 * 4**j if j < DIGITS - 1 else 0
    shared = [(k, (-surplus if k == 7 else surplus) << k) for k in range(low_a, 8)] + shared
    name = f"w{weight_bits}a{activation_bits}"
    text = f"exact product of the upper {weight_bits} bits of the weight and {activation_bits} of the activation"
    encoding = build_encoding(name, text, circuits, weights, None, (), shared, 0)
    encoding.provenance.update(function=f"models.rivals.rival({weight_bits}, {activation_bits})")
    return encoding
