"""Every encoding of the library: gates and position weights against its product table, all operand pairs."""

from __future__ import annotations

import json
import os

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from models.encoding import load_encoding
from tb.env.scoreboard import pack, unpack

LANES = 16


def bit_sliced(values: np.ndarray) -> int:
    """int8 [LANES] with bit i of all lanes side by side."""
    bits = np.unpackbits(values.astype(np.int8).view(np.uint8)[:, None], axis=1, bitorder="little")  # [LANES, 8]
    return pack(np.packbits(bits.T.reshape(-1), bitorder="little"))


@cocotb.test()
async def library_all_products(dut: HierarchyObject) -> None:
    """65,536 pairs for each encoding of the design."""
    tables = {name: load_encoding(name).array_table for name in json.loads(os.environ["ENCMAC_ENCODINGS"])}
    values = np.arange(-128, 128)
    matches, wrong = 0, []
    for w in values:
        dut.w_i.value = bit_sliced(np.full(LANES, w))
        for first in range(0, 256, LANES):
            a = values[first : first + LANES]
            dut.a_i.value = bit_sliced(a)
            await Timer(1, unit="ns")
            for name, table in tables.items():
                value = getattr(dut, f"{name}_o").value
                assert value.is_resolvable, f"{name}: {value}"
                good = unpack(int(value), LANES, "int32") == table[a + 128, w + 128]
                matches += int(good.sum())
                wrong += [f"{name} at a = {x}, w = {w}" for x in a[~good]]
    with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
        record = {"test": "library_all_products", "matches": matches, "mismatches": len(wrong), "errors": wrong[:5]}
        stream.write(json.dumps(record) + "\n")
    assert matches and not wrong, f"{len(wrong)} products are wrong, first: {wrong[0]}"
