"""Agent of a tile port: one item is some whole tiles, or a whole job of a tile engine, in memory.

Weights, activations and results stay where numpy has them; tb/hdl/tile_port.cpp gets their addresses
and the simulator moves every beat by itself. Python runs when an item is posted and when it has ended.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import Event, ValueChange
from pyuvm import ConfigDB, uvm_agent, uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequence_item, uvm_sequencer

from models.hardware.tile import Register, Shape
from tb.agents.axil import OKAY

STREAMS = ("weights", "activations", "parameters")
SILENCE_CYCLES = 20_000  # more than any latency plus any stall
SILENT = 1  # fault: no beat moved for that long


class _Stream(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), *((n, ctypes.c_uint32) for n in ("beat_bytes", "beats", "packet", "taken")))


class _Access(ctypes.Structure):
    _fields_ = (*((n, ctypes.c_uint8) for n in ("write", "address", "response", "done")), ("data", ctypes.c_uint32))


class _Job(ctypes.Structure):
    _fields_ = (
        ("inputs", _Stream * len(STREAMS)),
        ("results", ctypes.c_void_p),
        ("result_bytes", ctypes.c_uint32),
        ("vectors", ctypes.c_uint32),
        ("packet", ctypes.c_uint32),
        ("accesses", ctypes.POINTER(_Access)),
        ("before", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("stalls", ctypes.c_uint32 * (len(STREAMS) + 1)),
        ("silence", ctypes.c_uint32),
        ("received", ctypes.c_uint32),
        ("wrong_last", ctypes.c_uint32),
        ("high_bits", ctypes.c_uint32),
        ("fault", ctypes.c_uint32),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("changed_activations", ctypes.c_uint64),
        ("changed_results", ctypes.c_uint64),
    )


class TileItem(uvm_sequence_item):
    """Run this tile: `weights` int8 [R, C] and `activations` int8 [vectors, R] give int32 [vectors, C].

    Several tiles that follow each other have a first axis more. A tile engine is given a `shape`; it adds up over
    that axis, takes `parameters` int32 [C, 4] and gives int8 [vectors, C] unless the shape is raw. `results` is where
    results appear, `labels` say where each tile comes from; after the run `cycles` and `faults` are known.
    """

    def __init__(
        self,
        weights: np.ndarray,
        activations: np.ndarray,
        labels: Sequence[str] = (),
        shape: Shape | None = None,
        parameters: np.ndarray | None = None,
    ) -> None:
        super().__init__("tile")
        rows, columns = weights.shape[-2:]
        vectors = activations.shape[-2]
        results = (*([] if shape else activations.shape[:-2]), vectors, columns)
        if activations.shape[-1] != rows or weights.shape[:-2] != activations.shape[:-2]:
            raise ValueError(f"weights {weights.shape} and activations {activations.shape} are not of one tile")
        self.labels, self.shape = labels, shape
        self.weights, self.activations = (np.ascontiguousarray(x, np.int8) for x in (weights, activations))
        self.parameters = np.ascontiguousarray(np.zeros((0, 4)) if parameters is None else parameters, np.int32)
        self.results = np.empty(results, np.int8 if shape and not shape.raw else np.int32)
        self.finished = Event()
        self.locate: Callable[[int, int, int], str] | None = None  # where in a layer (tile, vector, column) is
        self.stalls = (0.0,) * (len(STREAMS) + 1)  # probability that a beat of each stream, results last, waits a cycle
        before = {**shape.registers(), Register.CONTROL: 1} if shape else {}
        after = (Register.STATUS, Register.ERRORS) if shape else ()
        self._registers = (*before, *after)
        words = [(1, int(r), 0, 0, word) for r, word in before.items()] + [(0, int(r), 0, 0, 0) for r in after]
        self._words = (_Access * len(words))(*words)
        self.job = _Job(results=self.results.ctypes.data, result_bytes=columns * self.results.itemsize)
        for stream, name, packet in zip(self.job.inputs, STREAMS, (rows, vectors, columns), strict=True):
            values = getattr(self, name)
            values = values.reshape(-1, values.shape[-1])
            stream.data, stream.beat_bytes = values.ctypes.data, values.shape[1] * values.itemsize
            stream.beats, stream.packet = len(values), packet
        self.job.vectors, self.job.packet = self.results.size // columns, vectors
        self.job.silence = SILENCE_CYCLES
        self.job.accesses, self.job.before, self.job.count = self._words, len(before), len(words)

    @property
    def cycles(self) -> int:
        """Clock cycles that were this tile's: from the end of the one before, or since it was there, to its end."""
        return self.job.end - self.job.start + 1

    @property
    def toggles(self) -> tuple[int, int]:
        """Bits of activations, and of results, that differ from the vector before, over all but a tile's first."""
        return self.job.changed_activations, self.job.changed_results

    @property
    def faults(self) -> list[str]:
        """What was wrong beside values."""
        job, found = self.job, []
        if job.fault & SILENT:
            found.append(f"no stream moved for {job.silence} cycles")
        for name, stream in zip(STREAMS, job.inputs, strict=True):
            if stream.taken != stream.beats:
                found.append(f"{stream.taken} of {stream.beats} beats of {name} were taken")
        if job.received != job.vectors:
            found.append(f"{job.received} of {job.vectors} result vectors came")
        if job.wrong_last:
            found.append(f"tlast is wrong at {job.wrong_last} results")
        if job.high_bits:
            found.append(f"bits above the result are not 0 in {job.high_bits} results")
        for register, word in zip(self._registers, self._words, strict=True):
            if not word.done:
                found.append(f"register {register.name} was not answered")
            elif word.response != OKAY or (not word.write and word.data):
                found.append(f"register {register.name} answered {word.response}, {word.data:#x}")
        return found


def changed_products(
    library: ctypes.CDLL,
    words: np.ndarray,
    activations: np.ndarray,
    weights: np.ndarray,
    used: np.ndarray,
    first: np.ndarray,
) -> int:
    """Product bits that differ between vectors `first` and `first` + 1 of tiles, over all cells `used`.

    `words` uint64 [256, 256, words] are the product bits by activation and weight, both from -128 on;
    activations int8 [tiles, vectors, R], weights int8 and used bool [tiles, R, C]; `library` is tile_port.cpp's.
    """
    arrays = [
        np.ascontiguousarray(values, kind)
        for values, kind in ((words, np.uint64), (activations, np.int8), (weights, np.int8), (used, np.uint8))
    ]
    first = np.ascontiguousarray(first, np.uint32)
    tiles, vectors, rows = activations.shape
    if len(first) and not 0 <= first.max() < vectors - 1:
        raise ValueError(f"vector {first.max()} has none after it: {vectors} vectors")
    call = library.encmac_port_products
    call.restype = ctypes.c_uint64
    call.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
        *[ctypes.c_uint32] * 4,
        *(ctypes.c_void_p, ctypes.c_uint32),
    ]
    table, *operands = (values.ctypes.data for values in arrays)
    sizes = tiles, vectors, rows, weights.shape[-1]
    return call(table, words.shape[-1], *operands, *sizes, first.ctypes.data, len(first))


@dataclass
class PortConfig:
    """What the agent shares: the top's `completed_o`, how many items are posted ahead, and those posted."""

    dut: HierarchyObject
    seed: int = 1
    ahead: int = 4
    posted: deque[TileItem] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.library = ctypes.CDLL(None)  # the simulator itself
        self.library.encmac_port_post.argtypes = [ctypes.POINTER(_Job)]
        self.library.encmac_port_seed(ctypes.c_uint32(self.seed))

    @property
    def extra(self) -> int:
        """Results, or responses of registers, that nobody asked for."""
        return self.library.encmac_port_extra()


class TileDriver(uvm_driver):
    """Posts items; at most `ahead` have not ended. It never stalls: one beat a cycle on every stream."""

    def start_of_simulation_phase(self) -> None:
        self.config: PortConfig = ConfigDB().get(self, "", "config")

    async def run_phase(self) -> None:
        while True:
            item = await self.seq_item_port.get_next_item()
            if len(self.config.posted) >= self.config.ahead:
                await self.config.posted[-self.config.ahead].finished.wait()
            self.prepare(item)
            self.config.posted.append(item)
            self.config.library.encmac_port_post(ctypes.byref(item.job))
            self.seq_item_port.item_done()

    def prepare(self, item: TileItem) -> None:
        """What a driver of another kind changes."""


class StallingTileDriver(TileDriver):
    """Every stream stalls at random; to take the place of TileDriver by a factory override."""

    probabilities = (0.2, 0.3, 0.2, 0.3)

    def prepare(self, item: TileItem) -> None:
        item.stalls = self.probabilities
        for index, probability in enumerate(self.probabilities):
            item.job.stalls[index] = round(probability * 65536)


class TileMonitor(uvm_monitor):
    """Publishes each item when it has ended, in order: what it took and what came."""

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)

    def start_of_simulation_phase(self) -> None:
        self.config: PortConfig = ConfigDB().get(self, "", "config")

    async def run_phase(self) -> None:
        completed = self.config.dut.completed_o
        seen = int(completed.value)  # by tests before this one
        while True:
            await ValueChange(completed)
            while seen < int(completed.value):
                seen += 1
                item = self.config.posted.popleft()
                self.ap.write(item)
                item.finished.set()


class TileAgent(uvm_agent):
    """Sequencer, driver and monitor of a tile port."""

    def build_phase(self) -> None:
        config = ConfigDB().get(self, "", "config")
        for child in ("driver", "monitor"):
            ConfigDB().set(self, child, "config", config)
        self.sequencer = uvm_sequencer("sequencer", self)
        self.driver = TileDriver.create("driver", self)
        self.monitor = TileMonitor.create("monitor", self)

    def connect_phase(self) -> None:
        self.driver.seq_item_port.connect(self.sequencer.seq_item_export)
