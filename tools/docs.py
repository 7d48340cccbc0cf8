"""Runs the commands of the docs in a scratch clone: `python -m tools.docs [PAGE ...]`, called by `make docs-test`.

A fenced block of commands says what becomes of it in the word behind its fence:

- `sh`: it is run, with the shell's -e, in a clone of the last commit that has this .venv; blocks of a page share it;
- `sh needs cifar10` (or imagenet, or the name of a platform): it is run where those files are found;
- `sh not run: <reason>`: it is shown only, and the reason counted.

After a page `git status` must be clean: what a user makes lies in ignored folders.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from common.errors import UserError, run_cli
from common.processes import SimulatorFault, run_process
from common.provenance import ROOT
from flows.platform import load_platform
from models.datasets import load_dataset
from tools.options import parse

LIMIT_S = 3600  # of a block: then it hangs
DATA_SETS = ("cifar10", "cifar100", "imagenet")
COMMANDS = ("make", ".venv/bin/python", "git", "python3", "export")
TAIL = 12  # lines of a failure that are shown


@dataclass(frozen=True)
class Block:
    """Commands of a page: `needs` or `reason` as behind the fence."""

    page: Path
    line: int
    text: str
    needs: tuple[str, ...] = ()
    reason: str = ""

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{os.path.relpath(self.page, ROOT)}:{self.line}"


def pages(root: Path = ROOT) -> list[Path]:
    """Every page that speaks to users or contributors."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Blocks of commands of a page.

    Raises UserError for a fence that is not understood, and for commands in a block without `sh`.
    """
    found = []
    for token in MarkdownIt().parse(page.read_text()):
        if token.type != "fence":
            continue
        kind, _, rest = token.info.strip().partition(" ")
        block = Block(page, token.map[0] + 1, token.content)
        if kind != "sh":
            first = (token.content.split() or [""])[0]
            if first in COMMANDS:
                raise UserError(f"{block.where}: commands in a block that is not marked sh (see tools/docs.py)")
            continue
        needs, reason = (), ""
        if rest.startswith("needs "):
            needs = tuple(rest.removeprefix("needs ").replace(",", " ").split())
        elif rest.startswith("not run: "):
            reason = rest.removeprefix("not run: ").strip()
        elif rest:
            raise UserError(f"{block.where}: '{token.info}'; known: sh, sh needs <what>, sh not run: <reason>")
        found.append(Block(page, block.line, token.content, needs, reason))
    return found


def lacking(what: str) -> bool:
    """True if a data set or a platform is not here."""
    try:
        if what in DATA_SETS:
            load_dataset(what, "test", None)
        else:
            load_platform(what)
    except UserError:
        return True
    return False


def scratch_clone(folder: Path, root: Path = ROOT) -> Path:
    """A clone of the last commit with the checkout's .venv."""
    clone = folder / "encmac"
    subprocess.run(["git", "clone", "--quiet", "--shared", root, clone], check=True)
    (clone / ".venv").symlink_to((root / ".venv").resolve())
    return clone


def environment() -> dict[str, str]:
    """Of the commands: nothing of a surrounding make, data sets where they are found from here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTEST"))}
    place = next((p for p in (ROOT / "data", ROOT.parent / "shared" / "data") if p.is_dir()), None)
    if place:
        kept.setdefault("ENCMAC_DATA", str(place))
        kept.setdefault("PDK_ROOT", str(place / "pdk"))
    return kept


def run_page(page: Path, root: Path = ROOT) -> dict[str, int]:
    """Run the blocks of a page; counts of passed, failed, skipped."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with tempfile.TemporaryDirectory(prefix="encmac-docs-", ignore_cleanup_errors=True) as folder:
        clone = scratch_clone(Path(folder), root)
        for block in blocks(page):
            absent = [what for what in block.needs if lacking(what)]
            if block.reason or absent:
                counts["skipped"] += 1
                print(f"skipped  {block.where}: {block.reason or 'no ' + ', '.join(absent)}", flush=True)
                continue
            started = time.monotonic()
            fault, said = run_block(block, clone)
            state = "failed" if fault else "passed"
            counts[state] += 1
            first = block.text.strip().splitlines()[0]
            print(f"{state}   {block.where}: {time.monotonic() - started:.0f} s: {first}", flush=True)
            if fault:
                print("\n".join(f"         {line}" for line in [*said.splitlines()[-TAIL:], fault]))
        if left := left_behind(clone):
            counts["failed"] += 1
            print("\n".join([f"failed   {page.name}: the checkout is not as it was:", *left]), flush=True)
    return counts


def run_block(block: Block, clone: Path) -> tuple[str, str]:
    """How the commands failed, empty if they did not, and what they said; they end with this process."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        try:
            command = ["bash", "-euo", "pipefail", "-c", block.text]
            run_process(command, LIMIT_S, cwd=clone, env=environment(), stdout=out, stderr=subprocess.STDOUT)
            fault = ""
        except SimulatorFault as error:
            fault = str(error)
        out.seek(0)
        return fault, out.read()


def left_behind(clone: Path) -> list[str]:
    """What differs from the commit in a clone, or lies in it and is not ignored."""
    command = ["git", "-C", str(clone), "status", "--porcelain", "--", ":!.venv"]
    return [f"         {line}" for line in subprocess.check_output(command, text=True).splitlines()]


def main() -> int:
    """Command line; exit code 1 if a command failed or none was run."""
    args = parse("tools.docs")
    wanted = [page.resolve() for page in args.page] or pages()
    for page in wanted:
        if not page.is_file():
            raise UserError(f"no page {page}")
        blocks(page)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for page in wanted:
        total = {state: total[state] + n for state, n in run_page(page).items()}
    print(", ".join(f"{n} {state}" for state, n in total.items()))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    run_cli(main)
