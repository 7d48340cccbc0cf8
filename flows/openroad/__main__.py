"""Place and route a netlist of `make synth`: `python -m flows.openroad <netlist> --platform nangate45`."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from flows.openroad import layout_script, run_layout
from flows.platform import load_platform
from models.errors import run_cli
from models.files import write_text


def main() -> None:
    """Command line; writes layout.json beside the layout."""
    parser = argparse.ArgumentParser(prog="flows.openroad", description=__doc__.splitlines()[0])
    parser.add_argument("netlist", type=Path)
    parser.add_argument("--top", default="column_top")
    parser.add_argument("--platform", default="nangate45", help="name, or a folder with config.toml and openroad.tcl")
    parser.add_argument("--clock-ns", type=float, help="default: the platform's")
    parser.add_argument("--activity", type=Path, help="VCD of a gate-level run of this netlist; none: default activity")
    parser.add_argument("--scope", default="column_gates/dut", help="instance of the netlist in the VCD")
    parser.add_argument("--out", type=Path, help="default: layout beside the netlist")
    args = parser.parse_args()
    platform = load_platform(args.platform)
    out = (args.out or args.netlist.parent / "layout").resolve()
    clock_ns = args.clock_ns or platform.clock_ns
    script = layout_script(args.netlist, args.top, platform, clock_ns, out, args.activity, args.scope)
    figures = run_layout(script)
    figures["activity"] = "workload" if args.activity else "default activity"
    sha256 = hashlib.sha256(args.netlist.read_bytes()).hexdigest()
    document = {"platform": platform.name, "clock_ns": clock_ns, "netlist_sha256": sha256, **figures}
    write_text(out / "layout.json", json.dumps(document, indent=1) + "\n")
    power = f"{figures['power_mw']['total']} mW ({figures['activity']})"
    print(f"{out}: {figures['area_um2']:,.0f} um2, slack {figures['wns_ns']} ns, {power}")


if __name__ == "__main__":
    run_cli(main)
