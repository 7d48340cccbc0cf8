"""Download a data set: `python -m models.datasets cifar10 --out data`.

The official archive is fetched, checked against its MD5 and kept as it is; loaders read it packed.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

from common.errors import run_cli
from models.datasets import download_cifar
from tools.options import parse


def main() -> None:
    """Command line of the downloader."""
    args = parse("models.datasets")

    silent = args.quiet or not sys.stderr.isatty()
    with tqdm(desc=args.name, unit="B", unit_scale=True, unit_divisor=1024, disable=silent, leave=False) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        archive = download_cifar(args.name, args.out, args.url, progress=progress)
    print(f"{archive}: {archive.stat().st_size / 2**20:.0f} MiB, MD5 as published")


if __name__ == "__main__":
    run_cli(main)
