"""What a verdict of flows.explore says: its JSON checked, its answer in words, its page in Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from common.console import signed
from common.errors import UserError

FORMAT = "encmac-verdict/2"
COLUMNS = {  # of the table of choices
    "design": "design",
    "cheapest": "cheapest by",
    "change": "points against int8",
    "array_mm2": "array mm2",
    "array_mw": "mW",
    "array_uj_per_image": "uJ an image",
    "tops_per_w": "TOPS/W",
    "tops_per_mm2": "TOPS/mm2",
}


def load_verdicts(folder: Path) -> list[dict]:
    """Verdicts that lie in a folder of records, by network; UserError for one that is damaged or of another version."""
    found = []
    for path in sorted(folder.glob("verdict_*.json")):
        again = "make it anew with: make explore"
        try:
            verdict = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); {again}") from error
        told = verdict.get("format") if isinstance(verdict, dict) else None
        if told != FORMAT:
            raise UserError(f"{path} has format '{told}', this version reads '{FORMAT}'; {again}")
        try:
            title(verdict), answer(verdict), rows(verdict), notes(verdict)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged (no field {error}); {again}") from error
        found.append(verdict)
    return found


def title(verdict: dict) -> str:
    """Network, place and size."""
    height, width = verdict["array"]
    return f"{verdict['network']} on {verdict['where']}, {height} x {width}"


def answer(verdict: dict) -> tuple[str, str]:
    """Build it or not, and why; two sentences."""
    saved, loss = verdict["saved"], f"{verdict['loss']:g} points"
    if not verdict["encoding"]:
        return f"No encoding keeps to {loss}.", "Build the exact array, or allow more: LOSS=."
    if not saved:
        return f"{verdict['encoding']} keeps to {loss}.", "There is nothing to compare it with."
    percent = {key.removesuffix("_percent"): f"{value:g} %" for key, value in saved.items()}
    return (
        f"Build it: {verdict['encoding']}." if verdict["build_it"] else "Not worth it here.",
        f"Within {loss} of int8 {verdict['encoding']} saves {percent['area_against_rival']} of the area and "
        f"{percent['power_against_rival']} of the power of the cheapest exact design of equal accuracy "
        f"({verdict['rival']}), and {percent['area_against_8_bits']} and {percent['power_against_8_bits']} against the "
        "best conventional array of 8 bits.",
    )


def rows(verdict: dict) -> list[dict[str, str]]:
    """Cells of the table of choices, by the keys of COLUMNS; one row a design."""
    costs: dict[str, list[str]] = {}
    for row in verdict["choices"]:
        costs.setdefault(row["design"], []).append(row["cost"])
    found = []
    for row in {row["design"]: row for row in verdict["choices"]}.values():
        low, high = row["interval"]
        cells = {key: f"{row.get(key, '-')}" for key in COLUMNS}
        cells |= {"design": f"{row['design']}, {row['way']}", "cheapest": " and ".join(costs[row["design"]])}
        found.append(cells | {"change": f"{signed(row['points'], 2)} ({signed(low, 2)} to {signed(high, 2)})"})
    return found


def notes(verdict: dict) -> list[str]:
    """How it was measured, an image, where the cost of the winner is; paragraphs."""
    load = verdict["per_image"]
    found = [
        f"Top-1 on {verdict['images']:,} test images, paired, 95 % intervals. Power is of columns at gate level on "
        "tiles of this network, before wires and clock tree.",
        f"An image takes {load['cycles']:,} cycles for {load['macs']:,} products. Its operands and sums are "
        f"{load['bits'] / 1e6:,.1f} Mbit through the array's memories, about {load['sram_uj']:g} uJ at "
        f"{load['sram_pj_per_bit']:g} pJ a bit (45 nm), the same for all designs."
        + (
            f" With them the saving in energy against {verdict['rival']} is {verdict['energy_saved_percent']:g} %."
            if verdict["energy_saved_percent"] is not None
            else ""
        ),
    ]
    for quantity, parts in verdict["parts"].items():
        shares = ", ".join(f"{name} {share:g} %" for name, share in parts.items())
        found.append(f"Where the {quantity} of {verdict['encoding']} is: {shares}.")
    return found


def page(verdict: dict) -> str:
    """The verdict as one page of Markdown."""
    short, why = answer(verdict)
    lines = [f"# {title(verdict)}", "", f"**{short}** {why}", ""]
    lines += [f"| {' | '.join(COLUMNS.values())} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(row[key] for key in COLUMNS)} |" for row in rows(verdict)]
    for note in notes(verdict):
        lines += ["", note]
    return "\n".join(lines) + "\n"
