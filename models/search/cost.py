"""Area of one column of an encoded array, from the encoding alone: what a search minimises.

    area = R * gates (shared ones once) + R * M full adders (the counting tree of each position)
         + full adders of the decoder, which adds one count per CSD digit
         + operand flip-flops: a activation bits and w weight bits that a gate reads, per row

Powers of two merge into one compressor tree: M counts of one digit each cost no decoder beyond the
final carry-propagate adder. Coefficients are in cost.json; `fit_areas` fits the scale of the terms to
areas measured by synthesis.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from models.encoding import Encoding
from models.errors import UserError
from models.search.native import NAMES

COEFFICIENTS = Path(__file__).parent / "cost.json"
TERMS = ("gates", "counting", "decoder", "registers")


@dataclass(frozen=True)
class Cost:
    """Area of a column in um2, by what it is spent on."""

    gates: float
    counting: float
    decoder: float
    registers: float

    @property
    def total(self) -> float:
        """All terms, um2."""
        return self.gates + self.counting + self.decoder + self.registers


@cache
def coefficients(path: Path = COEFFICIENTS) -> dict[str, float]:
    """Area in um2 of each gate type, a full adder, a flip-flop, and the factor of each term (1 if absent)."""
    try:
        data = json.loads(path.read_text())
        if data["format"] != "encmac-cost/1":
            raise UserError(f"{path.name}: format is {data['format']!r}, expected 'encmac-cost/1'")
        areas = {k: float(v) for k, v in data["area_um2"].items()} | {
            f"factor_{t}": float(data.get("factors", {}).get(t, 1.0)) for t in TERMS
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cost coefficients {path.name} are damaged ({error}); restore the file") from error
    if missing := [k for k in (*NAMES, "full_adder", "flip_flop") if k not in areas]:
        raise UserError(f"cost coefficients {path.name} lack '{missing[0]}'")
    return areas


def gate_areas() -> np.ndarray:
    """Area in um2 of each gate type by code: float64 [10]."""
    return np.array([coefficients()[name] for name in NAMES])


def column_cost(encoding: Encoding, rows: int = 64, path: Path = COEFFICIENTS) -> Cost:
    """Area of a column of `rows` rows."""
    area = coefficients(path)
    used = _used_gates(encoding)
    gates = rows * sum(area[encoding.gates[g].op] for g in used)
    counting = area["full_adder"] * sum(max(rows - 1, 0) for _ in encoding.bits)
    width = math.ceil(math.log2(rows + 1))
    digits = len(encoding.digits) - encoding.m  # a first digit of each position is free: its wires are placed
    span = int(np.abs(encoding.array_table).max() * rows).bit_length() + 1
    decoder = area["full_adder"] * (digits * width + span)
    a_mask, w_mask = encoding.reads()
    registers = rows * area["flip_flop"] * (a_mask.bit_count() + w_mask.bit_count())
    terms = {"gates": gates, "counting": counting, "decoder": decoder, "registers": registers}
    return Cost(**{k: v * area[f"factor_{k}"] for k, v in terms.items()})


def fit_areas(encodings: list[Encoding], areas_um2: list[float], rows: list[int]) -> tuple[dict[str, float], float]:
    """Factors of the four terms, >= 0, that fit measured column areas; and the rms relative error."""
    if len(encodings) < 2 or not len(encodings) == len(areas_um2) == len(rows):
        raise UserError(f"{len(encodings)} encodings, {len(areas_um2)} areas; give at least 2 of equal number")
    plain = [column_cost(e, r) for e, r in zip(encodings, rows, strict=True)]
    table = np.array([[getattr(c, t) for t in TERMS] for c in plain]) / np.array(areas_um2)[:, None]
    active = list(range(len(TERMS)))
    while True:  # least squares on relative errors; terms that would become negative leave
        factors = np.zeros(len(TERMS))
        factors[active] = np.linalg.lstsq(table[:, active], np.ones(len(table)), rcond=None)[0]
        if factors.min() >= 0:
            break
        active.remove(int(factors.argmin()))
    error = float(np.sqrt(np.mean((table @ factors - 1) ** 2)))
    return dict(zip(TERMS, factors.tolist(), strict=True)), error


def _used_gates(encoding: Encoding) -> list[int]:
    """Gates that some product bit depends on, each once."""
    needed = set(encoding.bits)
    used = []
    for index in range(len(encoding.gates) - 1, -1, -1):
        gate = encoding.gates[index]
        if 16 + index in needed:
            used.append(index)
            needed |= {gate.x} if gate.op in ("not", "buf") else {gate.x, gate.y}
    return used
