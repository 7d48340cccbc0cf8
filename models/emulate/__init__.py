"""Exact integer results of layers whose products are exact or come from a table."""

from models.emulate.exact import ExactEngine
from models.emulate.table import TableEngine, exact_table, has_vbmi

__all__ = ["ExactEngine", "TableEngine", "exact_table", "has_vbmi"]
