"""What a verdict of flows.explore says: its JSON checked, its answer in words, its page in Markdown."""

from __future__ import annotations

from pathlib import Path

from common.console import signed
from common.errors import UserError
from common.files import read_json

FORMAT = "encmac-verdict/3"
COLUMNS = {  # of the table of choices
    "design": "design",
    "roles": "what it is",
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
            verdict = read_json(path)
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
    """Build it or not, and why; a few sentences."""
    loss, rivals = f"{verdict['loss']:g} points", list(dict.fromkeys(verdict["rivals"].values()))
    if not verdict["encoding"]:
        return f"No encoding keeps to {loss}.", f"Build {rivals[0]}, or allow more: LOSS=."
    saved = {key.removesuffix("_percent"): _percent(value) for key, value in verdict["saved"].items()}
    asked = f"{verdict['worth_percent']:g} %"
    why = (
        f"Within {loss} of int8 {verdict['encoding']} saves {saved['area_against_rival']} of the area and "
        f"{saved['power_against_rival']} of the power of the cheapest exact design{'s' * (len(rivals) > 1)} of equal "
        f"accuracy ({' and '.join(rivals)}); {asked} of both are asked for. Against the best designs of equal accuracy "
        f"with multipliers it saves {saved['area_against_multipliers']} and {saved['power_against_multipliers']}, "
        f"against the best of 8 bits {saved['area_against_8_bits']} and {saved['power_against_8_bits']}."
    )
    if not verdict["build_it"] and rivals[0].startswith("enc "):
        why += f" {rivals[0]} is an encoded array as well: exact products of fewer bits, summed in one compressor tree."
    if doubt := doubt_of(verdict):
        why += f" {doubt}"
    return f"Build it: {verdict['encoding']}." if verdict["build_it"] else f"Build {rivals[0]} instead.", why


def _percent(value: float) -> str:
    return f"{value:g} %"


def doubt_of(verdict: dict) -> str:
    """What these test images do not settle, "" if nothing."""
    low = next(row["interval"][0] for row in verdict["choices"] if row["design"] == verdict["encoding"])
    if low >= -verdict["loss"]:
        return ""
    count = f"{verdict['images']:,} images"
    return f"With {count} the loss may also be {-low:.2f} points (95 % interval): not settled; more IMAGES= tell more."


def rows(verdict: dict) -> list[dict[str, str]]:
    """Cells of the table of choices, by the keys of COLUMNS; one row a design."""
    found = []
    for row in verdict["choices"]:
        low, high = row["interval"]
        cells = {key: f"{row.get(key, '-')}" for key in COLUMNS}
        way = "" if row["way"] == "int8" else f", {row['way']}"
        cells |= {"design": f"{row['design']}{way}", "roles": "; ".join(row["roles"])}
        found.append(cells | {"change": f"{signed(row['points'], 2)} ({signed(low, 2)} to {signed(high, 2)})"})
    return found


def notes(verdict: dict) -> list[str]:
    """How it was measured, an image, where the cost of the winner is; paragraphs."""
    load = verdict["per_image"]
    found = [
        f"Top-1 on {verdict['images']:,} test images, paired, 95 % intervals. Area and power are of "
        f"{verdict['array'][1]} columns and the one extra column that an encoding with f(a) needs, at gate level, on "
        "tiles of this network, before wires and clock tree.",
        f"An image takes {load['cycles']:,} cycles for {load['macs']:,} products. It moves "
        f"{load['bits'] / 1e6:,.1f} Mbit of operands and partial sums between the array and its memories, about "
        f"{load['sram_uj']:g} uJ at "
        f"{load['sram_pj_per_bit']:g} pJ a bit (45 nm), the same for all designs."
        + (
            f" With them {verdict['energy_saved_percent']:g} % of the energy of {verdict['rivals']['power']} are saved."
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
