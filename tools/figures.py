"""Compares the figures of README and docs with what the last runs measured: `make figures`.

A table between `<!-- begin output: make ... -->` and `<!-- end output -->` names the command that prints it. Its
figures are looked up in the records under build/reports by row and column; what no record holds is
counted as not measured. Tolerances are in COLUMNS; seconds are never compared.

With --write the tables of `make layout` are written, from flows/openroad/results alone, whose records are kept with
the docs: what was measured takes the place of what stands there, in its form. A new row is a copy of another with its
own name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from common.errors import UserError, run_cli
from common.files import first_line, read_json, write_bytes
from common.store import outdated
from flows.pareto import rows_that_count
from flows.platform import config_path, read_config
from flows.ppa import common_workload, compare_routed, routed_workload, runs_of
from tools.commands import VECTORS
from tools.docs import pages
from tools.options import parse

BLOCK = re.compile(r"<!-- begin output: (make .*?) -->\r?\n(.*?)<!-- end output", re.DOTALL)
NUMBER = re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?")
RESNET = "resnet20_cifar10"
MOBILENET = "tf2_mobilenet_v2_1.0_224_ptq"  # what its tiles say
USUAL_VECTORS = {RESNET: VECTORS.default, MOBILENET: 64}  # of each tile, where a command names none


@dataclass(frozen=True)
class Claim:
    """A figure of a table: where it stands, the command, names of row and column, what is written."""

    page: str
    command: str
    row: str
    column: str
    text: str

    @property
    def value(self) -> float | None:
        """The first number of the cell."""
        found = NUMBER.match(self.text)
        return float(found.group().replace(",", "")) if found else None


def claims(page: Path) -> list[Claim]:
    """Figures of the tables of a page that name their command."""
    found: list[Claim] = []

    def told(claim: Claim) -> str:
        found.append(claim)
        return claim.text

    rewritten(page, told)
    return found


def rewritten(page: Path, written: Callable[[Claim], str]) -> str:
    """The text of a page with what `written` gives in place of each figure of the tables that name their command.

    Ends of lines and all else stay. UserError for a table that is not understood.
    """
    try:
        text = page.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {page} ({first_line(error)})") from error

    def lines(command: str, body: str) -> Iterator[str]:
        header: list[str] = []
        for line in body.splitlines(keepends=True):
            row, end = line.rstrip(), line[len(line.rstrip()) :]
            cells = re.split(r"(?<!\\)\|", row.strip("|"))
            plain = [cell.strip().strip("`*") for cell in cells]
            if not line.startswith("|"):
                header = []
            elif not header:
                header = plain
            elif len(plain) != len(header):
                raise UserError(
                    f"{page}: the row of {plain[0]} has {len(plain)} cells, its table {len(header)} columns"
                )
            elif not set(row) <= set("|-: "):
                for n, text in enumerate(plain[1:], 1):
                    if text and (now := written(Claim(page.name, command, plain[0], header[n], text))) != text:
                        cells[n] = cells[n].replace(text, now)
                        row = f"|{'|'.join(cells)}|"
            yield row + end

    def block(found: re.Match) -> str:
        if "<!-- begin output" in found.group(2):
            raise UserError(f"{page}: the table of '{found.group(1)}' has no line '<!-- end output -->'")
        return found.group().replace(found.group(2), "".join(lines(*found.groups())))

    return BLOCK.sub(block, text)


def as_written(text: str, value: float) -> str:
    """`value` in the form of the only number of a cell: its digits, commas and sign, and what follows it."""
    number, rest = (found := NUMBER.match(text)).group(), text[found.end() :]
    if NUMBER.search(rest):
        raise UserError(f"'{text}' has more than one number; which of them was measured?")
    sign = "+" if number[0] == "+" or ("%" in text and number[0] == "-") else ""
    comma = "" if re.match(r"[+-]?\d{4}", number) else ","
    digits = len(number.partition(".")[2])
    return f"{round(value, digits) + 0.0:{sign}{comma}.{digits}f}{rest}"


@dataclass(frozen=True)
class Measured:
    """Records of columns and of those laid out (by design), and of accuracy rows (by encoding), of one platform.

    Of power those with so many `vectors` of each tile count, if given.
    """

    designs: dict[str, dict]
    accuracy: dict[str, dict]
    layouts: dict[str, dict]
    vectors: int | None = None

    def design(self, row: str) -> dict:
        """The record of a row: a design, or the encoding of one; KeyError if there is none."""
        return self.designs[row if " " in row else f"enc {row} merged"]

    def area_against_best(self, row: str) -> float:
        """Percent of a column's area against the least of the conventional ones."""
        conventional = [r["area_um2"]["column"] for r in self._conventional()]
        return 100 * (self.design(row)["area_um2"]["column"] / min(conventional) - 1)

    def power(self, row: str, key: str, workload: str, change: bool = False) -> float:
        """A figure of power, or its change against the best; KeyError if no run had tiles of this network."""
        mine = self.on_tiles(self.design(row), workload)["power_mw"][key]
        if not change:
            return mine
        return 100 * (mine / min(self.on_tiles(r, workload)["power_mw"][key] for r in self._conventional()) - 1)

    def on_tiles(self, design: dict, network: str) -> dict:
        """What a record says of power on tiles of a network, those that most columns ran; KeyError without it."""
        vectors = self.vectors or USUAL_VECTORS[network]
        return runs_of(design)[common_workload(self.designs.values(), network, vectors) or ()]

    def before(self, row: str, key: str, of_array: str) -> float:
        """Mapped area or power of what was laid out, by its key; arrays have it beside their layout."""
        record = self.layouts[row]
        return record["routed"][of_array] if row.startswith(ARRAY) else record[key]["column"]

    def routed(self, row: str, value: Callable[[dict], float], change: bool = False) -> float:
        """A figure after layout, or its change against the best conventional column that was routed."""
        mine = value(self.layouts[row]["routed"])
        if not change:
            return mine
        kind = f"{row.partition(' of ')[0]} of conv " if row.startswith(ARRAY) else "conv "
        found = [r for name, r in self.layouts.items() if name.startswith(kind) and not r.get("rival")]
        return 100 * (mine / min(value(r["routed"]) for r in found) - 1)

    def _conventional(self) -> list[dict]:
        """Conventional columns of 8 bits."""
        return [r for n, r in self.designs.items() if n.startswith("conv ") and not r.get("rival")]


ROOT = Path(__file__).resolve().parent.parent
LAYOUTS = ROOT / "flows" / "openroad" / "results"
ACCURACY = ROOT / "docs" / "records" / "accuracy.json"


ARRAY = "array "  # its rows x columns and "of" a design: a row of layouts of arrays


def _routed_um2(routed: dict) -> float:
    return routed["area_um2"]["column"]


def _routed_mw(routed: dict) -> float:
    return routed["power_mw"]["column"]


Look = Callable[[Measured, str], float]
# column of a table: how it is looked up; tolerance beside rounding, relative to figures above 1
COLUMNS: dict[str, tuple[Look, float]] = {
    "cells": (lambda m, row: m.design(row)["cells"], 0.0),
    "area um2": (lambda m, row: m.design(row)["area_um2"]["column"], 0.001),
    "flip-flops um2": (lambda m, row: m.design(row)["area_um2"]["sequential"], 0.001),
    "slack ns": (lambda m, row: m.design(row)["wns_ns"], 0.0),
    "area": (lambda m, row: m.area_against_best(row), 0.0),
    "area against the best conventional": (lambda m, row: m.area_against_best(row), 0.0),
    "mW, ResNet-20": (lambda m, row: m.power(row, "column", RESNET), 0.01),
    "without glitches": (lambda m, row: m.power(row, "zero_delay_column", RESNET), 0.01),
    "pJ per MAC": (lambda m, row: m.on_tiles(m.design(row), RESNET)["energy_per_mac_pj"], 0.01),
    "against the best": (lambda m, row: m.power(row, "column", RESNET, True), 0.01),
    "power, ResNet-20": (lambda m, row: m.power(row, "column", RESNET, True), 0.01),
    "mW, MobileNetV2": (lambda m, row: m.power(row, "column", MOBILENET), 0.01),
    "power, MobileNetV2": (lambda m, row: m.power(row, "column", MOBILENET, True), 0.01),
    "against the best, MobileNetV2": (lambda m, row: m.power(row, "column", MOBILENET, True), 0.01),
    "mapped um2": (lambda m, row: m.before(row, "area_um2", "mapped_um2"), 0.001),
    "mapped mW": (lambda m, row: m.before(row, "power_mw", "mapped_mw"), 0.01),
    "routed um2": (lambda m, row: m.routed(row, _routed_um2), 0.001),
    "routed area": (lambda m, row: m.routed(row, _routed_um2, True), 0.0),
    "routed mW": (lambda m, row: m.routed(row, _routed_mw), 0.01),
    "routed power": (lambda m, row: m.routed(row, _routed_mw, True), 0.01),
    "OpenROAD mW": (lambda m, row: m.routed(row, lambda r: r["agreement_mw"]["openroad"]["total"]), 0.01),
    "wire mm": (lambda m, row: m.routed(row, lambda r: r["wire_um"] / 1000), 0.01),
    "clock buffers": (lambda m, row: m.routed(row, lambda r: r["clock_buffers"]), 0.0),
    "setup ns": (lambda m, row: m.routed(row, lambda r: r["wns_ns"]), 0.0),
    "hold ns": (lambda m, row: m.routed(row, lambda r: r["hold_wns_ns"]), 0.0),
    "top-1 %": (lambda m, row: 100 * m.accuracy[row]["top1"]["encoded"], 0.0),
    "fine-tuned %": (lambda m, row: 100 * m.accuracy[row]["top1"]["encoded_finetuned"], 0.0),
}


def measured(
    reports: Path | None, platform: str, rows: int = 64, zeros: bool = False, vectors: int | None = None
) -> Measured:
    """What the last runs left for columns of a platform, zero-gated ones if `zeros`; empty where nothing was run.

    Beside what is kept with the docs, from a folder `reports`, if given. UserError names a damaged record.
    """
    designs: dict[str, dict] = {}
    layouts: dict[str, dict] = {}
    usual = {"clock_ns": read_config(config_path(platform))["clock_ns"], "columns": 1, "gated": 1}

    def usual_one(record: dict) -> bool:
        """True for a column under the platform's usual conditions."""
        same = all(record.get(key, value) == value for key, value in usual.items())
        return record["platform"] == platform and same and (zeros or not record["parameters"].get("GateZeros"))

    def columns_of(records: list[dict]) -> dict[str, dict]:
        """Columns of so many rows by name."""
        return {r["design"]: r for r in records if usual_one(r) and r["parameters"]["Rows"] == rows}

    def laid_out(records: list[dict]) -> dict[str, dict]:
        """Layouts, not those of another utilisation or workload than the ones that are kept with the docs."""
        found = {name: record for name, record in columns_of(records).items() if "routed" in record}
        found |= arrays_of(filter(usual_one, records))
        return {name: record for name, record in found.items() if alike(record, layouts.get(name, record))}

    path = LAYOUTS / f"{platform}.json"
    try:
        # what takes hours is kept with the docs, and what needs a tool that is not part of the setup
        if path.is_file():
            kept = read_json(path)["designs"]
            compare_routed(kept)
            layouts |= laid_out(kept)
        if reports and (path := reports / "ppa.json").is_file():
            designs = columns_of(found := read_json(path)["designs"])
            layouts |= laid_out(found)
        kept_rows: list[dict] = []
        for path in filter(Path.is_file, (ACCURACY, *([reports / "accuracy.json"] if reports else []))):
            kept_rows += [row for row in read_json(path)["rows"] if row["network"] == RESNET]
        gain = [row for row in kept_rows if row.get("correction", {}).get("scope", "gain") == "gain"]
        accuracy = {row["encoding"]: row for row in rows_that_count(gain, 10_000)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}; run its command again") from error
    return Measured(designs, accuracy, layouts, vectors)


def alike(one: dict, other: dict) -> bool:
    """True for layouts of the same utilisation, weighed on the same tiles."""
    of = [(r["routed"].get("utilization_percent"), routed_workload(r)) for r in (one, other)]
    return of[0] == of[1]


def arrays_of(records: Iterable[dict]) -> dict[str, dict]:
    """Layouts of arrays, by their rows in a table; their cells and power are those of all columns."""
    found = {}
    for record in records:
        for columns, array in record.get("arrays", {}).items():
            if routed := array.get("routed"):
                whole = {key: {"column": routed[key]["total"]} for key in ("area_um2", "power_mw")}
                size = f"{ARRAY}{record['parameters']['Rows']}x{columns} of "
                found[size + record["design"]] = {"rival": record.get("rival"), "routed": routed | whole}
    return found


def judge(claim: Claim, found: Measured) -> tuple[str, float | None]:
    """("right", "wrong" or "not measured"), and the value that the records hold."""
    written, (look, tolerance) = claim.value, COLUMNS["fine-tuned %" if "fine-tuned" in claim.text else claim.column]
    try:
        value = look(found, claim.row)
    except (KeyError, ValueError, TypeError):
        return "not measured", None
    digits = claim.text.partition(".")[2]
    rounding = 0.51 * 10.0 ** -len(re.match(r"\d*", digits).group()) if digits else 0.51
    wrong = written is None or abs(value - written) > rounding + tolerance * max(abs(value), 1.0)
    return ("wrong" if wrong else "right"), value


def conditions(command: str) -> tuple[str, int, bool, int | None]:
    """Platform, rows, zero gating and vectors of a command."""
    named = dict(re.findall(r"(PLATFORM|ROWS|ZEROS|VECTORS)=([\w-]+)", command))
    vectors = int(named["VECTORS"]) if "VECTORS" in named else None
    return named.get("PLATFORM", "osu018"), int(named.get("ROWS", 64)), "ZEROS" in named, vectors


def main() -> int:
    """Command line; exit code 1 if a figure is wrong, or none was compared."""
    args = parse("tools.figures")
    if args.write:
        return write_layouts()
    if not args.reports.is_dir():
        raise UserError(f"no folder {args.reports}; measure something first, for example: make synth")
    count: Counter[str] = Counter()
    known: dict[tuple, Measured] = {}
    for claim in chain.from_iterable(map(claims, pages())):
        if claim.column not in COLUMNS or claim.value is None:
            continue
        of = conditions(claim.command)
        if of not in known:
            known[of] = measured(args.reports, *of)
        verdict, value = judge(claim, known[of])
        count[verdict] += 1
        if verdict == "wrong":
            print(f"{claim.page}: {claim.command}: {claim.row}, {claim.column}: {claim.text}; measured {value:.6g}")
    for path in (args.reports / "ppa.json", args.reports / "accuracy.json", *sorted(LAYOUTS.glob("*.json"))):
        if path.is_file() and (since := outdated(json.loads(path.read_text()))):
            print(f"{path.name}: changed since it was measured: {', '.join(since)}")
    print(", ".join(f"{count[verdict]} {verdict}" for verdict in ("right", "wrong", "not measured")))
    return 1 if count["wrong"] or not count["right"] else 0


def write_layouts() -> int:
    """Write the figures of layouts into the pages, all of them or none; exit code 1 if there is none."""
    count: Counter[str] = Counter()
    known: dict[tuple, Measured] = {}

    def now(claim: Claim) -> str:
        if not claim.command.startswith("make layout") or claim.column not in COLUMNS or claim.value is None:
            return claim.text
        of = conditions(claim.command)
        if of not in known:
            known[of] = measured(None, *of)
        value = judge(claim, known[of])[1]
        text = claim.text if value is None else as_written(claim.text, value)
        count["not measured" if value is None else "as it was" if text == claim.text else "written"] += 1
        return text

    texts = {page: rewritten(page, now) for page in pages()}
    for page, text in texts.items():
        if (data := text.encode()) != page.read_bytes():
            write_bytes(page, data)
    print(", ".join(f"{count[what]} {what}" for what in ("written", "as it was", "not measured")))
    return 0 if count["written"] or count["as it was"] else 1


if __name__ == "__main__":
    run_cli(main)
