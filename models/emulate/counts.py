"""Counts of product bits in a tile: 64 rows of an array are the bits of one word, a gate is one instruction for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.errors import UserError
from models.encoding import OPERAND_WIRES, Encoding

WORD = 64
CHUNK = 1 << 18  # words of one wire at a time: 2 MB

# The gates of models/encoding.py on words.
GATES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "nand": lambda x, y: ~(x & y),
    "nor": lambda x, y: ~(x | y),
    "xnor": lambda x, y: ~(x ^ y),
    "andnot": lambda x, y: x & ~y,
    "ornot": lambda x, y: x | ~y,
    "not": lambda x, _: ~x,
    "buf": lambda x, _: x,
}


def bit_words(codes: np.ndarray) -> np.ndarray:
    """uint64 [8, N, ceil(R / 64)] of int8 `codes` [N, R]: bit i of row r is bit r % 64 of word r // 64 in plane i."""
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % WORD))).view(np.uint8)
    planes = np.packbits(padded >> np.arange(8, dtype=np.uint8)[:, None, None] & 1, axis=-1, bitorder="little")
    return planes.view("<u8").astype(np.uint64)


def position_counts(encoding: Encoding, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Counts cnt[m] of every column before position weights, int32 [N, C, M].

    `activations` int8 [N, R]: a vector of a tile's stream; `weights` int8 [R, C], those of its rows and columns.
    """
    for name, value in (("activations", activations), ("weights", weights)):
        if value.dtype != np.int8 or value.ndim != 2 or 0 in value.shape:
            raise UserError(f"{name} are {value.dtype} {value.shape}; expected int8 with 2 dimensions, none empty")
    if activations.shape[1] != len(weights):
        raise UserError(f"activations of {activations.shape[1]} rows do not fit weights of {len(weights)} rows")
    a, w = bit_words(activations), bit_words(np.ascontiguousarray(weights.T))
    used = np.packbits(np.arange(w.shape[-1] * WORD) < len(weights), bitorder="little").view("<u8")
    inputs, gates = encoding.cone(encoding.bits)
    found = np.empty((len(activations), weights.shape[1], encoding.m), np.int32)
    step = max(1, CHUNK // w[0].size)
    for first in range(0, len(activations), step):
        part = a[:, first : first + step, None]
        wires = {i: part[i] if i < 8 else w[i - 8][None] for i in inputs}
        for wire in gates:
            gate = encoding.gates[wire - OPERAND_WIRES]
            wires[wire] = GATES[gate.op](wires[gate.x], wires.get(gate.y, used))
        for m, wire in enumerate(encoding.bits):
            found[first : first + step, :, m] = np.bitwise_count(wires[wire] & used).sum(-1, dtype=np.int32)
    return found
