"""Quantise a float network: `python -m models.quant --net NAME --float FLOAT.pt --out models/zoo/NAME.npz`.

The checkpoint written holds int8 weights and, in its header, how the float weights were trained and
what float and int8 score on the whole test set.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from common.errors import UserError, run_cli
from models.datasets import load_dataset
from models.emulate import exact_engine
from models.importers.weights import read_weights
from models.networks import NetworkSpec, network_name, network_spec
from models.quant.checkpoint import OWN, save_network
from models.quant.convert import BATCH_PIXELS, convert, load_weights
from models.quant.export import convert_through_onnx
from models.quant.histogram import training_sample
from models.quant.trace import float_nodes
from tools.options import parse


@torch.inference_mode()
def float_top1(
    model: torch.nn.Module, images: np.ndarray, labels: np.ndarray, spec: NetworkSpec, batch: int = 250
) -> float:
    """Fraction of uint8 `images` [N, C, H, W] that the float model puts in class `labels` [N]."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    batch = max(1, min(batch, BATCH_PIXELS // int(np.prod(images.shape[2:]))))
    hits = 0
    for i in range(0, len(images), batch):
        scores = model((torch.from_numpy(images[i : i + batch]).float() / 255 - mean) / std)
        hits += int((scores.argmax(1).numpy() == labels[i : i + batch]).sum())
    return hits / len(images)


def training_command(record: dict) -> str:
    """The command that trained a network, from its training record."""
    options = ("epochs", "sizes", "batch", "lr", "weight_decay", "smoothing", "average", "seed")
    words = [f"--{o.replace('_', '-')} {record[o]}" for o in options if record.get(o, "") != ""]
    return " ".join(
        ["python -m models.train --net", str(record.get("net")), *words, *["--bf16"] * bool(record.get("bf16"))]
    )


def main() -> None:
    """Command line of the quantiser."""
    args = parse("models.quant")

    spec, name = network_spec(args.net), network_name(args.net)
    path = args.float or (spec.weights() if spec.weights else f"build/train/{name}/float.pt")
    weights, record, float_sha256 = read_weights(path)
    model = spec.build()
    load_weights(model, weights, path)
    sample = training_sample(spec.dataset, args.images, args.seed, args.data)
    how = convert
    try:
        float_nodes(model)
    except UserError as reason:  # more than plain layers
        if not args.quiet:
            print(f"{name} goes through ONNX: {reason}")
        how = convert_through_onnx
    network = how(model, spec, name, sample, args.rule, not args.per_tensor, args.quiet)

    test = load_dataset(spec.dataset, "test", args.data)
    count = len(test.labels) if args.test_images is None else min(args.test_images, len(test.labels))
    images, labels = test.images[:count] if count < len(test.labels) else test.images, test.labels[:count]
    figures = {"images": count}
    if count:
        figures["float_top1"] = float_top1(model, images, labels, spec)
        figures["int8_top1"] = network.top1(images, labels, exact_engine(), "" if args.quiet else "int8")
    network = replace(
        network,
        provenance={
            "training": {k: v for k, v in record.items() if k != "log"} | {"command": training_command(record)}
            if record
            else {"file": Path(path).name},
            "float_sha256": float_sha256,
            "calibration": {"rule": args.rule, "images": args.images, "seed": args.seed, "per_tensor": args.per_tensor},
            "figures": figures,
        },
    )
    out = Path(args.out or OWN / f"{name}.npz")
    sha256 = save_network(network, out)
    if count:
        scores = f"float {figures['float_top1']:.4f}, int8 {figures['int8_top1']:.4f}"
        print(f"{name}: top-1 {scores} on {count} images of {test.name}")
    print(f"{os.path.relpath(out)}: sha256 {sha256[:16]}")


if __name__ == "__main__":
    run_cli(main)
