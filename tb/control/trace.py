"""From the waves of a failed test to the module or register in which the first wrong value appears.

A scoreboard sees ports. In waves every module can be held to its contract: what an adder or a counter
gives for what it gets, what a register takes at a clock edge. The first clock edge at which a contract
does not hold, and there the innermost module, is where to look. Modules are known by the names of their signals, so
a changed design is traced like ours. If all hold, control is left: when data move, not what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pywellen

from common.waves import Waves

MAX_READS = 3_000_000  # values of signals; a minute


class Contract(NamedTuple):
    """What holds in every scope that has the signal `anchor`; the others are found there or in what is around it.

    `fault(now, then, width)` gets their values just before a clock edge and before the next one, and their widths in
    bits; it returns what is wrong, or "".
    """

    module: str
    anchor: str
    others: tuple[str, ...]
    fault: Callable[[dict[str, int], dict[str, int], dict[str, int]], str]
    unless: str = ""  # a block in the scope with which the contract is another


def contracts() -> list[Contract]:
    """Those that are known."""

    def register(module: str, anchor: str, source: str, enable: str, unless: str = "") -> Contract:
        def fault(now: dict, then: dict, width: dict) -> str:
            wanted = (now[source] if now[enable] else now[anchor]) & (1 << width[anchor]) - 1
            rule = f"should take {source}" if now[enable] else "should keep its value"
            return "" if then[anchor] == wanted else f"{anchor} {rule}: expected {wanted:#x}, got {then[anchor]:#x}"

        return Contract(module, anchor, (source, enable), fault, unless)

    def full_adder(now: dict, then: dict, width: dict) -> str:
        x, y, z = now["x_i"], now["y_i"], now["z_i"]
        for port, wanted in (("sum_o", x ^ y ^ z), ("carry_o", x & y | x & z | y & z)):
            if now[port] != wanted:
                return f"{port} of x {x:#x}, y {y:#x}, z {z:#x}: expected {wanted:#x}, got {now[port]:#x}"
        return ""

    def bit_counter(now: dict, then: dict, width: dict) -> str:
        wanted = (now["bits_i"].bit_count() + now["count_i"]) & (1 << width["count_o"]) - 1
        return "" if now["count_o"] == wanted else f"count_o: expected {wanted}, got {now['count_o']}"

    def final_addition(now: dict, then: dict, width: dict) -> str:
        alone = (now["row0"] + now["row1"]) & (1 << width["y_o"]) - 1
        able = (alone, (alone + now["f_i"]) & (1 << width["y_o"]) - 1) if now["advance_i"] else (now["y_o"],)
        return "" if then["y_o"] in able else f"y_o: expected {able[-1]:#x}, got {then['y_o']:#x}"

    def weights(now: dict, then: dict, width: dict) -> str:
        wanted = now["chain"] >> 1 if now["w_shift_i"] else now["shift_q"]
        rule = "should shift" if now["w_shift_i"] else "should keep its value"
        return "" if then["shift_q"] == wanted else f"shift_q {rule}: expected {wanted:#x}, got {then['shift_q']:#x}"

    return [
        Contract("full_adder", "carry_o", ("x_i", "y_i", "z_i", "sum_o"), full_adder),
        Contract("bit_counter", "count_o", ("bits_i", "count_i"), bit_counter),
        register("array_stage, activations", "a_q", "a_i", "advance_i", unless="gen_zero"),
        register("array_stage, f(a)", "f_q", "f_i", "advance_i"),
        register("array_stage, swap", "swap_q", "w_swap_i", "advance_i"),
        register("delay_triangle", "line_q", "line", "advance_i"),
        register("enc_column, register between groups", "state", "state_out", "advance_i", unless="gen_through"),
        register("enc_group, weights in use", "w_q", "shift_q", "w_swap_i", unless="gen_direct"),
        Contract("enc_column, final addition", "y_o", ("row0", "row1", "f_i", "advance_i"), final_addition),
        Contract("enc_group, weights that shift", "shift_q", ("chain", "w_shift_i"), weights),
    ]


def instances(waves: Waves, known: list[Contract]) -> Iterator[tuple[str, Contract, dict[str, pywellen.Var]]]:
    """Scopes whose contract is known, with its signals."""
    for place, signals in waves.scopes.items():
        for contract in known:
            if contract.anchor not in signals or f"{place}.{contract.unless}" in waves.names:
                continue
            found = {name: waves.around(place, name) for name in (contract.anchor, *contract.others)}
            if all(found.values()):
                yield place, contract, found


def first_fault(path: Path) -> str:
    """One line: module, instance, time, what it does not keep to; or that all that is known holds."""
    waves = Waves(path)
    places, edges, reads = list(instances(waves, contracts())), waves.edges(), 0
    for now, then in pairwise(edges):
        found = []
        for place, contract, signals in places:
            reads += 2 * len(signals)
            before = {name: var.signal.value_at(now - 1) for name, var in signals.items()}
            after = {name: var.signal.value_at(then - 1) for name, var in signals.items()}
            if all(isinstance(value, int) for value in (*before.values(), *after.values())):
                width = {name: var.bitwidth for name, var in signals.items()}
                if fault := contract.fault(before, after, width):
                    found.append((place, f"{contract.module} at {place}, {now / 1000:g} ns: {fault}"))
        if found:
            return "first wrong in waves: " + max(found, key=lambda entry: entry[0].count("."))[1]
        if reads > MAX_READS:
            return f"waves: no module is wrong until {then / 1000:g} ns; what follows was not traced"
    kinds = sorted({contract.module.partition(",")[0] for _, contract, _ in places})
    if not kinds:
        return ""
    held = ", ".join(kinds)
    rest = "and at what is none of these, as position weights"
    return f"waves: {held} keep to their contracts; look at control (stream_control) {rest}"
