"""Exact integer results of layers whose products are exact or come from a table."""

from models.emulate.exact import ExactEngine
from models.emulate.table import TableEngine, available_paths, exact_table

__all__ = ["ExactEngine", "TableEngine", "available_paths", "exact_table"]
