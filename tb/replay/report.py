"""What a replay leaves: replay.json, a table, a plot of cycles and utilisation."""

from __future__ import annotations

from pathlib import Path

COLUMNS = (
    "layer",
    "shape",
    "mapping",
    "MACs",
    "tiles",
    "cycles",
    "use %",
    "naive %",
    "compared",
    "wrong",
    "s",
    "MMAC/s",
)


def totals(layers: list[dict]) -> dict:
    """Sums over layers."""
    keys = (
        "macs",
        "macs_run",
        "tiles",
        "tiles_run",
        "tiles_resumed",
        "cycles",
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
        checked = (f"{layer['compared']:,}", f"{layer['mismatches']:,}", f"{layer['seconds']:.2f}", f"{speed:,.1f}")
        rows.append((layer["name"], layer["shape"], layer["mapping"], *figures, *use, *checked))
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
    for axis, key, unit in ((axes[0], "cycles", "cycles"), (axes[1], "utilisation", "utilisation %")):
        scale = 100 if key == "utilisation" else 1
        if not (sampled and key == "cycles"):  # cycles of a sample are not those of the layer
            plain = [scale * layer[f"naive_{key}"] for layer in layers]
            axis.bar(places, plain, color="0.8", label="one pixel a vector, one group a tile")
        axis.plot(places, [scale * layer[key] for layer in layers], "o", color="C0", label="as run")
        axis.set_ylabel(unit)
        axis.set_yscale("log")
        axis.legend(fontsize="small")
    axes[0].set_title(title)
    axes[1].set_xticks(list(places), names, rotation=90, fontsize="x-small")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, format="svg")
    pyplot.close(figure)
    temporary.replace(path)
