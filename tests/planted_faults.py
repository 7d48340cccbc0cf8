"""Faults that a person would plant in the design (planted_faults.toml), and what sees them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tb.control.suites import Config


@dataclass(frozen=True)
class Fault:
    """Texts of a file of the RTL that become others; a test of those named must fail on `design`."""

    name: str
    test: str
    file: str
    changes: dict[str, str]
    design: Config


def planted() -> tuple[dict[str, Config], list[Fault]]:
    """The designs by name, the faults."""
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    designs = {
        name: Config(**fields | {"values": tuple(map(tuple, fields.get("values", ())))})
        for name, fields in data["designs"].items()
    }
    faults = [
        Fault(f["name"], f["test"], f["file"], dict(f["change"]), designs[f.get("design", "engine")])
        for f in data["faults"]
    ]
    return designs, faults
