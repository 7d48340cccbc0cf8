"""The arrays that a replay runs on."""

from __future__ import annotations

from common.errors import UserError
from models.encoding import absolute, load_encoding
from models.mapping import Timing
from tb.control.suites import APPROXIMATE, Config

ARRAYS = {"conv": "exact products, conventional columns", "enc": "an encoding", "merged": "exact64, merged"}
ROWS_PER_GROUP = 16
COLS_PER_STAGE = 8
ENGINE_DEPTH = 1024  # vectors that a tile engine's buffer holds


def _divisor(number: int, limit: int) -> int:
    """Largest divisor of `number` up to `limit`."""
    return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)


def replay_config(array: str, encoding: str | None, rows: int, columns: int, depth: int = 0) -> Config:
    """The design for a choice of ARRAY, ENCODING, ROWS and COLS: shadow weights, so that tiles follow each other."""
    if array not in ARRAYS:
        raise UserError(f"unknown array '{array}'; known: {', '.join(ARRAYS)}")
    if rows < 1 or columns < 1:
        raise UserError(f"an array of {rows} x {columns} holds nothing; rows and columns must be at least 1")
    if encoding and array != "enc":
        raise UserError(f"ENCODING={encoding} belongs to ARRAY=enc, not to ARRAY={array}")
    name = "exact64" if array == "merged" else absolute(encoding or APPROXIMATE)
    return Config(
        "verilator",
        "conv" if array == "conv" else "enc",
        "exact64" if array == "conv" else name,
        rows,
        columns,
        _divisor(rows, ROWS_PER_GROUP),
        merged=array != "conv" and load_encoding(name).is_power_of_two,
        columns_per_stage=_divisor(columns, COLS_PER_STAGE),
        shadow=True,
        depth=depth,
        port=True,
    )


def timing(config: Config) -> Timing:
    """Cycles of tiles that follow each other (see rtl/array/stream_control.sv; tests compare with the RTL)."""
    groups = config.rows if config.array == "conv" else config.rows // config.rows_per_group
    stages = config.columns // config.columns_per_stage
    extra = config.array == "enc" and 1 + bool(load_encoding(config.encoding).shared_bits)
    return Timing(least=config.rows + groups + stages - 1, fill=config.rows + groups + stages + extra + 1)
