"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from any layout people have them in.

A data folder is looked for in this order: the folder given, `$ENCMAC_DATA`, `data/` in the current
directory and `../shared/data` (one data folder beside several checkouts). Inside it each of these
is recognised, directly or in a sub-folder `cifar10` / `cifar100` (or name one of them itself):

- the official archives `cifar-10-python.tar.gz` / `cifar-10-binary.tar.gz` (and 100), checked by MD5,
- their unpacked folders `cifar-10-batches-py` / `cifar-10-batches-bin` (`cifar-100-python`, `-binary`),
- lossless WebP strips: `cifar10_test.zip`, `cifar10_train_6bit.zip`, `cifar10_labels.npz`.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from common.download import check_digest, download
from common.errors import UserError

OFFICIAL_URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class _Layout:
    """File names of one data set in its official python and binary forms."""

    classes: int
    label_key: bytes
    python_dir: str
    binary_dir: str
    train: tuple[str, ...]
    test: str
    binary_labels: int  # label bytes in front of an image; the last one is the class
    archives: dict[str, str]  # name -> MD5


_LAYOUTS = {
    "cifar10": _Layout(
        classes=10,
        label_key=b"labels",
        python_dir="cifar-10-batches-py",
        binary_dir="cifar-10-batches-bin",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test="test_batch",
        binary_labels=1,
        archives={
            "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
            "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        },
    ),
    "cifar100": _Layout(
        classes=100,
        label_key=b"fine_labels",
        python_dir="cifar-100-python",
        binary_dir="cifar-100-binary",
        train=("train",),
        test="test",
        binary_labels=2,
        archives={
            "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
            "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
        },
    ),
}
DATASETS = tuple(_LAYOUTS)


@dataclass(frozen=True)
class Cifar:
    """One split: `images` uint8 [N, 3, 32, 32] (RGB), `labels` int64 [N], number of classes."""

    images: np.ndarray
    labels: np.ndarray
    classes: int
    name: str = ""


def load_cifar(name: str, split: str, folder: str | Path | None = None) -> Cifar:
    """Load `split` ("train" or "test") of `name` ("cifar10" or "cifar100").

    Raises UserError if no folder holds the data, or what it holds is damaged.
    """
    layout = _layout(name)
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not '{split}'")
    tried = candidate_folders(folder)
    for root in tried:
        for place in _places(root, name, layout):
            found = _load_from(place, name, split, layout)
            if found is not None:
                images, labels = found
                return _validated(Cifar(images, labels, layout.classes, name), place)
    raise UserError(
        f"no {name} data in {', '.join(map(str, tried))}; give a folder with DATA=<dir>, "
        f"or fetch it with: python -m models.datasets {name} --out data"
    )


def have_cifar(name: str, folder: str | Path | None = None) -> bool:
    """True if `load_cifar(name, ...)` would find files (they are not opened)."""
    layout = _layout(name)
    names = [layout.python_dir, layout.binary_dir, *layout.archives, f"{name}_test.zip"]
    places = [p for root in candidate_folders(folder) for p in _places(root, name, layout)]
    return any((place / n).exists() for place in places for n in names)


def download_cifar(
    name: str,
    out: str | Path,
    base_url: str = OFFICIAL_URL,
    md5: str | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Download the official python archive of `name` into folder `out`, checked against its MD5.

    `progress(bytes so far, bytes in all or None)` is called as blocks arrive. No file is left behind
    when the download breaks or the checksum differs. Returns the archive's path.
    """
    archive, official_md5 = next(iter(_layout(name).archives.items()))
    url = f"{base_url.rstrip('/')}/{archive}"
    return download(url, Path(out) / archive, "md5", md5 or official_md5, progress)


def class_count(name: str) -> int:
    """Number of classes of a data set."""
    return _layout(name).classes


def _layout(name: str) -> _Layout:
    if name not in _LAYOUTS:
        raise UserError(f"unknown data set '{name}'; known: {', '.join(_LAYOUTS)}, imagenet")
    return _LAYOUTS[name]


def _places(root: Path, name: str, layout: _Layout) -> tuple[Path, ...]:
    """Where to look for the official names: in `root`, its sub-folder, or beside `root` if it is one of them."""
    itself = root.name in (layout.python_dir, layout.binary_dir, *layout.archives)
    return (root.parent,) if itself else (root, root / name)


def candidate_folders(folder: str | Path | None) -> list[Path]:
    """Where data is looked for, in this order."""
    """Where data is looked for: the folder that is given, or the usual ones."""
    if folder:
        return [Path(folder)]
    env = os.environ.get("ENCMAC_DATA")
    return [Path(p) for p in (env, "data", "../shared/data") if p]


def _load_from(place: Path, name: str, split: str, layout: _Layout) -> tuple[np.ndarray, np.ndarray] | None:
    """Images and labels if `place` holds the data set in any known layout, else None."""
    files = layout.train if split == "train" else (layout.test,)
    if (place / layout.python_dir).is_dir():
        blobs = [_read(place / layout.python_dir / f) for f in files]
        return _join([_parse_python(b, layout) for b in blobs])
    if (place / layout.binary_dir).is_dir():
        blobs = [_read(place / layout.binary_dir / f"{f}.bin") for f in files]
        return _join([_parse_binary(b, layout) for b in blobs])
    for archive, md5 in layout.archives.items():
        if (place / archive).is_file():
            check_digest(place / archive, "md5", md5)
            return _load_archive(place / archive, files, layout)
    if (place / f"{name}_test.zip").is_file():
        return _load_strips(place, name, split)
    return None


def _load_archive(path: Path, files: tuple[str, ...], layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    """Read the batches `files` of an official archive without unpacking it."""
    is_python = "python" in path.name
    folder, suffix = (layout.python_dir, "") if is_python else (layout.binary_dir, ".bin")
    parse = _parse_python if is_python else _parse_binary
    try:
        with tarfile.open(path) as tar:
            members = [tar.extractfile(f"{folder}/{f}{suffix}") for f in files]
            blobs = [m.read() if m else b"" for m in members]
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and download it again") from error
    return _join([parse(b, layout) for b in blobs])


class _ArraysOnly(pickle.Unpickler):
    """Unpickles the official batches (dicts, lists, numpy arrays) and refuses anything else."""

    _KNOWN: ClassVar = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[0] == "numpy" and name in self._KNOWN:
            return self._KNOWN[name]  # wherever in numpy the version that wrote the batch kept it
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR batch")


def _parse_python(blob: bytes, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArraysOnly(io.BytesIO(blob), encoding="bytes").load()
        images = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        return images, np.asarray(batch[layout.label_key], dtype=np.int64)
    except Exception as error:  # a damaged pickle can raise almost anything
        raise UserError(f"not an official CIFAR python batch ({error}); download the archive again") from error


def _parse_binary(blob: bytes, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    record = layout.binary_labels + 3072
    if not blob or len(blob) % record:
        raise UserError(f"CIFAR binary batch of {len(blob)} bytes is no multiple of {record}; download it again")
    rows = np.frombuffer(blob, np.uint8).reshape(-1, record)
    return rows[:, layout.binary_labels :].reshape(-1, 3, 32, 32), rows[:, layout.binary_labels - 1].astype(np.int64)


def _load_strips(place: Path, name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Strips hold 500 images above each other; 6-bit training images are stored as v >> 2."""
    from PIL import Image

    stem = f"{name}_test" if split == "test" else f"{name}_train_6bit"
    try:
        with zipfile.ZipFile(place / f"{stem}.zip") as archive:
            strips = [
                np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")).reshape(-1, 32, 32, 3)
                for n in sorted(archive.namelist())
            ]
        with np.load(place / f"{name}_labels.npz") as stored:
            key = next(k for k in stored.files if split in k)
            labels = stored[key].astype(np.int64)
        images = np.concatenate(strips)
    except (OSError, zipfile.BadZipFile, StopIteration, ValueError) as error:
        raise UserError(f"{place / stem}.zip or {name}_labels.npz is damaged ({error}); copy them again") from error
    if split == "train":
        images = (images << 2) + 2
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); the data set is incomplete") from error


def _join(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _validated(data: Cifar, place: Path) -> Cifar:
    if len(data.images) != len(data.labels) or not len(data.images):
        raise UserError(f"{place}: {len(data.images)} images but {len(data.labels)} labels; download the data again")
    low, high = data.labels.min(), data.labels.max()
    if low < 0 or high >= data.classes:
        raise UserError(f"{place}: labels {low}..{high} outside 0..{data.classes - 1}; is it another data set?")
    return data
