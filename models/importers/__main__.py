"""Import an int8 network, TFLite or ONNX QDQ: `python -m models.importers MODEL.tflite --name NAME --dataset cifar10`.

Writes a checkpoint that every command takes for a network: `make accuracy NET=build/imported/NAME.npz`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from models.errors import UserError, run_cli
from models.importers.onnx import read_onnx
from models.importers.tflite import read_tflite
from models.quant.checkpoint import save_network
from tools.options import parse

READERS = {".tflite": read_tflite, ".onnx": read_onnx}


def main() -> None:
    """Command line of the importers."""
    args = parse("models.importers")
    if args.model.suffix not in READERS:
        raise UserError(f"{args.model}: cannot import '{args.model.suffix}'; known: {', '.join(READERS)}")
    name = args.name or args.model.stem
    options = {}
    if args.mean or args.std:
        if args.model.suffix != ".onnx":
            raise UserError("--mean and --std are for ONNX models; the input of a TFLite model is the pixel")
        options = {k: _numbers(k, v) for k, v in (("mean", args.mean), ("std", args.std)) if v}
    network, _ = READERS[args.model.suffix](args.model, name, args.dataset, args.rounding, **options)
    imported = network.provenance["imported"] | {
        "sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "rounding": args.rounding,
    }
    out = args.out or Path(f"build/imported/{name}.npz")
    sha256 = save_network(replace(network, provenance={"imported": imported}), out)
    layers = len(network.mac_nodes)
    print(f"{name}: {len(network.nodes)} nodes, {layers} of them convolutions and linear layers")
    print(f"{os.path.relpath(out)}: sha256 {sha256[:16]}")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise UserError(f"--{option} {text}: give numbers with commas, one for each channel") from error


if __name__ == "__main__":
    run_cli(main)
