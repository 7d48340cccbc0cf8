"""From a choice of candidates to an `Encoding`: shared gates once, integer weights, an offset."""

from __future__ import annotations

import numpy as np

from models.encoding import Encoding, Gate
from models.errors import UserError
from models.search.pool import Circuit


def build_encoding(
    name: str, description: str, circuits: list[Circuit], weights: np.ndarray, joint: np.ndarray
) -> Encoding:
    """The encoding of product bits `circuits` with integer `weights` [M], largest weight first.

    The offset is the mean error under p(a, w) `joint`, float64 [256, 256], rounded.
    """
    order = sorted(range(len(circuits)), key=lambda m: (-abs(weights[m]), str(circuits[m])))
    gates: dict[Gate, int] = {}
    bits = tuple(_wire(circuits[m], gates) for m in order)
    integers = tuple(int(np.rint(weights[m])) for m in order)
    plain = Encoding(name, tuple(gates), bits, integers)
    operands = np.arange(-128, 128)
    offset = int(np.rint((joint * (np.multiply.outer(operands, operands) - plain.array_table)).sum()))
    try:
        return Encoding(name, tuple(gates), bits, integers, offset, description)
    except UserError:  # the offset pushed a product past 16 bits: leave it to the bias correction
        return Encoding(name, tuple(gates), bits, integers, 0, description)


def _wire(circuit: Circuit, gates: dict[Gate, int]) -> int:
    """Wire of a circuit; its gates are added to `gates` {gate: wire} unless they are there."""
    if isinstance(circuit, int):
        return circuit
    op, x, y = circuit
    wires = _wire(x, gates), _wire(y, gates)
    gate = Gate(op, *(wires if op in ("andnot", "ornot") else sorted(wires)))
    return gates.setdefault(gate, 16 + len(gates))
