"""ImageNet (ILSVRC 2012) as a folder: images are decoded when they are asked for, never all at once.

A data folder is looked for as for CIFAR (see models.datasets.cifar). Inside it, or in a sub-folder `imagenet`,
these are recognised:

- `val/<wnid>/*.JPEG` and `train/<wnid>/*.JPEG`: a folder for each of the 1,000 classes, in the order of their names;
- a folder or sub-folder `imagenet_sample` with `labels.csv` (columns index, file) and the files in a zip beside it:
  a small sample, in a shuffled order. A column `split` says which images are "train" and which "test"; without it
  "test" are all, "train" the last fifth of them. Its figures tell how well one network stands for another, not how
  well either classifies; `name` is that of the folder.

Evaluation takes the centre: the short side is scaled to `resize` pixels (bilinear, antialiased), then SIZE x SIZE.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from models.datasets.cifar import candidate_folders

CLASSES = 1000
SIZE = 224
RESIZE = 256
SAMPLE_SHARE = 5  # one of so many images of a sample is for calibration
SUFFIXES = (".jpeg", ".jpg", ".png")


class ImageFiles:
    """Images in files or in a zip, decoded by slices and index arrays: uint8 [n, 3, SIZE, SIZE]."""

    def __init__(self, names: Sequence[str], archive: Path | None = None, resize: int = RESIZE) -> None:
        self.names, self.archive, self.resize = list(names), archive, resize
        self.shape = (len(self.names), 3, SIZE, SIZE)
        self.dtype = np.dtype(np.uint8)
        self._zip = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        chosen = np.atleast_1d(np.arange(len(self.names))[index])
        images = [self._decode(self.names[i]) for i in chosen]
        return np.stack(images) if images else np.empty((0, *self.shape[1:]), np.uint8)

    def _decode(self, name: str) -> np.ndarray:
        from PIL import Image

        where = f"{self.archive}: {name}" if self.archive else name
        try:
            with Image.open(io.BytesIO(self._read(name))) as image:
                return centre_crop(image.convert("RGB"), self.resize)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{where} is damaged or no image ({error}); copy it again") from error

    def _read(self, name: str) -> bytes:
        if self.archive is None:
            return Path(name).read_bytes()
        if self._zip is None:
            self._zip = zipfile.ZipFile(self.archive)
        return self._zip.read(name)


def centre_crop(image: Any, resize: int) -> np.ndarray:
    """uint8 [3, SIZE, SIZE]: the centre of a PIL image whose short side is scaled to `resize` pixels."""
    from PIL import Image

    width, height = image.size
    if min(width, height) != resize:
        scale = resize / min(width, height)
        # the longer side is cut to whole pixels, as torchvision's Resize does
        size = (resize, int(resize * height / width)) if width <= height else (int(resize * width / height), resize)
        image = image.resize(size, Image.Resampling.BILINEAR) if scale != 1 else image
    left, top = ((side - SIZE + 1) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE))).transpose(2, 0, 1)


@dataclass(frozen=True)
class ImageNet:
    """One split: lazily decoded `images`, `labels` int64 [N], the data set's name for reports."""

    images: ImageFiles
    labels: np.ndarray
    classes: int = CLASSES
    name: str = "imagenet"


def load_imagenet(split: str, folder: str | Path | None = None, resize: int = RESIZE) -> ImageNet:
    """`split` "train" or "test" (ImageNet's validation images); UserError if no folder holds them."""
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not '{split}'")
    tried = candidate_folders(folder)
    for root in tried:
        for place in (root, root / "imagenet"):
            if (place / ("val" if split == "test" else split)).is_dir():
                return _folders(place / ("val" if split == "test" else split), resize)
        for place in (root, root / "imagenet_sample"):
            if (place / "labels.csv").is_file():
                return _sample(place, split, resize)
    raise UserError(f"no ImageNet in {', '.join(map(str, tried))}; give a folder with val/<wnid>/*.JPEG as DATA=<dir>")


def have_imagenet(folder: str | Path | None = None) -> bool:
    """True if `load_imagenet("test")` would find images or a sample (they are not opened)."""
    names = ("val", "imagenet/val", "labels.csv", "imagenet_sample/labels.csv")
    return any((root / name).exists() for root in candidate_folders(folder) for name in names)


def _folders(place: Path, resize: int) -> ImageNet:
    folders = sorted(p for p in place.iterdir() if p.is_dir())
    if len(folders) != CLASSES:
        raise UserError(f"{place} has {len(folders)} class folders, ImageNet has {CLASSES}; is it another data set?")
    names, labels = [], []
    for label, one in enumerate(folders):
        files = sorted(str(f) for f in one.iterdir() if f.suffix.lower() in SUFFIXES)
        if not files:
            raise UserError(f"{one} holds no images ({', '.join(SUFFIXES)}); the data set is incomplete")
        names += files
        labels += [label] * len(files)
    return ImageNet(ImageFiles(names, None, resize), np.array(labels, np.int64))


def _sample(place: Path, split: str, resize: int) -> ImageNet:
    """Shuffled with a fixed seed: any first part of a sample that is sorted by class is one of all classes."""
    try:
        with (place / "labels.csv").open(newline="") as stream:
            rows = [(row["file"], int(row["index"]), row.get("split")) for row in csv.DictReader(stream)]
        archives = sorted(place.glob("*.zip"))
        if len(archives) != 1:
            raise UserError(f"{place} holds {len(archives)} zip files beside labels.csv; expected 1")
        with zipfile.ZipFile(archives[0]) as archive:
            missing = {name for name, *_ in rows} - set(archive.namelist())
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{place}: labels.csv or the zip beside it is damaged ({error}); copy them again") from error
    if not rows:
        raise UserError(f"{place / 'labels.csv'} names no images; copy it again")
    if missing:
        raise UserError(f"{archives[0]} lacks {len(missing)} of {len(rows)} files of labels.csv; copy it again")
    labels = np.array([label for _, label, _ in rows], np.int64)
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise UserError(f"{place / 'labels.csv'}: labels {labels.min()}..{labels.max()} outside 0..{CLASSES - 1}")
    order = np.random.default_rng(0).permutation(len(rows))
    splits = np.array([part for *_, part in rows])
    if any(splits):
        if not {*splits} == {"train", "test"}:
            raise UserError(
                f"{place / 'labels.csv'}: split must be train or test, and both must occur; mend the column"
            )
        order = order[splits[order] == split]
    elif split == "train":
        order = order[-max(1, len(rows) // SAMPLE_SHARE) :]
    files = ImageFiles([rows[i][0] for i in order], archives[0], resize)
    return ImageNet(files, labels[order], CLASSES, place.name)
