"""Fetch the files of a platform from their official places: `python -m flows.pdk nangate45`, or `make pdk PDK=`.

What is fetched is named in the platform's config.toml with its SHA-256, and goes to
data/pdk/<name>, where the flows find it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from common.download import download
from common.errors import UserError, run_cli
from flows.platform import config_path, read_config
from tools.options import parse


def fetch_pdk(name: str, out: Path, quiet: bool = False) -> list[Path]:
    """Download what the platform's config.toml names to `out`/<name>; files that are there and right stay.

    Raises UserError if the config names nothing to download, a download fails or has another checksum.
    """
    path = config_path(name)
    data = read_config(path)
    wanted = data.get("download", {})
    if not wanted:
        place = data.get("mend", f"put them into {out / data['name']}")
        raise UserError(f"{path} has no [download], so there is nothing to fetch; of its files it says: {place}")
    found = []
    for file, source in wanted.items():
        if not {"url", "sha256"} <= set(source):
            raise UserError(f"{path}: [download] {file} needs url and sha256")
        with tqdm(desc=file, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:

            def progress(done: int, total: int | None, bar: tqdm = bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            found.append(download(source["url"], out / data["name"] / file, "sha256", source["sha256"], progress))
    return found


def main() -> None:
    """Command line of the downloader."""
    args = parse("flows.pdk")
    for path in fetch_pdk(args.name, args.out, args.quiet or not sys.stderr.isatty()):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, SHA-256 as published")


if __name__ == "__main__":
    run_cli(main)
