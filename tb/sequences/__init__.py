"""Stimulus."""

from tb.sequences.tile import TileSequence

__all__ = ["TileSequence"]
