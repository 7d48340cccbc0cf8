"""Stimulus."""

from tb.sequences.layer import LayerSequence, job_packets
from tb.sequences.tile import PacketSequence, TileSequence

__all__ = ["LayerSequence", "PacketSequence", "TileSequence", "job_packets"]
