"""Stacked bars of area and power by part."""

from __future__ import annotations

from pathlib import Path

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
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        temporary = path.with_name(f".{path.name}.tmp{suffix}")
        figure.savefig(temporary, dpi=130)
        temporary.replace(path.with_suffix(suffix))
    plt.close(figure)
