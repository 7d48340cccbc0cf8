"""Test of one column through its ports: on RTL or on a mapped netlist.

Weights are shifted in, activation vectors follow one a cycle, skewed by row where the design wants
it; every result must come after exactly the stated latency and equal the golden model. What the extra
column of an encoding with f(a), or of a fast inner product, would send comes from the model; that column is
tested alone.
"""

from __future__ import annotations

import json
import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge

from models.encoding import load_encoding
from models.hardware import ColumnModel
from tb.env.scoreboard import pack

VECTORS = 96
MODEL = ("shared", "pairs", "weight_bits", "activation_bits")  # fields of a ColumnModel


def held(model: ColumnModel, activations: np.ndarray, gated: bool) -> tuple[np.ndarray, int]:
    """What activation registers hold after each vector, int8 [N, R]: those of zeros stand still if they are `gated`.

    And the vector from which on all of them hold one of these.
    """
    if not gated:
        return activations, 0
    kept, zeros = activations.copy(), model.zeros(activations)
    for n in range(1, len(kept)):
        kept[n] = np.where(zeros[n], kept[n - 1], kept[n])
    return kept, int((~zeros).argmax(axis=0).max())


def operands(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights int8 [R] and activations int8 [N, R]: corners, sparse small values as in networks, uniform."""
    corners = np.array([-128, -127, -1, 0, 1, 127], np.int8)
    weights = rng.integers(-128, 128, rows).astype(np.int8)
    weights[: len(corners)] = corners[:rows]
    sparse = np.clip(rng.exponential(8, (VECTORS // 3, rows)) * (rng.random((VECTORS // 3, rows)) < 0.5), 0, 127)
    uniform = rng.integers(-128, 128, (VECTORS // 3, rows))
    extreme = corners[rng.integers(0, len(corners), (VECTORS // 3, rows))]
    return weights, np.concatenate([sparse, uniform, extreme]).astype(np.int8)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def column_results(dut: HierarchyObject) -> None:
    """Two loads of weights, every result of every vector; what the activation registers hold meanwhile."""
    config = json.loads(os.environ["ENCMAC_COLUMN"])
    rows, latency, skew = config["rows"], config["latency"], config["skew"]
    encoding = load_encoding(config["encoding"]) if config["encoding"] else None
    model = ColumnModel(encoding, **{key: config[key] for key in MODEL})
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    dut.w_shift_i.value, dut.a_i.value, dut.f_i.value, dut.zero_i.value = 0, 0, 0, 0
    f_mask, zero_mask = ((1 << len(port)) - 1 for port in (dut.f_i, dut.zero_i))
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
        f_sums, sums = model.f_sums(activations), model.sums(activations, weights)
        ports = np.packbits(model.port(padded, skew or rows), axis=1, bitorder="little")
        zeros = np.packbits(model.zeros(padded), axis=1, bitorder="little")
        registers, settled = held(model, padded, config["gated"])
        registers = np.packbits(model.port(registers, skew or rows), axis=1, bitorder="little")
        for cycle in range(VECTORS + latency):
            dut.a_i.value, dut.zero_i.value = pack(ports[cycle]), pack(zeros[cycle]) & zero_mask
            vector = cycle + 1 - latency
            if 0 <= vector < VECTORS:
                dut.f_i.value = int(f_sums[vector]) & f_mask
            await FallingEdge(dut.clk_i)
            if cycle >= settled:
                mismatches += dut.a_o.value.to_unsigned() != pack(registers[cycle])  # not counted as results
            if vector < 0:
                continue
            if vector >= VECTORS:
                break
            assert dut.y_o.value.is_resolvable, f"y_o is {dut.y_o.value} for vector {vector}"
            expected = sums[vector]
            found, width = dut.y_o.value.to_unsigned(), len(dut.y_o) // len(expected)
            good = [found >> c * width & (1 << width) - 1 == int(y) & (1 << width) - 1 for c, y in enumerate(expected)]
            matches, mismatches = matches + sum(good), mismatches + len(good) - sum(good)
    with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
        record = {"test": "column_results", "matches": matches, "mismatches": mismatches, "errors": []}
        stream.write(json.dumps(record) + "\n")
    assert matches and not mismatches, f"{mismatches} of {matches + mismatches} results are wrong"
