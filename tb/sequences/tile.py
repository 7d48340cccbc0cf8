"""A tile: weights into one stream, activations into another, at the same time."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import Combine
from pyuvm import uvm_sequence

from tb.agents.axis import Packet
from tb.env.bench import ArrayEnv
from tb.env.scoreboard import pack


class PacketSequence(uvm_sequence):
    """Sends one packet on one stream."""

    def __init__(self, packet: Packet) -> None:
        super().__init__(packet.get_name())
        self.packet = packet

    async def body(self) -> None:
        await self.start_item(self.packet)
        await self.finish_item(self.packet)


class TileSequence(uvm_sequence):
    """Loads `weights` int8 [R, C] and streams `activations` int8 [N, R].

    `completed` is False after the run if a reset cut it off. `label` says where the tile comes from.
    """

    def __init__(self, env: ArrayEnv, weights: np.ndarray, activations: np.ndarray, label: str = "") -> None:
        super().__init__("tile")
        self.env = env
        if label:
            env.reference.labels[weights.tobytes()] = label
        self.packets = {
            "weights": Packet("weights", [pack(row) for row in weights]),
            "activations": Packet("activations", [pack(vector) for vector in activations]),
        }

    @property
    def completed(self) -> bool:
        """True if both packets were taken whole."""
        return not any(packet.aborted for packet in self.packets.values())

    async def body(self) -> None:
        running = [
            cocotb.start_soon(PacketSequence(packet).start(self.env.agents[stream].sequencer))
            for stream, packet in self.packets.items()
        ]
        await Combine(*running)
