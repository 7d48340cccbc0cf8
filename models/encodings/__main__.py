"""Write, verify and list the library: `python -m models.encodings [--check]`.

Encodings that follow from a formula are written anew. Of every file the figures are computed again
from its product table and compared, and its SystemVerilog package is exported; the area of a column
is written anew when the cost model has changed. `--check` writes
nothing and fails if anything is missing or not current.
"""

from __future__ import annotations

from dataclasses import replace

from common.errors import UserError, run_cli
from models.encoding import LIBRARY, PACKAGES, Encoding, export_package, library_names, load_encoding
from models.search.baselines import baselines
from models.search.presets import all_figures
from tools.options import parse

TOLERANCE = 1e-5  # figures are stored with six digits


def differences(encoding: Encoding) -> list[str]:
    """Names of stored figures that do not follow from the encoding (those of a network's operands are left out)."""
    found = []
    stored = dict(encoding.figures)
    for key, value in all_figures(encoding, None).items():
        old = stored.get(key)
        if key == "errors":
            old, value = ((v or {}).get("uniform", {}) for v in (old, value))
            found += [f"errors.uniform.{k}" for k in value if not _close(old.get(k), value[k])]
        elif not _close(old, value):
            found.append(key)
    return found


def _close(old: object, new: float) -> bool:
    return isinstance(old, int | float) and abs(old - new) <= TOLERANCE * max(abs(new), 1e-9)


def row(encoding: Encoding) -> str:
    """One line of the table."""
    f = encoding.figures
    fitted = f["errors"].get("fitted", {}).get("centred_rmse")
    cells = [
        f"{encoding.name:10s}", f"{encoding.m:3d}", f"{f['gates']:5d}", f"{f['digits']:6d}",
        f"{f['column_area_um2']:9.0f}", f"{100 * f['max_relative_error']:8.2f}",
        f"{f['errors']['uniform']['centred_rmse']:9.1f}", f"{fitted:9.1f}" if fitted is not None else f"{'-':>9s}",
        f"{f['noise']:9.4f}" if "noise" in f else f"{'-':>9s}",
    ]  # fmt: skip
    return " ".join(cells)


def main() -> int:
    """Command line of the library."""
    args = parse("models.encodings")
    stale = []
    for encoding in baselines():
        path = LIBRARY / f"{encoding.name}.json"
        if args.check:
            stale += (
                [] if path.is_file() and load_encoding(encoding.name) == encoding else [f"{path.name} is not current"]
            )
        else:
            encoding.save(path)
    print("name         M gates digits  area um2    max %  rmse uni  rmse net     noise")
    library = [load_encoding(name) for name in library_names()]
    for encoding in sorted(library, key=lambda e: (e.m, e.name)):
        wrong = differences(encoding)
        if wrong == ["column_area_um2"] and not args.check:  # the cost model has new coefficients
            area = all_figures(encoding, None)["column_area_um2"]
            encoding = replace(encoding, figures=encoding.figures | {"column_area_um2": area})
            encoding.save(LIBRARY / f"{encoding.name}.json")
            wrong = []
        if wrong:
            stale.append(f"{encoding.name}.json: figure {wrong[0]} does not follow from the encoding")
            continue
        package = PACKAGES / f"{encoding.name}_pkg.sv"
        if not args.check:
            export_package(encoding)
        elif not package.is_file() or package.read_text() != encoding.to_systemverilog():
            stale.append(f"{package.name} is not current")
        print(row(encoding))
    for package in sorted(PACKAGES.glob("*_pkg.sv")):
        if package.name.removesuffix("_pkg.sv") not in {e.name for e in library}:
            stale.append(f"{package.name} belongs to no encoding; delete it")
    if stale:
        more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        raise UserError(f"{stale[0]}{more}; write the library with: python -m models.encodings")
    print(f"{len(library)} encodings, figures and packages are current")
    return 0


if __name__ == "__main__":
    run_cli(main)
