"""A sample of ImageNet cut in two: what one half decides is tested on the other, both ways round.

    .venv/bin/python examples/imagenet_halves.py --out build/own

writes the folders build/own/half1 and half2, each with `labels.csv` (a column `split`) and a link to the images. Half 1
tests on one half of the images and calibrates on the other; in half 2 they change places. Which sample, if not that of
the data folder (ENCMAC_DATA, or data), may be said first.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common.errors import UserError, run_cli
from common.files import write_text
from models.datasets.cifar import candidate_folders

SEED = 0


def sample_in(folder: Path | None) -> Path:
    """The folder given, or the one that is found where data is; UserError if it holds no sample."""
    tried = [folder] if folder else [root / "imagenet_sample" for root in candidate_folders(None)]
    for place in tried:
        if (place / "labels.csv").is_file():
            return place
    raise UserError(f"no labels.csv in {', '.join(map(str, tried))}; name the folder of a sample")


def read_sample(folder: Path) -> tuple[list[dict[str, str]], Path]:
    """Rows of labels.csv and the zip that holds the images; UserError if they do not belong together."""
    archives = sorted(folder.glob("*.zip"))
    if len(archives) != 1:
        raise UserError(f"{folder} holds {len(archives)} zip files beside labels.csv; expected 1")
    try:
        with (folder / "labels.csv").open(newline="") as stream:
            rows = [{name: row[name] for name in ("index", "file")} for row in csv.DictReader(stream)]
        with zipfile.ZipFile(archives[0]) as archive:
            missing = {row["file"] for row in rows} - set(archive.namelist())
    except (OSError, KeyError, ValueError, csv.Error, zipfile.BadZipFile) as error:
        raise UserError(
            f"{folder}: labels.csv or {archives[0].name} is damaged ({error!r}); copy them again"
        ) from error
    if missing or len(rows) < 2:
        raise UserError(f"{folder}: labels.csv names {len(rows)} images, {len(missing)} of them not in the zip")
    return rows, archives[0]


def main() -> None:
    """Write the two folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", type=Path, nargs="?", help="folder with labels.csv and one zip of images")
    parser.add_argument("--out", type=Path, default=Path("build/own"))
    args = parser.parse_args()
    sample = sample_in(args.sample)
    rows, images = read_sample(sample)
    folders = [args.out / f"half{number}" for number in (1, 2)]
    if sample.resolve() in [folder.resolve() for folder in folders]:
        raise UserError(f"{sample} is one of the folders to write; give another --out")
    for link in (folder / images.name for folder in folders):
        if link.exists() and not link.is_symlink():
            raise UserError(f"{link} is a file of somebody's; move it away")
    first = set(np.random.default_rng(SEED).permutation(len(rows))[: len(rows) // 2].tolist())
    for number, folder in enumerate(folders, 1):
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / images.name
        link.unlink(missing_ok=True)
        link.symlink_to(images.resolve())
        writer = csv.DictWriter(stream := io.StringIO(), ["index", "file", "split"])
        writer.writeheader()
        for i, row in enumerate(rows):
            writer.writerow(row | {"split": "test" if (i in first) == (number == 1) else "train"})
        write_text(folder / "labels.csv", stream.getvalue())
        print(f"{folder}: {len(rows)} images")


if __name__ == "__main__":
    run_cli(main)
