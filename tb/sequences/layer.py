"""A layer on a tile engine: all streams at the same time, registers and start meanwhile."""

from __future__ import annotations

import cocotb
import numpy as np
from pyuvm import uvm_sequence

from models.hardware.tile import Job, Register
from tb.agents.axil import OKAY
from tb.agents.axis import Packet
from tb.env import TileEnv
from tb.scoreboard import pack
from tb.sequences.tile import PacketSequence


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
    """Runs a job and waits until the engine is idle again; `completed` is False if a reset cut it off."""

    def __init__(self, env: TileEnv, job: Job) -> None:
        super().__init__("layer")
        self.env, self.job = env, job
        self.packets = job_packets(job, env.numpy_rng)
        self.completed = True

    async def body(self) -> None:
        # streams may be offered long before the start: the engine must leave them alone until then
        streams = [cocotb.start_soon(self._send(name)) for name in self.packets]
        for register, word in (self.job.shape.registers() | {Register.CONTROL: 1}).items():
            access = await self.env.write(register, word)
            if access.aborted:
                self.completed = False
                break
            self.env.scoreboard.check(f"response to a write of {register.name}", access.response, OKAY)
        for stream in streams:
            await stream
        while self.completed:
            access = await self.env.read(Register.STATUS)
            if access.aborted:
                self.completed = False
            elif not access.data & 1:
                return

    async def _send(self, name: str) -> None:
        """All packets of one stream, until a reset."""
        for packet in self.packets[name]:
            if not self.completed:
                return
            await PacketSequence(packet).start(self.env.agents[name].sequencer)
            if packet.aborted:
                self.completed = False
