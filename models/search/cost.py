"""Area of one column of an encoded array, from the encoding alone: what a search minimises.

    area = R * gates (shared ones once) + gates that encode the weight, once
         + (R - 1) * M full adders (the counting tree of each position)
         + full adders of the decoder: one for each bit of the sum (the final addition) and, unless all
           weights are powers of two, one for each bit of each count that a CSD digit adds
         + flip-flops of the sum and of the operand bits that a row holds, weight bits with the
           multiplexer that loads them

and 1/64 of the column that adds f(a) for an array of 64 columns (not part of a measured column). An OR
of two ANDs that nothing else reads is one cell. Powers of two merge into one compressor tree and so have
no counts. Cell areas and the factor of each term are in cost.json; `python -m flows.synth.cost --fit
<ppa.json> ...` reads the former from the Liberty file of a platform and fits the latter to columns measured
by `python -m flows.synth`. The registers are counted, not fitted. A new gate needs
its cell's area in cost.json, on the scale of the others; a fit can come later.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import read_json
from models.encoding import OPERAND_WIRES, UNARY, Encoding, position_digits
from models.search.native import NAMES

COEFFICIENTS = Path(__file__).parent / "cost.json"
FORMAT = "encmac-cost/1"
COST_ROWS = 64  # of the column whose cost is stored with an encoding
COLUMNS = 64  # of the array that shares a column for f(a)
TERMS = ("gates", "counting", "decoder", "registers")
FITTED = TERMS[:3]
OTHERS = ("full_adder", "flip_flop", "weight_mux", "and_or")  # cells besides the gates

# Cells that make a gate in the library's usual names (drive strength 1); the full adder is the platform's.
CELLS = {
    "and": ("AND2X1",), "or": ("OR2X1",), "xor": ("XOR2X1",), "nand": ("NAND2X1",), "nor": ("NOR2X1",),
    "xnor": ("XNOR2X1",), "andnot": ("NOR2X1", "INVX1"), "ornot": ("NAND2X1", "INVX1"), "not": ("INVX1",), "buf": (),
    "flip_flop": ("DFFPOSX1",), "weight_mux": ("MUX2X1",), "and_or": ("AOI22X1",),
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Area of a column in um2, by what it is spent on."""

    gates: float
    counting: float
    decoder: float
    registers: float
    shared: float = 0.0

    @property
    def total(self) -> float:
        """All terms, um2."""
        return self.gates + self.counting + self.decoder + self.registers + self.shared


@cache
def coefficients(path: Path = COEFFICIENTS) -> dict[str, float]:
    """Area in um2 of each gate type and other cell, and the factor of each term (1 if absent)."""
    try:
        data = read_json(path)
        if data["format"] != FORMAT:
            raise UserError(f"{path.name}: format is {data['format']!r}, expected {FORMAT!r}")
        areas = {k: float(v) for k, v in data["area_um2"].items()} | {
            f"factor_{t}": float(data.get("factors", {}).get(t, 1.0)) for t in TERMS
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cost coefficients {path.name} are damaged ({error}); restore the file") from error
    if missing := [k for k in (*NAMES, *OTHERS) if k not in areas]:
        raise UserError(f"cost coefficients {path.name} lack '{missing[0]}'")
    return areas


def gate_areas() -> np.ndarray:
    """Area in um2 of each gate type by code: float64 [10]."""
    return np.array([coefficients()[name] for name in NAMES])


def column_cost(encoding: Encoding, rows: int = 64, path: Path = COEFFICIENTS) -> Cost:
    """Area of a column of `rows` rows."""
    area = coefficients(path)
    terms = {k: v * area[f"factor_{k}"] for k, v in area_terms(encoding, rows, area).items()}
    return Cost(**terms, shared=_shared_area(encoding, rows, area) / COLUMNS)


def area_terms(encoding: Encoding, rows: int, area: dict[str, float]) -> dict[str, float]:
    """The terms before their factors, um2."""
    width = _sum_width(encoding, rows)
    counts = 0 if encoding.is_power_of_two else len(encoding.digits) * math.ceil(math.log2(rows + 1))
    a_bits, w_bits = (len(wires) for wires in encoding.operands)
    encoder = encoding.cone(encoding.operands[1])[1]
    operands = rows * (area["flip_flop"] * (a_bits + w_bits) + area["weight_mux"] * w_bits)
    return {
        "gates": rows * _row_area(encoding, area)
        + sum(area[encoding.gates[wire - OPERAND_WIRES].op] for wire in encoder),
        "counting": area["full_adder"] * (rows - 1) * encoding.m,
        "decoder": area["full_adder"] * (counts + width),
        "registers": operands + area["flip_flop"] * width,
    }


def _shared_area(encoding: Encoding, rows: int, area: dict[str, float]) -> float:
    """Area in um2 of the column that adds f(a): as of an encoding of bits that need no gates in a row."""
    pairs = encoding.shared_bits()
    if not pairs:
        return 0.0
    count = math.ceil(math.log2(rows + 1))
    adders = (rows - 1) * len(pairs) * area["factor_counting"]
    adders += len(position_digits([s for _, s in pairs])) * count * area["factor_decoder"]
    return area["full_adder"] * adders + area["flip_flop"] * (rows * len(pairs) + 16 + count)


def _row_area(encoding: Encoding, area: dict[str, float]) -> float:
    """Area in um2 of the gates of a row; an OR of two ANDs that nothing else reads is one cell."""
    wires = encoding.cone(encoding.bits, frozenset(encoding.stored))[1]
    gates = {wire: encoding.gates[wire - OPERAND_WIRES] for wire in wires}
    read = Counter(encoding.bits)
    for gate in gates.values():
        read.update({gate.x} if gate.op in UNARY else {gate.x, gate.y})
    total = 0.0
    for wire in reversed(wires):
        gate = gates[wire]
        pair = (gate.x, gate.y)
        if gate.op in ("or", "nor") and all(i in gates and gates[i].op == "and" and read[i] == 1 for i in pair):
            total += area["and_or"] - 2 * area["and"]
        else:
            total += area[gate.op]
    return total


def _sum_width(encoding: Encoding, rows: int) -> int:
    """Bits of a column's sum, two's complement."""
    low, high = (rows * int(f()) for f in (encoding.column_table.min, encoding.column_table.max))
    return max(value.bit_length() for value in (max(-low - 1, 0), max(high, 0))) + 1
