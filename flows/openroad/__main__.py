"""Columns and arrays placed, routed and measured again, wires and clock tree included: `python -m flows.openroad`.

Designs are named as `make synth` shows them, or by their encodings; those that were not mapped yet are mapped first.
With --netlist any netlist is laid out, and weighed where there are waves of its ports: default activity would give a
wrong figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.console import obey, signed, tell
from common.errors import UserError, run_cli
from common.files import alone, keep, kept, write_text
from common.provenance import git_commit
from common.store import Store, file_sha256, sources_of
from flows.openroad import LEFT, Late, Plan, layout_script, openroad, ports_of, run_layout, scripts_of, version
from flows.openroad.export import export
from flows.openroad.routed import (
    Block,
    block_of,
    chosen,
    highest,
    lay_out,
    parasitics_of,
    read_back,
    sources,
    traced,
    weighed_before,
    weighed_by_waves,
)
from flows.platform import Platform, config_path, load_platform, read_config
from flows.power.activity import workload
from flows.power.circuit import CLOCK
from flows.power.measure import Conditions, measure, tiles_sha256
from flows.power.traced import followed
from flows.ppa import is_conventional, key_of, view
from flows.synth.__main__ import array_entry, tool_versions
from flows.synth.array import SHELL_SOURCES, Array, measure_array
from flows.synth.measure import Result, best_variant, in_a_process, record, sources_of_column
from flows.synth.netlist import ROOT, Design, read_netlist
from models.replay import load_capture
from tools.options import parse


def main() -> int:
    """Command line; exit code 0 if all were routed, meet setup and hold, and computed right."""
    args = parse("flows.openroad")
    obey(args)
    if args.netlist:
        check_netlist(args)
    if args.export:
        return handed_over(args)
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    if args.trace and not args.netlist:
        raise UserError("TRACE= has waves of the ports of NETLIST=; designs are weighed on the tiles of a network")
    scripts_of(platform)  # told before anything slow, as is
    version(openroad())
    if args.netlist:
        return one_netlist(args, platform, clock_ns)
    table = designs_of(args)
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{args.rows}"
    given = Conditions(platform, load_capture(args.tiles) if args.tiles else load_capture(), args.vectors)
    workload(given.capture, args.rows, args.vectors + (args.columns or 0), args.columns or 1)  # refuses too few vectors
    asked = Asked(args, clock_ns, given)
    store, run = Store(args.out / "reports"), {"columns": 1, "gated": int(not args.ungated)}
    store.check()
    run |= {"tools": tool_versions(), "git_commit": git_commit()}
    shell = sources_of(*(ROOT / path for path in SHELL_SOURCES)) if args.columns else {}
    records, failed = [], []
    for name, variants in table.items():
        depends = sources_of_column(variants[0], platform) | sources(platform) | shell
        began = time.monotonic()

        def progress(step: str, name: str = name, began: float = began) -> None:
            print(f"{name}: {(time.monotonic() - began) / 60:5.1f} min  {step}", flush=True)

        def laid(result: Result, progress: Callable[[str], None] = progress, depends: dict = depends) -> Made:
            entry = record(result, platform, clock_ns) | run
            if args.columns:
                array = measure_array(result, args.columns, platform, clock_ns, folder)
                made = laid_array(array, entry, asked, progress)
            else:
                made = laid_column(result, entry, asked, progress)
            store.put("area", key_of(entry), entry, depends)  # of the form that was laid out, no other
            return made

        try:
            made = in_time(variants, lambda left: best_variant(left, args.rows, platform, clock_ns, folder), laid)
        except UserError as error:
            print(error, flush=True)
            failed.append(name)
            continue
        for kind, key, data in made.kept:
            store.put(kind, key, data, depends)
        records.append(made)
    document = store.publish("ppa", view)
    keys = [key_of(found.entry) for found in records]
    tell(document | {"designs": [r for r in document["designs"] if key_of(r) in keys]})
    if records:
        print_table(records, platform, clock_ns)
    if failed:
        print(f"NOT routed: {', '.join(failed)}")
    return 1 if failed else 0


@dataclass(frozen=True)
class Made:
    """A layout: record of its column, figures before it, its `routed` part; kind, key and data of what is kept."""

    entry: dict
    mapped_um2: float
    mapped_mw: float
    routed: dict
    kept: list[tuple[str, dict, dict]]


def in_time(variants: list[Design], best: Callable[[list[Design]], Result], laid: Callable[[Result], Made]) -> Made:
    """The first variant that meets its clock with wires; `best` gives the first of a list that does without.

    Raises UserError for the last one that is tried, if none does.
    """
    while True:
        result = best(variants)
        try:
            return laid(result)
        except Late as error:
            variants = variants[variants.index(result.design) + 1 :]
            if not variants:
                raise
            print(f"{error}; the next form is tried", flush=True)


@dataclass(frozen=True)
class Asked:
    """What all layouts of a command have in common."""

    args: argparse.Namespace
    clock_ns: float
    given: Conditions

    def layout_of(self, block: Block, progress: Callable[[str], None]) -> dict:
        """Lay out a block at the utilisation that was asked for, or the highest that routes."""

        def lay(percent: float) -> dict:
            return lay_out(block, self.clock_ns, percent, self.given, progress)

        return highest(lay, progress) if self.args.bisect else lay(self.args.utilization)


def laid_column(result: Result, entry: dict, asked: Asked, progress: Callable[[str], None]) -> Made:
    """A column of `make synth`, laid out and weighed, before and after."""
    given = asked.given
    routed = asked.layout_of(block_of(result, given.platform), progress)
    fields = measure(entry, given)
    place = key_of(entry) | {"utilization_percent": routed["utilization_percent"]}
    workload = {"network": given.capture.network, "tiles_sha256": tiles_sha256(given.capture), "vectors": given.vectors}
    power = {"netlist_sha256": entry["netlist_sha256"], "fields": fields}
    kept = [("routed", place, routed), ("power", key_of(entry) | workload, power)]
    return Made(entry, entry["area_um2"]["total"], fields["power_mw"]["total"], routed, kept)


def laid_array(array: Array, entry: dict, asked: Asked, progress: Callable[[str], None]) -> Made:
    """A whole array, its columns those of `make synth`, laid out flat and weighed, before and after."""
    block = block_of(array, asked.given.platform)
    progress("simulation without wires")
    before = weighed_before(block, asked.clock_ns, asked.given)["power_mw"]
    routed = asked.layout_of(block, progress)
    column = {"columns": array.columns, "column_netlist_sha256": entry["netlist_sha256"]}
    place = key_of(entry) | {"size": array.columns}
    data = routed | column | {"mapped_um2": round(block.netlist.area_um2, 3), "mapped_mw": before["total"]}
    kept = [array_entry(entry, array), ("routed array", place | {"percent": routed["utilization_percent"]}, data)]
    return Made(entry, block.netlist.area_um2, before["total"], routed, kept)


def handed_over(args: argparse.Namespace) -> int:
    """Write designs for other flows: columns, or arrays with --columns. Neither library nor OpenROAD is needed."""
    known = read_config(config_path(args.platform))
    where = (known["name"], args.clock_ns or known["clock_ns"], args.utilization, args.export.resolve())
    # arrays bring their extra column, a column alone has an input for its sum
    found = [v[0] for v in designs_of(args).values() if not v[0].shared]
    if not found:
        raise UserError(f"DESIGNS={args.designs}: extra columns are no designs of their own; name what they belong to")
    for design in found:
        print(export(design, args.columns, *where))
    return 0


def designs_of(args: argparse.Namespace) -> dict[str, list[Design]]:
    """What is to be laid out, with its variants; of arrays no extra columns, which they have inside."""
    table = chosen(args.designs.split(","), args.rows, not args.ungated)
    if not args.columns:
        return table
    if pairs := [name for name in table if "FIP" in name]:
        raise UserError(f"{pairs[0]}: columns of a fast inner product make no array; leave it out, or COLS=")
    return {name: variants for name, variants in table.items() if not variants[0].shared}


def check_netlist(args: argparse.Namespace) -> None:
    """UserError if there is no such netlist with a clock, or with options that it has no use for."""
    asked = {"EXPORT=": args.export, "COLS=": args.columns, "BISECT=1": args.bisect}
    if given := [name for name, value in asked.items() if value]:
        raise UserError(f"{given[0]} is for DESIGNS=; leave it out, or NETLIST=")
    if CLOCK not in ports_of(args.netlist, args.top):
        raise UserError(f"{args.netlist} has no port {CLOCK}; that is the clock, and the only one")
    out = (args.netlist.parent / "layout").resolve()
    if re.search(r"\s", str(out)):
        raise UserError(f"{out}: Yosys reads no path with a space; put the netlist elsewhere")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder, where the layout is to go; move it away")


def one_netlist(args: argparse.Namespace, platform: Platform, clock_ns: float) -> int:
    """Lay out a file, or find its layout; with waves weigh it.

    Figures (layout.json, power.json) and the netlist with what layout added, netlist.v, go into a folder beside it.
    """
    plan = Plan(args.netlist, args.top, platform, clock_ns, args.utilization)
    out = (args.netlist.parent / "layout").resolve()
    with alone(out.with_name(f"{out.name}.lock")):
        if args.trace:  # told before anything slow
            circuit, trace = traced(args.netlist.resolve(), args.top, platform, args.trace, out / "before")
            followed(circuit, trace, clock_ns)
        key = hashlib.sha256(json.dumps([version(openroad()), plan.hashed()]).encode()).hexdigest()
        whole = all((out / name).is_file() for name in ("netlist.v", *LEFT))
        figures = kept(out / "layout.json", key) if whole else None
        if figures is None:
            script = layout_script(plan, out)  # refuses what cannot be laid out, before an earlier layout goes
            for stale in ("netlist.v", "layout.json", "power.json"):
                (out / stale).unlink(missing_ok=True)
            figures = run_layout(script, lambda step: print(step, flush=True))
            in_a_process(read_back, out, platform, args.top)
            made = read_netlist(out, platform)
            figures |= {"platform": platform.name, "clock_ns": clock_ns, "parasitics": parasitics_of(platform)}
            figures["netlist_sha256"] = made.sha256
            figures |= {"cells": made.cells, "area_um2": round(made.area_um2 + figures["diodes_um2"], 3)}
            keep(out / "layout.json", key, figures)
        slacks = f"setup slack {figures['wns_ns']} ns, hold slack {figures['hold_wns_ns']} ns"
        size = f"{figures['area_um2']:,.0f} um2, {figures['wire_um'] / 1000:,.1f} mm of wire"
        antennas = f", but {figures['antennas']} nets break rules of antennas" if figures["antennas"] else ""
        print(f"{out}: {size}, {slacks}, 0 violations of spacing{antennas}")
        if min(figures["wns_ns"], figures["hold_wns_ns"]) < 0:
            raise Late(f"{args.netlist} misses its clock; give a longer CLOCK_NS= or a smaller UTILIZATION=")
        tell(figures)
        if args.trace:
            (out / "power.json").unlink(missing_ok=True)
            power = weighed_by_waves(out, args.top, platform, clock_ns, args.trace, figures["clock_latency_ns"])
            power |= {"waves": str(args.trace), "waves_sha256": file_sha256(args.trace)}
            tell(figures | power)
            write_text(out / "power.json", json.dumps(figures | power, indent=1) + "\n")
            ours, theirs = power["power_mw"]["total"], power["agreement_mw"]["openroad"]["total"]
            compared = f"{power['output_bits_compared']:,} of {power['output_bits']:,} output bits known or valid"
            said = f"{power['cycles']:,} cycles, {compared}, all as in the waves"
            print(f"{args.trace.name}, {power['scope']}: {said}, {ours:.3f} mW (OpenROAD {theirs:.3f})")
            if silent := power["outputs_never_compared"]:
                print(f"{len(silent)} output bits were never known or valid, as {silent[0]}")
    return 0


def print_table(records: list[Made], platform: Platform, clock_ns: float) -> None:
    """Mapped against routed, each against the best conventional column of the same kind.

    Without the share of an extra column, which has a line of its own.
    """
    rows = [("design", "mapped um2", "", "routed um2", "", "core um2", "density")]
    rows[0] += ("mapped mW", "", "routed mW", "", "OpenROAD mW", "wire mm")
    rows[0] += ("clock buffers", "setup ns", "hold ns", "min")
    columns = [
        lambda made: made.mapped_um2,
        lambda made: made.routed["area_um2"]["total"],
        lambda made: made.mapped_mw,
        lambda made: made.routed["power_mw"]["total"],
    ]
    baseline = [made for made in records if is_conventional(made.entry)]
    best = [min(map(value, baseline), default=None) for value in columns]
    for made in records:
        routed = made.routed
        shown = [(value(made), base) for value, base in zip(columns, best, strict=True)]
        change = [f"{signed(100 * (v / base - 1))} %" if base and not made.entry["shared"] else "" for v, base in shown]
        areas, powers = [f"{v:,.0f}" for v, _ in shown[:2]], [f"{v:.3f}" for v, _ in shown[2:]]
        core = routed["core_um"][0] * routed["core_um"][1]
        density = f"{100 * routed['area_um2']['total'] / core:.0f} %"
        cells = [made.entry["design"], areas[0], change[0], areas[1], change[1], f"{core:,.0f}", density]
        cells += [powers[0], change[2], powers[1], change[3], f"{routed['agreement_mw']['openroad']['total']:.3f}"]
        cells += [f"{routed['wire_um'] / 1000:.1f}", str(routed["clock_buffers"])]
        cells += [f"{routed['wns_ns']:.3f}", f"{routed['hold_wns_ns']:.3f}", f"{routed['seconds'] / 60:.1f}"]
        rows.append(tuple(cells))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    size, tool = f"{records[0].entry['parameters']['Rows']} rows", records[0].routed["openroad"]
    if columns_of := records[0].kept[-1][2].get("columns"):
        size += f", {columns_of} columns behind streams"
    print(f"\n{size}, {platform.title}, {clock_ns:g} ns, OpenROAD {tool}")
    for row in rows:
        print("  ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))


if __name__ == "__main__":
    run_cli(main)
