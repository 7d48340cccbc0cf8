"""Golden models of the hardware, bit-exact integers."""

from models.hardware.array import TileModel

__all__ = ["TileModel"]
