"""A platform is a folder `flows/platforms/<name>/` with a config.toml: the library and its cells."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError

PLATFORMS = Path(__file__).parent / "platforms"


@dataclass(frozen=True)
class FullAdder:
    """A library cell with x + y + z = sum + 2 carry, and the names of its pins."""

    cell: str
    x: str
    y: str
    z: str
    sum: str
    carry: str


@dataclass(frozen=True)
class Platform:
    """A standard-cell library: where it is, which of its cells the flow names, its usual clock."""

    name: str
    title: str
    liberty: Path
    cell_models: Path
    clock_ns: float
    driver: str
    output_load_pf: float
    full_adder: FullAdder
    clock_slew_ns: float = 0.1  # of an ideal clock, for power
    wire_pf_per_pin: float = 0.0  # assumed wire of a net for each pin it feeds, for power


def load_platform(name: str | Path) -> Platform:
    """A platform by name, or by the path of a folder that holds a config.toml.

    Relative paths in the file are relative to it. Raises UserError if the file or a library is
    missing or malformed.
    """
    folder = Path(name) if "/" in str(name) else PLATFORMS / name
    path = folder / "config.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in PLATFORMS.glob("*/config.toml")))
        raise UserError(f"no platform '{name}': {path} does not exist; known: {known}, or give a folder")
    try:
        data = tomllib.loads(path.read_text())
        mend = data.pop("mend", "correct the path in the file")
        data["full_adder"] = FullAdder(**data["full_adder"])
        for key in ("liberty", "cell_models"):
            data[key] = folder / data[key]
        platform = Platform(**data)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}; see flows/platforms/osu018 for the fields") from error
    for key in ("liberty", "cell_models"):
        library = getattr(platform, key)
        if not library.is_file():
            raise UserError(f"{path}: {key} {library} does not exist; mend it with: {mend}")
    return platform
