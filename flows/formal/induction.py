"""k-induction by Yosys' SAT solver: properties of sequential RTL for all times, not up to a bound.

Base case: no run of k cycles from reset breaks an assertion. Step: k cycles in which all assertions
hold, in any states that differ from each other, are never followed by a cycle that breaks one. Both
together hold for ever. A property module names situations in `reached_o`; each must be reachable, else
the proof would be void.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flows.formal.netlist import NotProven, run_yosys

MAX_DEPTH = 60


@dataclass(frozen=True)
class Induction:
    """Outcome: `counterexample` "" if proven; depth of the induction, assertions, situations reached."""

    counterexample: str
    depth: int
    assertions: int
    situations: int


def prove(read: str, top: str, situations: int, folder: Path) -> Induction:
    """Prove the assertions of `top`; raises NotProven if neither a proof nor a counterexample is found.

    Reads what Yosys said in `folder`/yosys.log, where the output of this process must go (worker.py).
    `read`: a command of `netlist.read_rtl`; `situations`: bits of the port `reached_o`.
    """
    commands = [
        read,
        f"prep -top {top}",
        "async2sync",
        "flatten",
        "memory_map",
        "opt -full",
        "select -list t:$assert",
        "log begin induction",
        f"sat -tempinduct -prove-asserts -set-assumes -maxsteps {MAX_DEPTH} -show-ports",
    ]
    for index in range(situations):
        commands += [
            f"log begin situation {index}",
            "delete t:$assert",
            f"sat -tempinduct -tempinduct-baseonly -prove reached_o[{index}] 0 -set-assumes -maxsteps {MAX_DEPTH}",
        ]
    run_yosys([*commands, "log begin end"])
    return judge((folder / "yosys.log").read_text(errors="replace"), situations)


def judge(text: str, situations: int) -> Induction:
    """What Yosys said, read strictly: anything but the words of a proof or of a counterexample is neither."""
    head, *parts = re.split(r"^begin (.*)\n", text, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    if list(sections) != ["induction", *(f"situation {i}" for i in range(situations)), "end"]:
        raise NotProven("Yosys did not come to its end")
    body = sections["induction"]
    written = len(set(re.findall(r"^\w+/(\S*)$", head.rpartition("select -list")[2], re.MULTILINE)))
    taken = body.partition("** Trying induction with length 2")[0].count("Import proof for assert")
    depth = max(map(int, re.findall(r"Trying induction with length (\d+)", body)), default=0)
    if "model found for base case: FAIL!" in body:
        return Induction(f"after {depth} cycles: {_inputs(body)}", depth, written, situations)
    if "Induction step proven: SUCCESS!" not in body:
        raise NotProven(f"no proof by induction up to depth {depth}")
    if not written or taken < written:
        raise NotProven(f"{written} assertions are written, {taken} were proven")
    for index in range(situations):
        if "model found for base case: FAIL!" not in sections[f"situation {index}"]:
            raise NotProven(f"situation {index} of reached_o was not reached: the proof would be void")
    return Induction("", depth, written, situations)


def _inputs(body: str) -> str:
    """The signals of the last cycle of a counterexample, one line."""
    rows = re.findall(r"^\s+(\d+)\s+\\(\S+)\s+\S+\s+\S+\s+([01]+)\s*$", body, re.MULTILINE)
    last = max((int(time) for time, _, _ in rows), default=0)
    return ", ".join(f"{name}={value}" for time, name, value in rows if int(time) == last and name != "clk_i")
