"""A picture of a layout: every cell where the DEF places it, coloured by what it is for."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from common.errors import UserError
from common.files import replacing
from flows.platform import Platform, plain
from flows.power.circuit import PARTS, Circuit, classify

# of PARTS: clocks red, registers blue, product bits green, adders orange
COLOURS = ("#d62728", "#ff9896", "#1f77b4", "#17becf", "#9467bd", "#2ca02c", "#ff7f0e", "#8c564b", "#7f7f7f")
PLACED = re.compile(r"^\s*- (\S+) (\S+) (?:\+ SOURCE \w+ )?\+ (?:PLACED|FIXED) \( (-?\d+) (-?\d+) \) (\w+)", re.M)
HEIGHT_IN = 8.0


def sizes(platform: Platform) -> dict[str, tuple[float, float]]:
    """Width and height of each cell of the platform's LEF files, um."""
    size = re.compile(r"^\s*MACRO (\S+).*?^\s*SIZE\s+([\d.]+)\s+BY\s+([\d.]+)", re.M | re.S)
    found = {}
    for file in platform.lef:
        found |= {name: (float(w), float(h)) for name, w, h in size.findall(plain(platform.find(file)))}
    return found


def boxes(layout: Path, cells: dict[str, tuple[float, float]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rectangle [x, y, width, height] of each instance of a DEF file, and width and height of the die, um.

    Raises UserError if the file is no DEF or places a cell that has no size.
    """
    text = layout.read_text()
    unit = re.search(r"^UNITS DISTANCE MICRONS (\d+)", text, re.M)
    die = re.search(r"^DIEAREA \( \S+ \S+ \) \( (\d+) (\d+) \)", text, re.M)
    if not unit or not die:
        raise UserError(f"{layout} has no UNITS or no DIEAREA; is it DEF?")
    scale, found = float(unit.group(1)), {}
    for name, cell, x, y, turned in PLACED.findall(text.partition("\nPINS ")[0]):
        if cell not in cells:
            raise UserError(f"{layout} places {cell}, whose size no LEF file holds")
        width, height = cells[cell][::-1] if turned in ("E", "W", "FE", "FW") else cells[cell]
        found[name.replace("\\", "")] = np.array([int(x) / scale, int(y) / scale, width, height])
    return found, np.array([int(side) / scale for side in die.groups()])


def draw(layout: Path, circuit: Circuit, platform: Platform, title: str, path: Path) -> None:
    """Draw the cells of a routed netlist as PNG; what is in the DEF alone, fill and taps, stays white."""
    placed, die = boxes(layout, sizes(platform))
    figure, axes = plt.subplots(figsize=(max(3.0, HEIGHT_IN * die[0] / die[1]), HEIGHT_IN))
    by_part: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for group, parts in zip(circuit.groups, classify(circuit), strict=True):
        for name, part in zip(group.names, parts, strict=True):
            if (box := placed.get(name.replace("\\", ""))) is None:
                raise UserError(f"{layout} has no place for cell {name}; delete its folder and run it again")
            by_part[PARTS[part]].append(box)
    legend = []
    for colour, (part, found) in zip(COLOURS, by_part.items(), strict=True):
        if found:
            x, y, w, h = np.array(found).T
            corners = np.stack([np.stack([x, x + w, x + w, x], 1), np.stack([y, y, y + h, y + h], 1)], 2)
            axes.add_collection(PolyCollection(corners, facecolors=colour, edgecolors="none"))
            legend.append(Patch(color=colour, label=f"{part}, {(w * h).sum():,.0f} um2"))
    axes.set(xlim=(0, die[0]), ylim=(0, die[1]), aspect="equal", xlabel="um", ylabel="um")
    axes.set_title(title, fontsize=9, loc="left")
    axes.legend(handles=legend, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, bbox_inches="tight")  # the legend stands outside
    plt.close(figure)
