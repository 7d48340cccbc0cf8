"""Test of one column through its ports: on RTL or on a mapped netlist.

Weights are shifted in, activation vectors follow one a cycle, skewed by row where the design wants
it; every result must come after exactly the stated latency and equal the golden model. What the extra
column of an encoding with f(a) would send comes from the model; that column is tested alone. Columns of a
fast inner product add a_2k a_2k+1 + w_2k w_2k+1 for every two rows: so does the expectation.
"""

from __future__ import annotations

import json
import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge

from models.emulate import exact_table
from models.encoding import Encoding, load_encoding
from models.hardware import TileModel, bit_slice
from tb.scoreboard import pack

VECTORS = 96


def operands(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights int8 [R] and activations int8 [N, R]: corners, sparse small values as in networks, uniform."""
    corners = np.array([-128, -127, -1, 0, 1, 127], np.int8)
    weights = rng.integers(-128, 128, rows).astype(np.int8)
    weights[: len(corners)] = corners[:rows]
    sparse = np.clip(rng.exponential(8, (VECTORS // 3, rows)) * (rng.random((VECTORS // 3, rows)) < 0.5), 0, 127)
    uniform = rng.integers(-128, 128, (VECTORS // 3, rows))
    extreme = corners[rng.integers(0, len(corners), (VECTORS // 3, rows))]
    return weights, np.concatenate([sparse, uniform, extreme]).astype(np.int8)


def surplus(operands: np.ndarray) -> np.ndarray:
    """Sum over pairs of rows of their product, int64 [...]: operands int8 [R] or [R, ...]."""
    return (operands[::2].astype(int) * operands[1::2].astype(int)).sum(axis=0)


def sliced(activations: np.ndarray, encoding: Encoding, shared: bool, group: int) -> int:
    """The port's value: operand bits of activations int8 [R], bit-sliced within each group of rows."""
    bits = (8 if shared else len(encoding.operands[0])) * group
    parts = enumerate(activations.reshape(-1, group))
    return sum(pack(bit_slice(part, encoding, shared)) << g * bits for g, part in parts)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def column_results(dut: HierarchyObject) -> None:
    """Two loads of weights, every result of every vector."""
    config = json.loads(os.environ["ENCMAC_COLUMN"])
    rows, latency, skew = config["rows"], config["latency"], config["skew"]
    encoding = load_encoding(config["encoding"]) if config["encoding"] else None
    shared = config["shared"]
    f_table = encoding.array_table - encoding.column_table if encoding else np.zeros((256, 256), np.int32)
    table = f_table if shared else encoding.column_table if encoding else exact_table()
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    dut.w_shift_i.value, dut.a_i.value, dut.f_i.value = 0, 0, 0
    f_mask = (1 << len(dut.f_i)) - 1
    matches = mismatches = 0
    for _ in range(2):
        tile, activations = zip(*(operands(rng, rows) for _ in range(len(dut.w_i) // 8)), strict=True)
        weights, activations = np.stack(tile, axis=1), activations[0]
        for row in weights:
            await FallingEdge(dut.clk_i)
            dut.w_i.value, dut.w_shift_i.value = pack(row), 1
        await FallingEdge(dut.clk_i)
        dut.w_shift_i.value = 0
        # row r of vector n enters at cycle n + r (skewed) or n; its result leaves at n + latency
        delay = np.arange(rows) // skew if skew else np.zeros(rows, int)
        padded = np.zeros((VECTORS + latency + rows, rows), np.int8)
        for row in range(rows):
            padded[delay[row] : delay[row] + VECTORS, row] = activations[:, row]
        model = TileModel(table, weights)
        f_sums = np.zeros(VECTORS, int) if shared else f_table[activations.astype(int) + 128, 0].sum(axis=1)
        for cycle in range(VECTORS + latency):
            dut.a_i.value = sliced(padded[cycle], encoding, shared, skew or rows) if encoding else pack(padded[cycle])
            vector = cycle + 1 - latency
            if 0 <= vector < VECTORS:
                dut.f_i.value = int(f_sums[vector]) & f_mask
            await FallingEdge(dut.clk_i)
            if vector < 0:
                continue
            if vector >= VECTORS:
                break
            assert dut.y_o.value.is_resolvable, f"y_o is {dut.y_o.value} for vector {vector}"
            expected = model.column_sums(activations[vector]).astype(int) + f_sums[vector]
            if config["pairs"]:
                expected = expected + surplus(activations[vector]) + surplus(weights)
            found, width = dut.y_o.value.to_unsigned(), len(dut.y_o) // len(expected)
            good = [found >> c * width & (1 << width) - 1 == int(y) & (1 << width) - 1 for c, y in enumerate(expected)]
            matches, mismatches = matches + sum(good), mismatches + len(good) - sum(good)
    with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
        record = {"test": "column_results", "matches": matches, "mismatches": mismatches, "errors": []}
        stream.write(json.dumps(record) + "\n")
    assert matches and not mismatches, f"{mismatches} of {matches + mismatches} results are wrong"
