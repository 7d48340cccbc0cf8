"""A data set of one's own: one npz file with `images` and `labels`, given as DATA=<file>.npz.

`images` uint8 [N, C, H, W] are pixels; or uint8 [N, ...] are the codes plus 128 of a network whose input is int8
features (spectra, windows of samples). `labels` are whole numbers [N]. `train_images` and `train_labels`, where they
are there, are for calibration; else the last fifth is, and the rest is the test set.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError

TRAIN_SHARE = 5  # one of so many images is for calibration


@dataclass(frozen=True)
class Arrays:
    """One split: `images` uint8 [N, ...], `labels` int64 [N], the number of classes that occur, the file's name."""

    images: np.ndarray
    labels: np.ndarray
    classes: int
    name: str


def load_arrays(split: str, path: str | Path | None) -> Arrays:
    """`split` "train" or "test" of an npz file; UserError if it is none or does not fit."""
    if path is None or Path(path).suffix != ".npz":
        raise UserError("this network names no data set; give a file as DATA=mine.npz, with arrays images and labels")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read as npz ({error})") from error
    prefix = "train_" if split == "train" and "train_images" in arrays else ""
    missing = [k for k in (f"{prefix}images", f"{prefix}labels") if k not in arrays]
    if missing:
        raise UserError(f"{path} has no array '{missing[0]}'; it has: {', '.join(arrays) or 'none'}")
    images, labels = arrays[f"{prefix}images"], arrays[f"{prefix}labels"]
    if images.dtype != np.uint8 or images.ndim < 2:
        raise UserError(f"{path}: {prefix}images are {images.dtype} {images.shape}; uint8 [N, C, H, W] are expected")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise UserError(
            f"{path}: {prefix}labels are {labels.dtype} {labels.shape}; {len(images)} whole numbers expected"
        )
    if "train_images" not in arrays:
        last = len(images) - len(images) // TRAIN_SHARE
        part = slice(last, None) if split == "train" else slice(0, last)
        images, labels = images[part], labels[part]
    if not len(images):
        raise UserError(f"{path} has no images for split '{split}'; give more, or train_images")
    return Arrays(images, labels.astype(np.int64), len(set(labels.tolist())), Path(path).stem)
