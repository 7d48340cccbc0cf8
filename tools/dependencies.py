"""What the project depends on, as docs/dependencies.md: `python -m tools.dependencies` writes it anew.

Purposes and pins are those of requirements.txt, licences those that the installed packages state.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from common.errors import UserError, run_cli
from common.files import write_text
from common.provenance import ROOT
from tools import doctor
from tools.options import parse

PAGE = ROOT / "docs" / "dependencies.md"
SOURCES = ("bench", "common", "flows", "models", "tb", "tests", "tools")
STAMP = re.compile(r'find_spec\("(\w+)"\)|-m (ruff|mypy|pytest)\b')  # used as a program, not imported
PREFIXES = ("License :: OSI Approved :: ", "License :: ")


def licence(name: str) -> str:
    """What an installed package states: its SPDX expression, else its classifiers, its field, its licence file."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError as error:
        raise UserError(f"{name} is not installed; run: make setup") from error
    if expression := about.get("License-Expression"):
        return expression
    classes = [c for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    names = [c.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1]) for c in classes if c != "License :: OSI Approved"]
    if names or about.get("License"):
        return ", ".join(names) or about["License"].splitlines()[0][:60]
    files = [f for f in metadata.files(name) or () if "LICENSE" in f.name.upper()]
    text = " ".join(files[0].read_text().split()) if files else ""
    bsd = "Redistribution and use in source and binary forms" in text and "Neither the name" in text
    return "BSD-3-Clause, by its text" if bsd else "not stated"


def used(sources: Iterable[Path]) -> set[str]:
    """Normalised names of the packages that Python files import, or run as programs."""
    modules: set[str] = set()
    for path in sources:
        text = path.read_text()
        modules |= {found for pair in STAMP.findall(text) for found in pair if found}
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "importorskip"):
                modules |= {a.value.split(".")[0] for a in node.args[:1] if isinstance(a, ast.Constant)}
    packages = metadata.packages_distributions()
    return {doctor.normal(package) for module in modules for package in packages.get(module, [])}


def sources(root: Path = ROOT) -> list[Path]:
    """Our Python files and the Makefile."""
    return [root / "Makefile", *(path for folder in SOURCES for path in sorted((root / folder).rglob("*.py")))]


def page() -> str:
    """The page."""
    lines = [
        "# Dependencies",
        "",
        "Written by `python -m tools.dependencies` from `requirements.txt`, `tools/doctor.py` and what the installed",
        "packages state; a test compares. Every one is pinned, and a test fails for one that nothing uses.",
        "",
        "## Python",
        "",
        "| package | pin | purpose | licence |",
        "|---|---|---|---|",
    ]
    for pin in doctor.pins():
        lines.append(f"| {pin.name} | {pin.version} | {pin.purpose} | {licence(pin.name)} |")
    lines += [
        "",
        "## Debian",
        "",
        "Versions are those of the distribution; licences are in `/usr/share/doc/<package>/copyright`.",
        "",
        "| package | brings | purpose |",
        "|---|---|---|",
    ]
    for tool in doctor.TOOLS:
        lines.append(f"| {tool.package} | {tool.name} | {tool.purpose}{' (optional)' if tool.optional else ''} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    args = parse("tools.dependencies", out=PAGE)
    write_text(args.out, page())


if __name__ == "__main__":
    run_cli(main)
