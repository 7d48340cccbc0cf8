"""Magika's first model (pure MatMul, public weights) in int8, and real files as its inputs.

    .venv/bin/pip download magika==0.5.1 --no-deps --dest build/own
    .venv/bin/python examples/magika.py build/own/magika-0.5.1-*.whl /usr /var/lib --out build/own

Magika tells the type of a file from 1,536 of its bytes: the first 512, 512 in the middle, the last 512. Its first model
is a one-hot code, four dense layers, GELU and layer norms: 126 million products, all of MatMul. Weights (Apache-2.0)
come with the wheel in floating point; ONNX Runtime's static quantisation makes them int8, as its users do. Files of
known types are those of an installed system, by their suffix; of a type the first are for calibration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

PLACE = "magika/models/standard_v1"
BLOCK, PART = 4096, 512
SUFFIXES = {
    ".py": "python", ".pyc": "pythonbytecode", ".so": "elf", ".json": "json", ".md": "markdown", ".html": "html",
    ".xml": "xml", ".js": "javascript", ".gz": "gzip", ".svg": "svg", ".css": "css", ".sh": "shell", ".c": "c",
    ".h": "c", ".pl": "perl", ".ttf": "ttf", ".csv": "csv", ".yaml": "yaml", ".rst": "rst", ".png": "png",
    ".gif": "gif", ".pdf": "pdf", ".ps": "postscript", ".php": "php", ".sql": "sql", ".whl": "zip", ".java": "java",
}  # fmt: skip


def features(path: Path) -> np.ndarray | None:
    """uint8 [1536] as Magika takes them; None for a file that is too small to give all (they would be padded)."""
    content = path.read_bytes()
    first, last = content[:BLOCK].lstrip(), content[-BLOCK:].rstrip()
    if len(content) < 2 * BLOCK + PART or min(len(first), len(last)) < PART:
        return None
    cut, end = BLOCK - len(first), BLOCK - len(last)
    middle = cut + (len(content) - cut - end - PART) // 2
    return np.frombuffer(first[:PART] + content[middle : middle + PART] + last[-PART:], np.uint8)


def of_type(roots: list[Path], suffix: str, wanted: int) -> Iterator[np.ndarray]:
    """Inputs of different files, in an order that depends on their contents alone."""
    found = {}
    for root in roots:
        for place, _, names in os.walk(root):
            for name in names:
                path = Path(place) / name
                if path.suffix == suffix and path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24:
                    found[path.name] = path  # one of each name: copies are many
    taken = 0
    for path in sorted(found.values(), key=lambda p: hashlib.sha256(p.name.encode()).digest()):
        if taken < wanted and (made := features(path)) is not None:
            taken += 1
            yield made


class Calibration:
    """Inputs, one by one, for ONNX Runtime."""

    def __init__(self, inputs: np.ndarray) -> None:
        self._rest = iter(inputs[:, None])

    def get_next(self) -> dict | None:
        """The next."""
        one = next(self._rest, None)
        return None if one is None else {"bytes": one}


def main() -> None:
    """Write int8.onnx and files.npz."""
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=Path)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("build/own"))
    parser.add_argument("--each", type=int, default=40, help="files of a type")
    args = parser.parse_args()
    with zipfile.ZipFile(args.wheel) as archive:
        model = onnx.load_from_string(archive.read(f"{PLACE}/model.onnx"))
        about = json.loads(archive.read(f"{PLACE}/model_config.json"))["train_dataset_info"]["target_labels_info"]
    classes = about["target_labels_space"]
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8  # its first node casts in any case
    inputs, labels, used = [], [], []
    for suffix, kind in SUFFIXES.items():
        made = list(of_type(args.roots, suffix, args.each + 2))
        used += made[:2]
        inputs += made[2:]
        labels += [classes.index(kind)] * len(made[2:])
        print(f"{kind:16} {len(made[2:])}")
    args.out.mkdir(parents=True, exist_ok=True)
    plain = args.out / "magika_float.onnx"
    onnx.save(model, plain)
    quantize_static(
        plain, args.out / "magika_int8.onnx", Calibration(np.stack(used)), quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"], per_channel=True, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(len(inputs))
    files = {"images": np.stack(inputs)[order], "labels": np.array(labels)[order]}
    np.savez_compressed(args.out / "magika_files.npz", **files)


if __name__ == "__main__":
    main()
