"""Fits the cost model of a search (models/search/cost.py) to columns: `python -m flows.synth.cost --fit ...`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from common.files import read_json, write_text
from flows.platform import load_platform
from models.encoding import Encoding, load_encoding
from models.search.cost import CELLS, COEFFICIENTS, FITTED, FORMAT, area_terms, coefficients
from tools.options import parse


def fit_areas(
    encodings: list[Encoding], areas_um2: list[float], rows: list[int], area: dict[str, float] | None = None
) -> tuple[dict[str, float], float]:
    """Factors, >= 0, of the terms that fit measured column areas, registers as they are; and the rms relative error.

    `area` has the cells' areas (default: those of cost.json).
    """
    if len(encodings) < len(FITTED) or not len(encodings) == len(areas_um2) == len(rows):
        raise UserError(f"{len(encodings)} encodings, {len(areas_um2)} areas; give at least {len(FITTED)} of each")
    plain = [area_terms(e, r, area or coefficients()) for e, r in zip(encodings, rows, strict=True)]
    measured = np.array(areas_um2)
    table = np.array([[terms[t] for t in FITTED] for terms in plain]) / measured[:, None]
    left = 1 - np.array([terms["registers"] for terms in plain]) / measured
    active = list(range(len(FITTED)))
    while True:  # least squares on relative errors; terms that would become negative leave
        factors = np.zeros(len(FITTED))
        factors[active] = np.linalg.lstsq(table[:, active], left, rcond=None)[0]
        if factors.min() >= 0:
            break
        active.remove(int(factors.argmin()))
    error = float(np.sqrt(np.mean((table @ factors - left) ** 2)))
    return dict(zip(FITTED, factors.tolist(), strict=True)) | {"registers": 1.0}, error


def cell_areas(liberty: Path, full_adder: str) -> dict[str, float]:
    """Areas of the gates and other cells, um2, from a Liberty file."""
    blocks = re.split(r"\bcell\s*\(", liberty.read_text(errors="replace"))[1:]
    found = {}
    for block in blocks:
        name, area = re.match(r'\s*"?(\w+)', block), re.search(r"\barea\s*:\s*([\d.]+)", block)
        if name and area:
            found[name[1]] = float(area[1])
    cells = CELLS | {"full_adder": (full_adder,)}
    if missing := sorted({c for group in cells.values() for c in group} - set(found)):
        raise UserError(f"{liberty} has no area of the cell {missing[0]}; fit with --platform osu018")
    return {name: sum((found[c] for c in group), 0.0) for name, group in cells.items()}


def read_measured(paths: list[Path], platform: str) -> list[tuple[Encoding, int, float]]:
    """(encoding, rows, um2) of every encoded column that met its clock; refuses one that has changed since."""
    found = []
    for path in paths:
        try:
            designs = read_json(path)["designs"]
            designs = [d for d in designs if d["encoding"] and not d.get("shared") and d["wns_ns"] >= 0]
            if designs and not any(d["platform"] == platform for d in designs):
                raise UserError(f"{path} was measured on {designs[0]['platform']}, not on {platform}")
            for d in (d for d in designs if d["platform"] == platform):
                encoding = load_encoding(d.get("encoding_source", d["encoding"]))
                package = hashlib.sha256(encoding.to_systemverilog().encode()).hexdigest()
                if d["package_sha256"] != package:
                    raise UserError(f"{path}: {d['encoding']} has changed since; run python -m flows.synth again")
                found.append((encoding, int(d["parameters"]["Rows"]), float(d["area_um2"]["total"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"cannot read areas from {path} ({error!r}); write it with python -m flows.synth"
            ) from error
    return found


def main() -> None:
    """Command line of the fit."""
    args = parse("flows.synth.cost", out=COEFFICIENTS)
    platform = load_platform(args.platform)
    if platform.full_adder is None:
        raise UserError(f"platform {platform.name} has no full adder; the cost model counts in its area")
    area = cell_areas(platform.liberty, platform.full_adder.cell)
    measured = read_measured(args.fit, platform.name)
    encodings, rows, um2 = (list(column) for column in zip(*measured, strict=True)) if measured else ([], [], [])
    factors, error = fit_areas(encodings, um2, rows, area)
    worst = 0.0
    for encoding, r, found in measured:
        model = sum(factors[t] * v for t, v in area_terms(encoding, r, area).items())
        worst = max(worst, abs(model / found - 1))
        line = f"{encoding.name:10s} {r:3d} rows {found:9,.0f} um2, model {model:9,.0f}"
        print(f"{line} ({100 * (model / found - 1):+.1f} %)")
    sizes = ", ".join(map(str, sorted(set(rows))))
    document = {
        "format": FORMAT,
        "source": f"fitted to {platform.title}: {len(measured)} columns of {sizes} rows",
        "fitted": True,
        "fit_error_percent": round(100 * error, 2),
        "largest_error_percent": round(100 * worst, 2),
        "factors": {k: round(v, 4) for k, v in factors.items()},
        "area_um2": area,
    }
    write_text(args.out, json.dumps(document, indent=2) + "\n")
    print(f"rms error {100 * error:.2f} %, largest {100 * worst:.2f} %; written to {args.out}")


if __name__ == "__main__":
    run_cli(main)
