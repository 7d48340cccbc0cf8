"""Formal proofs of the RTL with open tools."""
