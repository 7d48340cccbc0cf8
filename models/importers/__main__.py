"""Import an int8 network (TFLite, ONNX) or an encoding of EncodingNet's code: `python -m models.importers MODEL`.

Writes a checkpoint that every command takes for a network: `make accuracy NET=build/imported/NAME.npz`.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from models.emulate import exact_table
from models.encoding import write_text
from models.importers.onnx import read_onnx
from models.importers.reference import encoding_name, read_reference
from models.importers.tflite import read_tflite
from models.quant.checkpoint import save_network
from tools.options import parse

GENOMES = (".pickle", ".pkl", ".pt", ".pth")
READERS = {".tflite": read_tflite, ".onnx": read_onnx}


def main() -> None:
    """Command line of the importers."""
    args = parse("models.importers")
    if args.model.suffix in GENOMES:
        _genome(args.model, args.name, args.out)
        return
    if args.model.suffix not in READERS:
        known = ", ".join((*READERS, *GENOMES))
        raise UserError(f"{args.model}: cannot import '{args.model.suffix}'; known: {known}")
    name = args.name or args.model.stem
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise UserError(f"name '{name}': letters, digits, _, - and . only; choose another --name")
    given = (("mean", args.mean, ","), ("std", args.std, ","), ("size", args.size, "x"))
    options = {k: _numbers(k, v, apart) for k, v, apart in given if v}
    if options and args.model.suffix != ".onnx":
        raise UserError(f"--{next(iter(options))} is for ONNX models; the input of a TFLite model is the pixel")
    network, _ = READERS[args.model.suffix](args.model, name, args.dataset or "", args.rounding, **options)
    imported = network.provenance["imported"] | {
        "sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "rounding": args.rounding,
    }
    out = args.out or Path(f"build/imported/{name}.npz")
    sha256 = save_network(replace(network, provenance={"imported": imported}), out)
    layers = len(network.mac_nodes)
    print(f"{name}: {len(network.nodes)} nodes, {layers} of them convolutions and linear layers")
    for reason in imported.get("runtime", ()):
        print(f"  left to the runtime: {reason}")
    if differing := imported.get("differs"):
        print(f"  not the runtime's results bit for bit: {', '.join(differing)}")
    print(f"{os.path.relpath(out)}: sha256 {sha256[:16]}")


def _genome(path: Path, name: str | None, out: Path | None) -> None:
    """An encoding that EncodingNet's code saved, as our JSON."""
    name = name or (out.stem if out else encoding_name(path.stem))
    encoding = read_reference(path, name)
    out = out or Path(f"build/imported/{name}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, encoding.to_json())
    error = np.abs(encoding.product_table - exact_table())
    print(
        f"{name}: {encoding.m} product bits, {len(encoding.gates)} gates; "
        f"error {error.mean():.2f} on average, {error.max()} at most"
    )
    print(os.path.relpath(out))


def _numbers(option: str, text: str, apart: str) -> tuple[float, ...] | tuple[int, ...]:
    kind = int if option == "size" else float
    try:
        numbers = tuple(kind(word) for word in text.split(apart))
    except ValueError as error:
        raise UserError(f"--{option} {text}: give numbers with '{apart}' between them") from error
    if option != "mean" and min(numbers) <= 0:
        raise UserError(f"--{option} {text}: numbers above 0 are expected")
    return numbers


if __name__ == "__main__":
    run_cli(main)
