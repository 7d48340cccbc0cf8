"""A layer on a tile engine: all streams at the same time, registers and start meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import cocotb
import numpy as np
from pyuvm import uvm_sequence

from models.hardware.tile import Job, Register
from tb.agents.axil import OKAY
from tb.agents.axis import Packet
from tb.env.bench import TileEnv
from tb.env.scoreboard import pack
from tb.sequences.tile import PacketSequence

POLLS = 20  # of an engine that should be idle
Before = Callable[[str, int], Awaitable[None]]


def job_packets(job: Job, ignored: np.random.Generator) -> dict[str, list[Packet]]:
    """What the streams carry. Whatever the engine must ignore (unused rows, fourth words) is random."""
    weights, activations, used = job.weights.copy(), job.activations.copy(), job.shape.last_rows
    weights[:, -1, used:] = ignored.integers(-128, 128, weights[:, -1, used:].shape)
    activations[:, -1, :, used:] = ignored.integers(-128, 128, activations[:, -1, :, used:].shape)
    fourth = ignored.integers(-(1 << 31), 1 << 31, (*job.parameters.shape[:2], 1), dtype=np.int32)
    beats = {
        "weights": weights.reshape(-1, *weights.shape[2:]),
        "activations": activations.reshape(-1, *activations.shape[2:]),
        "parameters": np.concatenate([job.parameters, fourth], axis=2),
    }
    return {name: [Packet(name, [pack(b) for b in packet]) for packet in part] for name, part in beats.items()}


class LayerSequence(uvm_sequence):
    """Runs a job and waits until the engine is idle again; `completed` is False if a reset cut it off.

    `before` is awaited before packet number `index` of a stream is offered. Streams are offered long before the
    start, which the engine must leave alone until then, unless they are `late`.
    """

    def __init__(self, env: TileEnv, job: Job, before: Before | None = None, late: bool = False) -> None:
        super().__init__("layer")
        self.env, self.job, self.before, self.late = env, job, before, late
        self.packets = job_packets(job, env.numpy_rng)
        self.completed = True

    async def body(self) -> None:
        streams = [] if self.late else self._streams()
        for register, word in (self.job.shape.registers() | {Register.CONTROL: 1}).items():
            access = await self.env.write(register, word)
            if access.aborted:
                self.completed = False
                break
            self.env.scoreboard.check(f"response to a write of {register.name}", access.response, OKAY)
        for stream in streams or self._streams():
            await stream
        polls = 0
        while self.completed:
            access = await self.env.read(Register.STATUS)
            if access.aborted:
                self.completed = False
            elif not access.data & 1:
                return
            polls = 0 if self.env.reference.running else polls + 1
            if polls > POLLS:
                raise AssertionError("the engine stays busy, though no layer runs")

    def _streams(self) -> list[cocotb.task.Task]:
        return [cocotb.start_soon(self._send(name)) for name in self.packets]

    async def _send(self, name: str) -> None:
        """All packets of one stream, until a reset."""
        for index, packet in enumerate(self.packets[name]):
            if self.before and self.completed:
                await self.before(name, index)
            if not self.completed:
                return
            await PacketSequence(packet).start(self.env.agents[name].sequencer)
            if packet.aborted:
                self.completed = False
