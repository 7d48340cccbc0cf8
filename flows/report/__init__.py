"""The report: one page of everything that was measured."""
