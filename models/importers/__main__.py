"""Import an int8 network: `python -m models.importers MODEL.tflite --name NAME --dataset cifar10`.

Writes a checkpoint that every command takes for a network: `make accuracy NET=build/imported/NAME.npz`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import replace
from pathlib import Path

from models.errors import UserError, run_cli
from models.importers.tflite import read_tflite
from models.quant.arith import ROUNDINGS
from models.quant.checkpoint import save_network

READERS = {".tflite": read_tflite}


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
    args = parser.parse_args()
    if args.model.suffix not in READERS:
        raise UserError(f"{args.model}: cannot import '{args.model.suffix}'; known: {', '.join(READERS)}")
    name = args.name or args.model.stem
    network, _ = READERS[args.model.suffix](args.model, name, args.dataset, args.rounding)
    imported = network.provenance["imported"] | {
        "sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "rounding": args.rounding,
    }
    out = args.out or Path(f"build/imported/{name}.npz")
    sha256 = save_network(replace(network, provenance={"imported": imported}), out)
    layers = len(network.mac_nodes)
    print(f"{name}: {len(network.nodes)} nodes, {layers} of them convolutions and linear layers")
    print(f"{os.path.relpath(out)}: sha256 {sha256[:16]}")


if __name__ == "__main__":
    run_cli(main)
