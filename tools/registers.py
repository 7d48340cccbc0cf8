"""What software reads about the registers of a tile engine, made of `rtl/tile/encmac_registers.rdl`.

`python -m tools.rtl_readme` writes the header for C (by PeakRDL-cheader) and the section of rtl/README.md.
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

from models.hardware.registers import DESCRIPTION, compiled, registers

HEADER = DESCRIPTION.with_suffix(".h")
SIZED = ("GEOMETRY", "DEPTH", "LAST_ROWS")  # hold what the engine was built with
NOTE = """// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.
// Written from encmac_registers.rdl by: python -m tools.rtl_readme
// Reset values of GEOMETRY, DEPTH and LAST_ROWS are those of an engine of 16 rows, 16 columns, 256 vectors.

"""


def header() -> str:
    """`encmac_registers.h`: masks, positions and reset values of all fields, and a struct of the registers."""
    from peakrdl_cheader.exporter import CHeaderExporter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / HEADER.name
        CHeaderExporter().export(compiled(), str(path))
        return NOTE + path.read_text()


def section() -> str:
    """The registers as Markdown: a row for each field."""
    rows = ["| address | register | bits | field | access | reset | what it is |", "|---|---|---|---|---|---|---|"]
    for register in registers():
        where = f"| `0x{register.address:02x}` | `{register.name}` |"
        rows.append(f"{where} | | | | {register.description} |")
        for field in register.fields:
            high = field.low + field.width - 1
            bits = f"{high}:{field.low}" if field.width > 1 else f"{field.low}"
            access = field.access + (", also busy" if field.while_busy else "")
            reset = "as built" if register.name in SIZED else f"`0x{field.reset:x}`"
            rows.append(f"| | | {bits} | `{field.name}` | {access} | {reset} | {field.description} |")
    return "\n".join(rows)


def rules() -> str:
    """What holds for all registers."""
    return textwrap.fill(" ".join(compiled().get_property("desc").split()), 120)
