"""Golden models of the hardware, bit-exact integers."""

from models.hardware.array import TileModel
from models.hardware.column import ColumnModel

__all__ = ["ColumnModel", "TileModel"]
