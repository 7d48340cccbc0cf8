"""The documentation site, `make docs`: every page, the API from docstrings, the notebook run, the latest report.

MkDocs reads a copy of the pages in build/site/pages, laid out as the checkout is, so that their links hold; files that
they link to come along. A link or an anchor that leads nowhere fails the command. The tools of docs/requirements.txt
live in build/site/venv, behind which the packages of .venv are visible: the notebook runs with them.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from markdown_it import MarkdownIt

from common.errors import UserError, run_cli
from common.files import locked, write_text
from common.processes import run
from common.provenance import ROOT
from tools.docs import environment, pages
from tools.options import parse

BUILD = ROOT / "build" / "site"
REQUIREMENTS = ROOT / "docs" / "requirements.txt"
CONFIG = ROOT / "docs" / "mkdocs.yml"
PACKAGES = {
    "models": "Encodings, networks, accuracy, search",
    "flows": "Area, timing, power, proofs",
    "tb": "Testbench",
}
FENCE = re.compile(r"^```sh .+$", re.MULTILINE)  # what tools/docs.py does with a block is not for readers
NOT_API = {"networks", "tests", "mutants", "page"}  # data and programs, not a library


def tools(folder: Path) -> Path:
    """The interpreter of an environment with docs/requirements.txt; made if it is not there or of another list."""
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("installing the wheels of docs/requirements.txt (a minute the first time)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        if run([*map(str, pip), "-r", str(REQUIREMENTS)]).returncode:
            raise UserError("pip could not install docs/requirements.txt; see above, then run: make docs")
        site = next(folder.glob("lib/python3*/site-packages"))
        write_text(site / "encmac.pth", f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
        write_text(stamp, wanted)
    return python


def linked(page: Path) -> list[Path]:
    """Files of the checkout that a page links to or shows."""
    found = []
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        for child in token.children or ():
            target = (child.attrGet("href") or child.attrGet("src") or "").partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                found.append((page.parent / target).resolve())
    return [path for path in found if path.is_file()]


def sources(root: Path = ROOT) -> list[Path]:
    """Pages of the site, in the checkout."""
    return [*pages(root), root / "CHANGELOG.md", root / "SECURITY.md", root / "rtl" / "README.md"]


def modules(package: str, root: Path = ROOT) -> dict[str, list[str]]:
    """Modules with public names of a package and of the packages in it: name of the package -> dotted names."""
    found = {}
    for folder in [root / package, *sorted(p.parent for p in (root / package).rglob("__init__.py"))]:
        parts = folder.relative_to(root).parts
        if NOT_API & set(parts):
            continue
        dotted = ".".join(parts)
        names = [p.stem for p in sorted(folder.glob("*.py")) if not p.stem.startswith("_")]
        entry = [dotted] if len((folder / "__init__.py").read_text().splitlines()) > 1 else []
        if own := entry + [f"{dotted}.{name}" for name in names]:
            found[dotted] = own
    return found


def write_api(place: Path) -> None:
    """A page for every package, from docstrings."""
    index = ["# API of the Python packages\n", "Written from the docstrings. What begins with `_` is left out.\n"]
    for package, purpose in PACKAGES.items():
        index.append(f"\n## {package}\n\n{purpose}.\n")
        for dotted, names in modules(package).items():
            blocks = "".join(f"\n::: {name}\n" for name in names)
            write_text(place / f"{dotted}.md", f"# {dotted}\n{blocks}")
            index.append(f"- [`{dotted}`]({dotted}.md): {', '.join(name.rpartition('.')[2] for name in names)}\n")
    write_text(place / "index.md", "".join(index))


def write_report(place: Path, reports: Path) -> None:
    """A page about the latest report, and that report."""
    found = reports / "report.html"
    if found.is_file():
        shutil.copy(found, place / "report.html")
        told = "What was measured last, by `make report`: [the report](report.html)."
    else:
        told = f"No report was there when this site was built: {reports.name}/report.html is what `make report` writes."
    write_text(place / "latest.md", f"# Latest report\n\n{told}\n")


def assemble(place: Path, reports: Path, root: Path = ROOT) -> None:
    """The pages and all that they link to, laid out as in the checkout."""
    shutil.rmtree(place, ignore_errors=True)
    for page in sources(root):
        for path in (page, *linked(page)):
            target = place / path.relative_to(root)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    for page in place.rglob("*.md"):
        write_text(page, FENCE.sub("```sh", page.read_text()))
    for notebook in (root / "docs").glob("*.ipynb"):
        shutil.copy(notebook, place / "docs" / notebook.name)
    write_api(place / "api")
    write_report(place, reports)


def build(out: Path, reports: Path, notebook: bool) -> None:
    """The site in `out`; UserError if MkDocs warns of anything or a cell of the notebook fails."""
    with locked(BUILD / "lock"):
        python = tools(BUILD / "venv")
        assemble(BUILD / "pages", reports)
        command = [python, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", CONFIG, "-d", out.resolve()]
        kept = environment() | {"RUN_NOTEBOOK": str(notebook).lower(), "NO_MKDOCS_2_WARNING": "1"}
        kept |= {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "JUPYTER_PLATFORM_DIRS": "1"}
        if run(list(map(str, command)), cwd=ROOT, env=kept).returncode:
            raise UserError("the site was not built: mend what is told above, then run: make docs")


def serve(out: Path) -> None:
    """Show the site on this machine until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=out)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]} until Ctrl-C", flush=True)
        server.serve_forever()


def main() -> None:
    """Command line."""
    args = parse("tools.site")
    build(args.out, args.reports, not args.no_run)
    print(f"written to {args.out}; open {args.out / 'index.html'}")
    if args.serve:
        serve(args.out)


if __name__ == "__main__":
    run_cli(main)
