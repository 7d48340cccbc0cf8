"""From a choice of candidates to an `Encoding`: shared gates once, integer weights, an offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.errors import UserError
from models.encoding import Encoding, Gate
from models.search.pool import Circuit


def build_encoding(
    name: str,
    description: str,
    circuits: list[Circuit],
    weights: np.ndarray,
    joint: np.ndarray,
    stored: Sequence[Circuit] = (),
    shared: Sequence[tuple[Circuit, int]] = (),
    offset: int | None = None,
) -> Encoding:
    """The encoding of product bits `circuits` with integer `weights` [M], largest weight first.

    `stored` are circuits of one operand that a row holds in registers, as far as its bits read them;
    `shared` are circuits of one operand with the weights of f(a) and g(w). The offset is by default
    the mean error under p(a, w) `joint`, float64 [256, 256], rounded.
    """
    order = sorted(range(len(circuits)), key=lambda m: (-abs(weights[m]), str(circuits[m])))
    gates: dict[Gate, int] = {}
    bits = tuple(_wire(circuits[m], gates) for m in order)
    integers = tuple(int(np.rint(weights[m])) for m in order)
    made = set(gates.values())
    held = tuple(sorted(made & {_wire(circuit, dict(gates)) for circuit in stored}))
    sums = tuple((_wire(circuit, gates), int(weight)) for circuit, weight in shared if weight)
    plain = Encoding(name, tuple(gates), bits, integers, 0, description, held, sums)
    if offset is None:
        operands = np.arange(-128, 128)
        offset = int(np.rint((joint * (np.multiply.outer(operands, operands) - plain.product_table)).sum()))
    try:
        return replace(plain, offset=offset)
    except UserError:  # the offset pushed a product past 16 bits: leave it to the bias correction
        return plain


def _wire(circuit: Circuit, gates: dict[Gate, int]) -> int:
    """Wire of a circuit; its gates are added to `gates` {gate: wire} unless they are there."""
    if isinstance(circuit, int):
        return circuit
    op, x, y = circuit
    wires = _wire(x, gates), _wire(y, gates)
    gate = Gate(op, *(wires if op in ("andnot", "ornot") else sorted(wires)))
    return gates.setdefault(gate, 16 + len(gates))
