"""Import an int8 network, TFLite or ONNX QDQ: `python -m models.importers MODEL.tflite --name NAME --dataset cifar10`.

Writes a checkpoint that every command takes for a network: `make accuracy NET=build/imported/NAME.npz`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import replace
from pathlib import Path

from models.errors import UserError, run_cli
from models.importers.onnx import read_onnx
from models.importers.tflite import read_tflite
from models.quant.arith import ROUNDINGS
from models.quant.checkpoint import save_network

READERS = {".tflite": read_tflite, ".onnx": read_onnx}


def main() -> None:
    """Command line of the importers."""
    parser = argparse.ArgumentParser(prog="models.importers", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help=f"file to import ({', '.join(READERS)})")
    parser.add_argument("--name", help="name of the network (default: that of the file)")
    parser.add_argument("--dataset", default="imagenet", help="what it classifies: cifar10, cifar100 or imagenet")
    parser.add_argument("--out", type=Path, help="checkpoint to write (default: build/imported/<name>.npz)")
    parser.add_argument(
        "--rounding",
        choices=ROUNDINGS,
        default="float",
        help="float: as the runtime's default kernels; double: as its reference kernels; single: as our tile engine",
    )
    parser.add_argument("--mean", help="of images scaled to 0..1, for ONNX models, e.g. 0.485,0.456,0.406 (default: 0)")
    parser.add_argument("--std", help="the same (default: 1)")
    args = parser.parse_args()
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
