"""A sample of ImageNet cut in two: what one half decides is tested on the other, both ways round.

    .venv/bin/python examples/imagenet_halves.py data/imagenet_sample --out build/own

writes the folders build/own/half1 and half2, each with `labels.csv` (a column `split`) and a link to the images. Half 1
tests on one half of the images and calibrates on the other; in half 2 they change places.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

SEED = 0


def main() -> None:
    """Write the two folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", type=Path, help="folder with labels.csv and one zip of images")
    parser.add_argument("--out", type=Path, default=Path("build/own"))
    args = parser.parse_args()
    with (args.sample / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    (images,) = args.sample.glob("*.zip")
    first = set(np.random.default_rng(SEED).permutation(len(rows))[: len(rows) // 2].tolist())
    for number in (1, 2):
        folder = args.out / f"half{number}"
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / images.name
        link.unlink(missing_ok=True)
        link.symlink_to(images.resolve())
        with (folder / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["index", "file", "split"])
            writer.writeheader()
            for i, row in enumerate(rows):
                split = "test" if (i in first) == (number == 1) else "train"
                writer.writerow({"index": row["index"], "file": row["file"], "split": split})
        print(f"{folder}: {len(rows)} images")


if __name__ == "__main__":
    main()
