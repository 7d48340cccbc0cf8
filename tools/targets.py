"""Targets of the Makefile and their variables, read from its comments: prints the help, finds what was mistyped.

`##@ Group` begins a group; `name: ## what it does   VARIABLE= OTHER=a|b` is a target and all variables that it knows.
Standard library only and plain Python >= 3.7, because it runs before `make setup` has run.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"
OF_MAKE = {"SHELL", "MAKE", "PYTHON_RUN"}  # may be given to any target


class Target(NamedTuple):
    """A target: group, name, what it does, variables as the comment writes them, the module that it runs."""

    group: str
    name: str
    purpose: str
    usage: str
    module: str

    @property
    def variables(self) -> list:
        """Names of the variables."""
        return re.findall(r"\b([A-Z][A-Z_0-9]*)=", self.usage)


def targets(makefile: Path = MAKEFILE) -> dict:
    """All targets by name, in their order."""
    found, group = {}, ""
    for block in re.split(r"\n(?=\S)", makefile.read_text()):
        line, _, recipe = block.partition("\n")
        if line.startswith("##@ "):
            group = line[4:].strip()
        match = re.match(r"([a-z][a-z-]*):.*?## (.*)", line)
        if match:
            purpose, _, usage = re.sub(r"\s+(?=[A-Z][A-Z_0-9]*=)", "\0", match.group(2), count=1).partition("\0")
            module = re.search(r"\$\(PYTHON_RUN\) -m ([\w.]+)", recipe)
            found[match.group(1)] = Target(group, match.group(1), purpose, usage, module.group(1) if module else "")
    return found


def given(makeflags: str) -> list:
    """Names of the variables on make's command line, from MAKEFLAGS."""
    _, dashes, words = f" {makeflags}".partition(" -- ")
    return [word.partition("=")[0].rstrip(":+?") for word in shlex.split(words) if "=" in word] if dashes else []


def variable_fault(target: str, goals: list, names: list, makefile: Path = MAKEFILE) -> str:
    """One line on the first variable that none of the goals knows, or an empty string."""
    table = targets(makefile)
    asked = [table[goal] for goal in {target, *goals} if goal in table]
    known = sorted({name for goal in asked for name in goal.variables})
    for name in names:
        if name in known or name in OF_MAKE or not asked:
            continue
        close = difflib.get_close_matches(name.upper(), known, 1, 0.6)
        knows = "it knows {}".format(", ".join(known)) if known else "it has no variables"
        guess = f"did you mean {close[0]}?" if close else knows
        return f"make {target}: unknown variable {name}; {guess}"
    return ""


def short_help() -> str:
    """Groups, targets, what they do."""
    lines, group = ["make <target> [VARIABLE=value ...]; start with: make setup, make sim"], None
    for target in targets().values():
        if target.group != group:
            group = target.group
            lines += ["", group]
        lines.append(f"  {target.name:11}{target.purpose}")
    return "\n".join([*lines, "", "Variables of a target: make help FOR=<target>"])


def long_help(name: str) -> str:
    """One target with its variables."""
    target = targets()[name]
    lines = [f"make {target.name}: {target.purpose}"]
    lines += [f"  {word}" for word in re.split(r"\s+(?=[A-Z][A-Z_0-9]*=)", target.usage) if word]
    if target.module:
        lines.append(f"without make, and more options: .venv/bin/python -m {target.module} --help")
    return "\n".join(lines)


def main() -> int:
    """`targets.py [<target>]`; returns the exit code."""
    wanted = (sys.argv[1:] or [""])[0]
    fault = variable_fault("help", [], given(os.environ.get("MAKEFLAGS", "")))
    if not fault and wanted and wanted not in targets():
        close = difflib.get_close_matches(wanted, targets(), 1, 0.5)
        guess = f"did you mean {close[0]}?" if close else "make help lists them"
        fault = f"no target '{wanted}'; {guess}"
    if fault:
        print(f"encmac: error: {fault}", file=sys.stderr)
        return 1
    print(long_help(wanted) if wanted else short_help())
    return 0


if __name__ == "__main__":
    sys.exit(main())
