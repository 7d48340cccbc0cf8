"""Pictures of what there is to choose: `python -m models.search.pareto` for the library.

Column area against error, as SVG and PNG. A search on islands draws the front of its archive: points that
nothing beats in area, error and largest error together, so one above the staircase has a smaller largest
error. The same data give the same SVG, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UserError, run_cli
from common.files import replacing
from common.provenance import ROOT
from models.encoding import library_names, load_encoding
from models.search.islands import Archive, load_archive
from tools.options import parse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REPORTS = ROOT / "build" / "reports"
NOISE = "noise of the network's result / its variance"
RMSE = "rms error less E[error | w], uniform operands"
KINDS = {"powers of two": "o", "general weights": "s", "formula": "^"}
PLACES = (
    (5, 4),
    (5, -10),
    (-5, 4),
    (-5, -10),
    (5, 13),
    (-5, 13),
    (5, -19),
    (-5, -19),
)  # of a text, points from its dot
TEXT = 7.5  # points


@dataclass(frozen=True)
class Point:
    """An encoding in the picture: area um2 of a 64-row column, error (y axis), largest relative error, text, marker."""

    area: float
    error: float
    largest: float
    text: str
    kind: str = ""


def undominated(points: Sequence[Point]) -> list[Point]:
    """The points with the least error up to their area, least area first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.area, p.error)):
        if not found or point.error < found[-1].error:
            found.append(point)
    return found


def draw(points: Sequence[Point], title: str, error: str) -> Figure:
    """Area against error, coloured by the largest error, with the staircase that nothing undercuts."""
    try:
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure  # no pyplot: no window, whatever the backend
        from matplotlib.ticker import LogLocator, NullFormatter
    except ImportError as missing:
        raise UserError("plots need matplotlib, a wheel of requirements.txt; install it with: make setup") from missing
    shown = [p for p in points if p.area > 0 and p.error > 0]
    if not shown:
        raise UserError(f"{title}: nothing to draw, no encoding has an error above 0")
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    largest = [max(100 * p.largest, 1e-3) for p in shown]
    scale = LogNorm(min(largest) * 0.999, max(largest) * 1.001)
    steps = undominated(shown)
    axes.step([p.area / 1e3 for p in steps], [p.error for p in steps], where="post", color="0.75", lw=1, zorder=1)
    for kind in dict.fromkeys(p.kind for p in shown):
        chosen = [(p, c) for p, c in zip(shown, largest, strict=True) if p.kind == kind]
        dots = axes.scatter(
            [p.area / 1e3 for p, _ in chosen], [p.error for p, _ in chosen], c=[c for _, c in chosen], norm=scale,
            cmap="viridis", marker=KINDS.get(kind, "o"), s=42, edgecolors="0.25", linewidths=0.5, label=kind, zorder=2,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.margins(x=0.07, y=0.08)
    axes.grid(which="both", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    axes.set(title=title, xlabel="area of a 64-row column, thousand um2 (cost model)", ylabel=error)
    bar = figure.colorbar(dots, ax=axes, label="largest relative error, %")
    for axis in (axes.yaxis, bar.ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    if len({p.kind for p in shown}) > 1:
        axes.legend(frameon=False, loc="upper right")
    write_texts(figure, axes, shown)
    return figure


def write_texts(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Each point's text at the first of PLACES where it covers no dot and no text; the first if there is none."""
    figure.draw_without_rendering()  # settles the axes' place and limits
    dots = axes.transData.transform([(p.area / 1e3, p.error) for p in points]) * 72 / figure.dpi
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]
    for point, (x, y) in zip(points, dots, strict=True):
        width = 0.62 * TEXT * len(point.text)
        boxes = [(x + dx - (dx < 0) * width, y + dy) for dx, dy in PLACES]
        boxes = [(left, low, left + width, low + TEXT) for left, low in boxes]
        free = (n for n, b in enumerate(boxes) if not any(overlap(b, other) for other in taken))
        chosen = next(free, 0)
        taken.append(boxes[chosen])
        side = "right" if PLACES[chosen][0] < 0 else "left"
        place = {"xytext": PLACES[chosen], "textcoords": "offset points", "ha": side, "fontsize": TEXT, "zorder": 3}
        axes.annotate(point.text, (point.area / 1e3, point.error), **place)


def overlap(p: tuple[float, ...], q: tuple[float, ...]) -> bool:
    """True if two boxes (left, low, right, high) share area."""
    return p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]


def write(figure: Figure, stem: Path) -> list[Path]:
    """`stem`.svg and `stem`.png, each whole or not at all; returns their paths."""
    from matplotlib import rc_context

    found = []
    for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130, "metadata": {"Software": None}})):
        path = stem.with_name(f"{stem.name}.{kind}")
        try:
            with replacing(path) as temporary, rc_context({"svg.hashsalt": "encmac", "svg.fonttype": "none"}):
                figure.savefig(temporary, format=kind, **options)
        except OSError as error:
            raise UserError(f"cannot write {path} ({error.strerror}); choose another --out") from error
        found.append(path)
    return found


def plot_archive(archive: Archive, folder: Path, name: str) -> list[Path]:
    """Picture of a search's front: `folder`/pareto_<name>.svg and .png."""
    encodings = archive.encodings()
    points = [
        Point(entry["cost"], entry["error"], entry["max_error"], f"M={encoding.m}")
        for entry, encoding in zip(archive.front, encodings, strict=True)
    ]
    uniform = not any("noise" in encoding.figures for encoding in encodings)
    error = "centred error variance, uniform operands" if uniform else NOISE
    count = f"{len(points)} encoding{'s' * (len(points) != 1)}"
    return write(
        draw(points, f"front of search '{name}', {archive.turn} rounds: {count}", error), folder / f"pareto_{name}"
    )


def plot_library(folder: Path) -> list[Path]:
    """Pictures of the library: noise on the network it was searched on, and error under uniform operands."""
    noise, rmse = [], []
    for encoding in map(load_encoding, library_names()):
        figures = encoding.figures
        kind = (
            "formula" if "noise" not in figures else "powers of two" if encoding.is_power_of_two else "general weights"
        )
        area, largest = figures["column_area_um2"], figures["max_relative_error"]
        rmse.append(Point(area, figures["errors"]["uniform"]["centred_rmse"], largest, encoding.name, kind))
        if "noise" in figures:
            noise.append(Point(area, figures["noise"], largest, encoding.name, kind))
    written = write(
        draw(noise, "library: noise on the network that each was searched for", NOISE), folder / "pareto_library_noise"
    )
    return written + write(draw(rmse, "library: uniform operands", RMSE), folder / "pareto_library_uniform")


def main() -> None:
    """Command line: draw the library, or the archive of a search."""
    args = parse("models.search.pareto")
    if args.archive:
        found = plot_archive(load_archive(args.archive), args.out, args.archive.stem)
    else:
        found = plot_library(args.out)
    for path in found:
        print(path)


if __name__ == "__main__":
    run_cli(main)
