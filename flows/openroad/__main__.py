"""Place and route a netlist of `make synth`: `python -m flows.openroad <netlist> --platform nangate45`."""

from __future__ import annotations

import hashlib
import json

from flows.openroad import layout_script, run_layout
from flows.platform import load_platform
from models.errors import run_cli
from models.files import alone, write_text
from tools.options import parse


def main() -> None:
    """Command line; writes layout.json beside the layout."""
    args = parse("flows.openroad")
    platform = load_platform(args.platform)
    out = (args.out or args.netlist.parent / "layout").resolve()
    clock_ns = args.clock_ns or platform.clock_ns
    with alone(out.with_name(f"{out.name}.lock")):
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
