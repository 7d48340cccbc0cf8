"""Area and power by part: stacked bars, and a tree of power."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.files import replacing
from flows.power.circuit import PARTS

COLOURS = ("#7f7f7f", "#c7c7c7", "#1f77b4", "#aec7e8", "#17becf", "#2ca02c", "#ff7f0e", "#d62728", "#e7cb94")


def plot_parts(records: list[dict], title: str, path: Path) -> None:
    """Bars of ppa.json entries that have power, as <path>.svg and <path>.png; areas and powers by part."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fields = (("area_um2", "area, 1000 um2", 1e-3), ("power_mw", "power, mW, glitches included", 1.0))
    figure, axes = plt.subplots(1, 2, figsize=(12, 0.55 * len(records) + 2.2), sharey=True)
    names = [record["design"] for record in records]
    for axis, (field, label, scale) in zip(axes, fields, strict=True):
        left = [0.0] * len(records)
        for part, colour in zip(PARTS, COLOURS, strict=True):
            widths = [record[field]["by_part"].get(part, 0.0) * scale for record in records]
            if any(widths):
                axis.barh(names, widths, left=left, color=colour, label=part, height=0.7)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for y, total in enumerate(left):
            axis.text(total, y, f" {total:.3g}" if total < 100 else f" {total:.0f}", va="center", fontsize=9)
        axis.set_xlabel(label)
        axis.set_xlim(0, 1.12 * max(left))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    handles, labels = axes[1].get_legend_handles_labels()
    figure.suptitle(title)
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.6 / figure.get_figheight(), 1, 1))
    _save(figure, path)


TREE = {  # branches of a column, each with its parts
    "clock": ("clock", "weight clock"),
    "registers": ("activation registers", "weight registers", "sum registers"),
    "products": ("product bits", "weight loading"),
    "addition": ("adder tree", "final adders"),
}


def plot_tree(records: list[dict], title: str, path: Path) -> None:
    """Power of each column of ppa.json as a tree, from the whole at the left to its parts; <path>.svg and .png.

    Heights are mW, one scale for all. The share of an extra column for f(a) is a branch of its own.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = [r for r in records if not r.get("shared")]
    colours = dict(zip(PARTS, COLOURS, strict=True))
    figure, axes = plt.subplots(1, len(columns), figsize=(2.5 * len(columns), 6.5), sharey=True, squeeze=False)
    top = max(r["power_mw"]["column"] for r in columns)
    for axis, record in zip(axes[0], columns, strict=True):
        power, count = record["power_mw"], record["parameters"].get("Cols", 1)
        parts = {part: mw / count for part, mw in power["by_part"].items()}
        extra = power["column"] - power["total"] / count
        branches = {name: {part: parts.get(part, 0.0) for part in members} for name, members in TREE.items()}
        branches |= {"f(a)": {"f(a)": extra}} if extra > 1e-9 else {}

        def box(level: int, low: float, mw: float, label: str, colour: str, axis: Any = axis) -> None:
            axis.add_patch(plt.Rectangle((level, low), 1, mw, facecolor=colour, edgecolor="white"))
            if mw > 0.022 * top:
                axis.text(level + 0.5, low + mw / 2, f"{label}\n{mw:.3g}", ha="center", va="center", fontsize=6)

        box(0, 0, power["column"], "column", "#eeeeee")
        low = 0.0
        for name, members in branches.items():
            box(1, low, sum(members.values()), name, "#dddddd")
            for part, mw in members.items():
                box(2, low, mw, part, colours.get(part, "#bcbd22"))
                low += mw
        axis.set_title(record["design"], fontsize=8)
        axis.set(xlim=(0, 3), ylim=(0, 1.02 * top), xticks=[])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0][0].set_ylabel("mW, glitches included")
    figure.suptitle(title)
    figure.tight_layout()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Both formats, never half of one."""
    import matplotlib.pyplot as plt

    for suffix in (".svg", ".png"):
        with replacing(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, dpi=130)
    plt.close(figure)
