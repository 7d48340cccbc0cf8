"""Data sets, read from a folder that the user names or downloaded from their official place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from models.datasets.arrays import Arrays, load_arrays
from models.datasets.cifar import DATASETS, Cifar, class_count, download_cifar, have_cifar, load_cifar
from models.datasets.imagenet import CLASSES, ImageNet, have_imagenet, load_imagenet

HASHED = 250  # images at a time


def load_dataset(name: str, split: str, folder: str | Path | None = None) -> Cifar | ImageNet | Arrays:
    """`split` "train" or "test" of a data set by name: `images` [N, 3, H, W] uint8, `labels` [N].

    "" is whatever the npz file `folder` holds (models.datasets.arrays).
    """
    if not name or (folder is not None and Path(folder).suffix == ".npz"):
        return load_arrays(split, folder)
    return load_imagenet(split, folder) if name == "imagenet" else load_cifar(name, split, folder)


def images_sha256(data: Cifar | ImageNet | Arrays, count: int | None = None) -> str:
    """Hash of the first `count` images (of all, by default) and their labels: data sets of one name may differ."""
    count = len(data.labels) if count is None else count
    digest = hashlib.sha256(data.labels[:count].astype("<i8").tobytes())
    for first in range(0, count, HASHED):
        digest.update(np.ascontiguousarray(data.images[first : min(first + HASHED, count)]).tobytes())
    return digest.hexdigest()


def classes_of(name: str) -> int:
    """Number of classes of a data set; UserError for one that is not known."""
    return CLASSES if name == "imagenet" else class_count(name)


__all__ = [
    "DATASETS",
    "Arrays",
    "Cifar",
    "ImageNet",
    "classes_of",
    "download_cifar",
    "have_cifar",
    "have_imagenet",
    "images_sha256",
    "load_arrays",
    "load_cifar",
    "load_dataset",
    "load_imagenet",
]
