"""Pictures of ppa.json and of sweeps, each as SVG and PNG."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from common.files import replacing

PURPOSES = ("flip-flops", "adders", "logic", "buffers")


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    for suffix in (".svg", ".png"):
        with replacing(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, dpi=120)
    plt.close(figure)


def _lines(points: list[dict], x: str, title: str, label: str, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for design in dict.fromkeys(p["design"] for p in points):
        met = [p for p in points if p["design"] == design and p["wns_ns"] >= 0]
        values = [p["clock_ns"] if x == "clock" else p["parameters"]["Rows"] for p in met]
        area = [p.get("array", p)["area_um2"]["per_mac"] for p in met]
        axes.plot(values, area, marker="o", markersize=3, label=design, linestyle="--" if "conv" in design else "-")
    axes.set(xlabel=label, ylabel="area per MAC, um2", title=title, ylim=(0, None))
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))  # beside: lines are anywhere
    _save(figure, path)


def plot_clock(points: list[dict], title: str, path: Path) -> None:
    """Area against clock; a design ends where it meets the clock no more."""
    _lines(points, "clock", title, "clock, ns", path)


def plot_rows(points: list[dict], title: str, path: Path) -> None:
    """Area per MAC of columns of several heights."""
    _lines(points, "rows", title, "rows", path)


def plot_array(points: list[dict], title: str, path: Path) -> None:
    """Area per MAC of square arrays of several sizes, skew and extra column included."""
    _lines(points, "rows", f"square arrays, {title}", "rows = columns", path)


def plot_breakdown(points: list[dict], title: str, path: Path) -> None:
    """Area of every design by what its cells are for."""
    figure, axes = plt.subplots(figsize=(7, 0.4 * len(points) + 1.2))
    names, left = [p["design"] for p in points], [0.0] * len(points)
    for purpose in PURPOSES:
        areas = [p["area_um2"]["by_purpose"][purpose] for p in points]
        axes.barh(names, areas, left=left, label=purpose)
        left = [a + b for a, b in zip(left, areas, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="area, um2", title=title)
    axes.legend(fontsize=7)
    _save(figure, path)


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (area, accuracy) those that no other beats in both, smallest area first."""
    front: list[tuple[float, float]] = []
    for area, accuracy in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or accuracy > front[-1][1]:
            front.append((area, accuracy))
    return front


def plot_pareto(points: list[dict], accuracy: dict, title: str, path: Path) -> bool:
    """Accuracy against area for encodings that accuracy.json knows, one line a network; False if there are none."""
    area = {p["encoding"]: p["area_um2"]["per_mac"] for p in points if p["encoding"]}
    figure, axes = plt.subplots(figsize=(7, 4.5))
    drawn = False
    entries = [e for e in accuracy.get("rows", []) if e.get("encoding") in area]
    for network in dict.fromkeys(e["network"] for e in entries):
        for key, style in (("encoded", "o"), ("encoded_finetuned", "s")):
            found = [
                (area[e["encoding"]], e["top1"][key], e["encoding"])
                for e in entries
                if e["network"] == network and e["top1"].get(key) is not None
            ]
            if not found:
                continue
            drawn = True
            front = pareto([(x, y) for x, y, _ in found])
            line = axes.plot(*zip(*front, strict=True), linewidth=1)[0]
            color = line.get_color()
            x, y = [f[0] for f in found], [f[1] for f in found]
            axes.scatter(x, y, marker=style, color=color, label=f"{network} {key}")
            for x, y, name in found:
                axes.annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    if drawn:
        axes.set(xlabel="area per MAC, um2", ylabel="top-1", title=title)
        axes.legend(fontsize=7)
        _save(figure, path)
    else:
        plt.close(figure)
    return drawn
