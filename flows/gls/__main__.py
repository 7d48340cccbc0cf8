"""Map a simulation top to gates: `python -m flows.gls`, called by `make sim DUT=gate`.

The netlist comes from the passes of `make synth`, but keeps its ports as buses, so that a test cannot
tell it from the RTL. Beside it go `cells.v`, models of the library's cells made from the Liberty
(zero delay, for Verilator), and with `--delays` OpenSTA's `delays.sdf` for the
library's own models (timed, for Icarus).
"""

from __future__ import annotations

from common.errors import UserError, run_cli
from flows.cells import cell_models
from flows.platform import load_platform
from flows.sta import worst_slack_ns, write_delays
from flows.synth.netlist import read_netlist, run_yosys, script, slang_options
from tools.options import parse

# the simulator runs in a folder beside the netlist's
ANNOTATE = """`timescale 1ns/1ps
module annotate;
  initial $sdf_annotate("{sdf}", {top});
endmodule
"""


def pairs(words: list[str]) -> dict[str, str]:
    """NAME=VALUE words as a dictionary."""
    return dict(word.split("=", 1) for word in words)


def main() -> None:
    """Command line; writes netlist.v and its models to the folder."""
    args = parse("flows.gls")
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    args.out.mkdir(parents=True, exist_ok=True)
    read = slang_options(args.files, pairs(args.define), pairs(args.parameter))
    commands = script(read, args.top, platform, clock_ns, args.out, split=False)
    (args.out / "cells.v").write_text(cell_models(platform.liberty))
    run_yosys(commands, platform, args.adders, args.out)
    netlist = read_netlist(args.out, platform)
    if args.delays:
        slack = worst_slack_ns(netlist.path, args.top, platform, clock_ns)
        if slack < 0:
            raise UserError(f"{args.top} misses {clock_ns:g} ns by {-slack:.2f} ns: no timed simulation")
        sdf = args.out / "delays.sdf"
        write_delays(netlist.path, args.top, platform, clock_ns, sdf)
        (args.out / "cell_models").write_text(f"{platform.cell_models}\n")
        (args.out / "annotate.v").write_text(ANNOTATE.format(sdf="../gates/delays.sdf", top=args.top))


if __name__ == "__main__":
    run_cli(main)
