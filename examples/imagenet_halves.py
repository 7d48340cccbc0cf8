"""A sample of ImageNet cut in two: what one half decides is tested on the other, both ways round.

    .venv/bin/python examples/imagenet_halves.py data/imagenet_sample --out build/own

writes the folders build/own/half1 and half2, each with `labels.csv` (a column `split`) and a link to the images. Half 1
tests on one half of the images and calibrates on the other; in half 2 they change places. With `--copies 3` there are
three more images of each that calibrates, cut out at random and half of them mirrored, in a zip of their own.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 0
SHARE = (0.7, 1.0)  # of a side that a copy keeps


def copy_of(data: bytes, rng: np.random.Generator) -> bytes:
    """A JPEG cut out of another at random, as large as that, mirrored or not."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    share = rng.uniform(*SHARE)
    width, height = (round(side * share) for side in image.size)
    left, top = (
        int(rng.integers(0, whole - part + 1)) for whole, part in zip(image.size, (width, height), strict=True)
    )
    made = image.resize(image.size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made.save(stream := io.BytesIO(), "JPEG", quality=95)
    return stream.getvalue()


def main() -> None:
    """Write the two folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", type=Path, help="folder with labels.csv and one zip of images")
    parser.add_argument("--out", type=Path, default=Path("build/own"))
    parser.add_argument("--copies", type=int, default=0, help="more images of each that calibrates (default: 0)")
    args = parser.parse_args()
    with (args.sample / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    (images,) = args.sample.glob("*.zip")
    first = set(np.random.default_rng(SEED).permutation(len(rows))[: len(rows) // 2].tolist())
    for number in (1, 2):
        folder = args.out / f"half{number}"
        folder.mkdir(parents=True, exist_ok=True)
        held = folder / images.name
        held.unlink(missing_ok=True)
        entries = []
        for i, row in enumerate(rows):
            split = "test" if (i in first) == (number == 1) else "train"
            entries.append({"index": row["index"], "file": row["file"], "split": split})
        if args.copies:
            shutil.copy(images, held)
            entries += add_copies(held, [entry for entry in entries if entry["split"] == "train"], args.copies)
        else:
            held.symlink_to(images.resolve())
        with (folder / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["index", "file", "split"])
            writer.writeheader()
            writer.writerows(entries)
        print(f"{folder}: {len(entries)} images")


def add_copies(archive: Path, entries: list[dict], count: int) -> list[dict]:
    """Put so many copies of each image into a zip; their entries."""
    rng, made = np.random.default_rng(SEED), []
    with zipfile.ZipFile(archive, "a") as opened:
        for number in range(1, count + 1):
            for entry in entries:
                made.append(entry | {"file": f"copy{number}/{entry['file']}"})
                opened.writestr(made[-1]["file"], copy_of(opened.read(entry["file"]), rng))
    return made


if __name__ == "__main__":
    main()
