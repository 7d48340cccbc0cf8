"""One proof in a process of its own, with a time limit."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from common.files import locked, scratch, settle, write_text
from common.processes import ended, spawn
from flows.formal.mapped import mapped_proofs
from flows.formal.netlist import NotProven
from flows.formal.proofs import Place, Proof, all_proofs


@dataclass(frozen=True)
class Result:
    """What became of a proof. `result`: proven, refuted (`detail`: counterexample), timeout or error."""

    proof: Proof
    result: str
    detail: str
    seconds: float


def proofs_of(encodings: list[str], platform: str | None) -> dict[str, Proof]:
    """Proofs of the RTL, or with a platform those of its leaf modules mapped to cells."""
    return mapped_proofs(encodings, platform) if platform else all_proofs(encodings)


def work(name: str, encodings: list[str], platform: str | None, place: Place) -> None:
    """Run one proof and write `result.json`: meant for a process of its own, which Yosys may end."""
    with (place.folder / "yosys.log").open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        verdict = proofs_of(encodings, platform)[name].run(place)
        outcome = {"result": "refuted" if verdict.counterexample else "proven"}
        outcome["detail"] = verdict.counterexample or verdict.extent
    except NotProven as error:
        outcome = {"result": "error", "detail": str(error)}
    write_text(place.folder / "result.json", json.dumps(outcome))


def prove(
    proof: Proof, encodings: list[str], platform: str | None, rtl: Path, folder: Path, time_limit: float
) -> Result:
    """Run one proof in a process with a time limit in seconds, in a folder of its own that then takes its place."""
    place = folder / proof.name.replace("/", "-")
    with scratch(folder) as parent:
        made = parent / "made"
        made.mkdir()
        result = _run(proof, encodings, platform, Place(rtl, made), time_limit)
        with locked(folder / f"{place.name}.lock"):
            settle(made, place)
    return replace(result, detail=result.detail.replace(str(made), str(place)))


def _run(proof: Proof, encodings: list[str], platform: str | None, place: Place, time_limit: float) -> Result:
    start = time.monotonic()
    process = spawn(work, proof.name, encodings, platform, place)
    in_time = ended(process, time_limit)
    seconds = round(time.monotonic() - start, 2)
    if not in_time:
        return Result(proof, "timeout", f"not done in {time_limit:g} s", seconds)
    try:
        outcome = json.loads((place.folder / "result.json").read_text())
        return Result(proof, outcome["result"], outcome["detail"], seconds)
    except (OSError, ValueError, KeyError):
        return Result(proof, "error", f"{tool_error(place.folder / 'yosys.log')}", seconds)


def tool_error(log: Path) -> str:
    """The first error in a log of Yosys, or the last line of a traceback."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if re.search(r"\bERROR\b", line)]
    if not errors and any(line.startswith("Traceback") for line in lines):
        errors = lines[-1:]
    return errors[0] if errors else f"the proof ended without a result; see {log}"
