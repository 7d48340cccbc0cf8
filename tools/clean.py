"""Remove what commands wrote to `build`: `python -m tools.clean`, or `make clean`; what a user made stays."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

from common.errors import run_cli
from common.files import nobody_at_work
from common.provenance import ROOT
from tools.options import parse

MADE = ("train", "finetune", "finetuned", "networks", "imported", "captures", "encodings", "search", "own")
RECORDS = ("reports",)
CACHES = (".pytest_cache", ".ruff_cache")


def main() -> None:
    """Command line."""
    args = parse("tools.clean")
    build: Path = args.out
    entries = sorted(build.iterdir()) if build.is_dir() else []
    kept = {"builds": (*MADE, *RECORDS), "records": tuple(p.name for p in entries if p.name not in RECORDS)}
    gone = [path for path in entries if path.name not in kept.get(args.what, MADE)]
    if args.what != "records":
        caches = [p for p in ROOT.rglob("__pycache__") if ".venv" not in p.parts]
        gone += [*(ROOT / name for name in CACHES), *caches]
    with nobody_at_work(build) if build.is_dir() else nullcontext():
        for path in gone:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    run_cli(main)
