"""Logs of simulators: the part that belongs to one test."""

from __future__ import annotations

from pathlib import Path

LOG_LINES = 80  # kept of each test


def log_of_test(log: Path, test: str) -> str:
    """The lines of a simulator's log that belong to one test; the end of the log if it names no such test."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    starts = [n for n, line in enumerate(lines) if " running " in line and f".{test} (" in line]
    if starts:
        rest = lines[starts[0] :]
        ends = [n for n, line in enumerate(rest) if n and " running " in line]
        lines = rest[: ends[0]] if ends else rest
    if len(lines) > LOG_LINES:
        half = LOG_LINES // 2
        lines = [*lines[:half], f"... {len(lines) - LOG_LINES} lines ...", *lines[-half:]]
    return "\n".join(lines)
