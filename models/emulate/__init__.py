"""Exact integer results of layers whose products are exact or come from a table."""

from models.emulate.counts import position_counts
from models.emulate.exact import ExactEngine
from models.emulate.gather import GatherEngine
from models.emulate.lowrank import LowRankEngine
from models.emulate.table import TableEngine, available_paths, exact_engine, exact_table

__all__ = [
    "ExactEngine",
    "GatherEngine",
    "LowRankEngine",
    "TableEngine",
    "available_paths",
    "exact_engine",
    "exact_table",
    "position_counts",
]
