"""Accuracy against mean relative error, for tables of products beside encodings: `python -m models.mre`.

Reads the rows that `make accuracy` has measured, prints them as a table in Markdown and draws them:
`<out>/mre_<network>.svg` and `.png`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError, run_cli
from models.accuracy import read_rows, scope
from models.encoding import library_names
from models.search.pareto import write
from tools.options import parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"none": "as it is", "bias": "bias corrected", "gain": "bias and gain corrected"}
STYLES = {True: ("s", "tab:blue", "encoding"), False: ("o", "tab:orange", "multiplier")}  # by: is in the library


@dataclass(frozen=True)
class Measured:
    """One multiplier on one network: `mre` and `top1` (by scope of the correction) as fractions."""

    name: str
    mre: float
    int8: float
    top1: dict[str, float]

    @property
    def is_encoding(self) -> bool:
        """True for encodings of the library, False for tables of products."""
        return self.name in library_names()


def collect(rows: list[dict], network: str) -> list[Measured]:
    """What was measured on the whole test set of `network`, tables first, by error."""
    rows = [r for r in rows if r["network"] == network and "mean_relative_error" in r]
    whole = max((r["images"] for r in rows), default=0)
    found: dict[str, Measured] = {}
    for row in rows:
        if row["images"] == whole:
            new = Measured(row["encoding"], row["mean_relative_error"], row["top1"]["int8"], {})
            found.setdefault(row["encoding"], new).top1[scope(row)] = row["top1"]["encoded"]
    return sorted(found.values(), key=lambda m: (m.is_encoding, m.mre))


def table(measured: list[Measured]) -> str:
    """As Markdown."""
    scopes = [s for s in NAMES if any(s in m.top1 for m in measured)]
    lines = [f"| multiplier | mean relative error % | {' | '.join(f'top-1 %, {NAMES[s]}' for s in scopes)} |"]
    lines.append("|---" * (2 + len(scopes)) + "|")
    for m in measured:
        figures = (f"{100 * m.top1[s]:.2f}" if s in m.top1 else "-" for s in scopes)
        lines.append(f"| {m.name} | {100 * m.mre:.2f} | {' | '.join(figures)} |")
    return "\n".join(lines)


def draw(measured: list[Measured], network: str) -> Figure:
    """Top-1 over the mean relative error; a line joins a multiplier's figures with and without correction."""
    from matplotlib.figure import Figure  # no pyplot: no window, whatever the backend

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(100 * measured[0].int8, color="0.6", lw=1, label=f"int8, {100 * measured[0].int8:.2f} %")
    seen = set()
    placed: list[tuple[float, float]] = []
    for m in measured:
        marker, colour, kind = STYLES[m.is_encoding]
        axes.plot([100 * m.mre] * len(m.top1), [100 * y for y in m.top1.values()], color=colour, lw=0.8, alpha=0.5)
        for s, top1 in m.top1.items():
            label = f"{kind}, {NAMES[s]}"
            face = "none" if s == "none" else colour
            axes.plot(
                100 * m.mre, 100 * top1, marker, color=colour, markerfacecolor=face, ms=7, ls="",
                label=None if label in seen else label,
            )  # fmt: skip
            seen.add(label)
        place = (np.log10(m.mre), 100 * max(m.top1.values()))
        met = any(abs(place[0] - x) < 0.12 and abs(place[1] - y) < 6 for x, y in placed)  # a label is about so large
        placed.append(place)
        axes.annotate(m.name.removeprefix("mul8s_"), (100 * m.mre, place[1]), (10, -11) if met else (0, 8),
                      textcoords="offset points", ha="left" if met else "center", fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(0, 104)
    axes.grid(which="both", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(title=f"{network}, not fine-tuned", xlabel="mean relative error of the products, %", ylabel="top-1, %")
    axes.legend(frameon=False, loc="lower left")
    return figure


def main() -> None:
    """Command line: table and picture of what is measured."""
    args = parse("models.mre")
    measured = collect(read_rows(args.report), args.net)
    if not measured:
        raise UserError(f"no rows of {args.net} in {args.report}; measure some first: make accuracy NET= ENCODING=")
    print(table(measured))
    for path in write(draw(measured, args.net), args.out / f"mre_{args.net}"):
        print(path)


if __name__ == "__main__":
    run_cli(main)
