"""What a replay leaves: replay.json, a table, a plot of cycles and utilisation."""

from __future__ import annotations

from pathlib import Path

from common.files import replacing

COLUMNS = (
    "layer",
    "shape",
    "mapping",
    "MACs",
    "tiles",
    "cycles",
    "use %",
    "naive %",
    "zero %",
    "a tog %",
    "p tog %",
    "y tog %",
    "compared",
    "wrong",
    "s",
    "MMAC/s",
)
LEGEND = (
    "use: MACs a cycle and cell; naive: one pixel a vector, one group a tile; zero: activations; tog: bits of "
    "activations (a), product bits (p), results (y) that change from one vector to the next"
)
TOGGLES = ("activations", "products", "results")


def totals(layers: list[dict]) -> dict:
    """Sums over layers."""
    keys = (
        "macs",
        "macs_run",
        "tiles",
        "tiles_run",
        "tiles_resumed",
        "cycles",
        "array_cycles",
        "naive_cycles",
        "compared",
        "mismatches",
    )
    found = {key: sum(layer[key] for layer in layers) for key in keys}
    return found | {"layers": len(layers), "seconds": round(sum(layer["seconds"] for layer in layers), 3)}


def print_table(layers: list[dict]) -> None:
    """One line a layer."""
    rows = [COLUMNS]
    for layer in layers:
        tiles = f"{layer['tiles']}"
        if layer["tiles_run"] < layer["tiles"]:
            tiles = f"{layer['tiles_run']} of {tiles}"
        speed = layer["macs_per_second"] / 1e6
        figures = (f"{layer['macs']:,}", tiles, f"{layer['cycles']:,}")
        use = (f"{100 * layer['utilisation']:.2f}", f"{100 * layer['naive_utilisation']:.2f}")
        shares = (layer["zero_activations"], *(layer["toggles"].get(key) for key in TOGGLES))
        shares = ("-" if share is None else f"{100 * share:.1f}" for share in shares)
        checked = (f"{layer['compared']:,}", f"{layer['mismatches']:,}", f"{layer['seconds']:.2f}", f"{speed:,.1f}")
        rows.append((layer["name"], layer["shape"], layer["mapping"], *figures, *use, *shares, *checked))
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        print("  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in cells).rstrip())


def plot(layers: list[dict], title: str, path: Path) -> None:
    """Cycles and utilisation by layer, as SVG; beside them the naive mapping's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names, places = [layer["name"] for layer in layers], range(len(layers))
    figure, axes = pyplot.subplots(2, 1, figsize=(max(6.0, 0.28 * len(layers) + 2), 6), sharex=True)
    sampled = any(layer["tiles_run"] < layer["tiles"] for layer in layers)
    cycles, label = ("array_cycles", "as mapped (a sample was run)") if sampled else ("cycles", "as run")
    for axis, key, unit in ((axes[0], cycles, "cycles"), (axes[1], "utilisation", "utilisation %")):
        scale = 100 if key == "utilisation" else 1
        plain = [scale * layer["naive_utilisation" if key == "utilisation" else "naive_cycles"] for layer in layers]
        axis.bar(places, plain, color="0.8", label="one pixel a vector, one group a tile")
        axis.plot(places, [scale * layer[key] for layer in layers], "o", color="C0", label=label)
        axis.set_ylabel(unit)
        axis.set_yscale("log")
    axes[0].legend(fontsize="small", ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    axes[0].set_title(title, fontsize="medium", pad=24)
    axes[1].set_xticks(list(places), names, rotation=90, fontsize="x-small")
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg")
    pyplot.close(figure)
