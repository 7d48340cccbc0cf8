"""Leaf modules after mapping: the netlist of a library's cells equals the RTL, by SAT.

Each module goes through the passes of `make synth`; what came out, with the functions that the Liberty file
gives its cells, and the RTL as it was read get the same inputs, and a solver shows that no outputs differ.
Whole columns and arrays are compared by simulation (`make sim DUT=gate`, and every column of `make synth`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flows.formal.netlist import NotProven
from flows.formal.proofs import ACCUM, Place, Proof, Verdict, heaps, package_of, sources, tree_parameters
from flows.platform import Platform, load_platform
from flows.synth.netlist import EFFORTS, elaborate, map_logic, run_yosys, slang_options
from models.encoding import load_encoding

Parameters = dict[str, int | str]


def mapped_proofs(encodings: list[str], platform: str) -> dict[str, Proof]:
    """Proofs by name: adders, counters, trees, recoders, and the gates of each encoding (name or JSON file)."""
    proofs = [_leaf("full_adder", "3", platform, {"Lanes": 3}, ACCUM[:1])]
    for rows in (8, 16):
        width = {"Rows": rows, "CountWidth": rows.bit_length(), "Accumulate": 0}
        proofs.append(_leaf("bit_counter", str(rows), platform, width, ACCUM[:3]))
    for name in ("one_place", "empty_places"):
        proofs.append(_leaf("compressor_tree", name, platform, tree_parameters(heaps()[name]), ACCUM[:2]))
    proofs.append(_leaf("booth_recoder", "8", platform, {}, ("mult/booth_recoder.sv",)))
    for name in encodings:
        proofs.append(_gates(name, platform))
    return {proof.name: proof for proof in proofs}


def _leaf(module: str, name: str, platform: str, parameters: Parameters, files: tuple[str, ...]) -> Proof:
    def run(place: Place) -> Verdict:
        return compare(module, slang_options(sources(place, *files), {}, parameters), load_platform(platform), place)

    return _proof(module, name, platform, parameters, run)


def _gates(name: str, platform: str) -> Proof:
    encoding = load_encoding(name)

    def run(place: Place) -> Verdict:
        package, defines = package_of(name, encoding, place)
        first, *files = sources(place, "mult/enc_mult.sv", "formal/enc_mult_dut.sv")
        read = slang_options([first, package, *files], defines, {"Lanes": 1})
        return compare("enc_mult_dut", read, load_platform(platform), place)

    return _proof("enc_mult", encoding.name, platform, {"encoding": encoding.name, "Lanes": 1}, run)


def _proof(module: str, name: str, platform: str, parameters: Parameters, run: Callable[[Place], Verdict]) -> Proof:
    shown: Parameters = {**parameters, "platform": Path(platform).name}
    return Proof(f"mapped/{module}/{name}", module, shown, "netlist of cells = RTL", "SAT", run)


def compare(top: str, read: str, platform: Platform, place: Place) -> Verdict:
    """Map a module in every way and compare each netlist with the RTL; in this process, which Yosys may end."""
    folder = place.folder
    commands = [
        f"read_slang -I {place.rtl} -D SYNTHESIS=1 --max-constexpr-steps 1000000000 --top {top} {read}",
        f"hierarchy -check -top {top}",
        "proc",
        "flatten",
        "opt_clean",
        f"rename {top} rtl",
        "design -stash rtl",
        *elaborate(read, top, platform, folder),
        "design -save adders",
    ]
    for effort in EFFORTS:
        out = folder / effort
        out.mkdir(parents=True, exist_ok=True)
        (out / "sat.txt").unlink(missing_ok=True)
        commands += [
            "design -load adders",
            *map_logic(effort, platform, platform.clock_ns, folder, out, split=False),
            "design -reset",
            *miter(top, out / "netlist.v", platform.liberty, out / "sat.txt"),
        ]
    run_yosys(commands, platform, "ripple", folder)
    return verdict([folder / effort / "sat.txt" for effort in EFFORTS])


def miter(top: str, netlist: Path, liberty: Path, report: Path) -> list[str]:
    """The Yosys commands that compare a netlist with the stashed design `rtl`."""
    return [
        f"read_liberty -ignore_miss_func -ignore_miss_data_latch {liberty}",
        f"read_verilog {netlist}",
        f"hierarchy -check -top {top}",
        "proc",
        "flatten",
        f"rename {top} gates",
        "design -copy-from rtl -as rtl rtl",
        "miter -equiv -make_assert -flatten rtl gates compared",
        "hierarchy -top compared",
        "opt_clean",
        f"tee -o {report} sat -prove-asserts -show-inputs -timeout 100 compared",
        "design -reset",
    ]


def verdict(reports: list[Path]) -> Verdict:
    """What the solver said; raises NotProven if it came to no end."""
    for report in reports:
        text = report.read_text() if report.exists() else ""
        if "model found: FAIL" in text:
            table = text.partition("Signal Name")[2].splitlines()
            values = [line.split() for line in table if line.lstrip().startswith("\\")]
            shown = ", ".join(f"{words[0].removeprefix(chr(92) + 'in_')} = {words[-1]}" for words in values)
            return Verdict(f"mapped by {report.parent.name}: differs at {shown}", "")
        if "no model found: SUCCESS" not in text:
            raise NotProven(f"the solver came to no end on the netlist of {report.parent.name}")
    return Verdict("", f"all inputs, {len(reports)} netlists")
