"""Rates of the emulation's paths beside torch's and beside the limit of the instruction that each is bound by."""

from __future__ import annotations

from pathlib import Path

from bench.timing import Row
from common.files import replacing

LIMIT, PEER = "limit of its instruction", "torch conv2d float32"


def plot(rows: list[Row], title: str, path: Path) -> None:
    """Layers of `rows` from above, GMAC/s to the right, a dashed line for each path's limit, as SVG.

    Cases of paths end in ", <path>"; those with activations of both signs, which have three words, are left out.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = [r for r in rows if r.benchmark == "emulate" and r.peer_name in (LIMIT, PEER) and "signed" not in r.case]
    layers = list(dict.fromkeys(r.case.rpartition(", ")[0] for r in found))
    paths = list(dict.fromkeys(r.case.rpartition(", ")[2] for r in found))
    figure, axis = pyplot.subplots(figsize=(9, 5))
    for number, name in enumerate(paths):
        mine = [r for r in found if r.case.endswith(f", {name}")]
        rates = {r.case.rpartition(", ")[0]: r.ours for r in mine}
        axis.plot([rates[layer] for layer in layers], range(len(layers)), "o", color=f"C{number}", label=name)
        if limits := [r.peer for r in mine if r.peer_name == LIMIT]:
            axis.axvline(sorted(limits)[len(limits) // 2], color=f"C{number}", linestyle="--", linewidth=1)
    torch = {r.case.rpartition(", ")[0]: r.peer for r in found if r.peer_name == PEER}
    axis.plot([torch[layer] for layer in layers], range(len(layers)), "|", color="black", markersize=18, label=PEER)
    axis.set_xscale("log")
    axis.set_xlabel("GMAC/s on one core; dashed: nothing but the path's instruction")
    axis.set_yticks(range(len(layers)), layers)
    axis.invert_yaxis()
    axis.set_title(title, fontsize="medium")
    figure.legend(fontsize="small", loc="outside lower center", ncols=len(paths) + 1)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg")
    pyplot.close(figure)
