"""Golden models of the hardware, bit-exact integers."""

from models.hardware.array import TileModel, bit_slice

__all__ = ["TileModel", "bit_slice"]
