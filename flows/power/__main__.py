"""Power of the columns of `make synth`, on layers of a network: `python -m flows.power`.

Every netlist of build/reports/ppa.json runs tiles of real layers at gate level twice, without delays and
with those of its cells, and is checked against the golden model both times. What is reported includes
the glitches of the second run; how much they are is shown beside it. Designs that are not there yet are
synthesised first. What was measured is kept beside the netlist: an interrupted run goes on where it was. With --net
all tiles of a network run on test images as well (flows/words).
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from common.console import interruptible, obey, signed, tell
from common.errors import UserError, run_cli
from common.store import Store, sources_of
from flows.platform import Platform, load_platform
from flows.power.activity import workload
from flows.power.measure import Conditions, measure, sources, tiles_sha256
from flows.power.opensta import opensta_reads_activity
from flows.power.plot import plot_parts, plot_tree
from flows.ppa import compare_power, compare_test_sets, fill, key_of, measured, view
from flows.synth.__main__ import DESIGNS, check_sizes, side_by_side, table_of, wrong_ones
from flows.words.network import check_design
from flows.words.power import WholeSet, blocks, capture_all, check_sample
from flows.words.power import measure as measure_test_set
from flows.words.power import sources as test_set_sources
from models.datasets import load_dataset
from models.encoding import load_encoding
from models.quant.checkpoint import ZOO, load_network
from models.quant.graph import QuantNetwork
from models.replay import Capture, load_capture
from tools.options import parse

AGREEMENT_PERCENT = 5.0
TRANSITIONS_PERCENT = 1.0


def choose_designs(args: argparse.Namespace, platform: Platform, clock_ns: float) -> None:
    """Without --designs those measured so before; with --net UserError for what is not run on a network."""
    conditions = {"platform": platform.name, "platform_sha256": platform.sha256, "clock_ns": clock_ns}
    conditions |= {"rows": args.rows, "columns": args.columns, "gated": int(not args.ungated)}
    if not args.designs:
        known = measured(Store(args.out / "reports"), conditions)
        names = dict.fromkeys(r["encoding_source"] for r in known if fits(r, args))
        args.designs = ",".join(names) or DESIGNS
        args.exact |= not args.net and any(r["design"].startswith("exact ") for r in known)
    for variants in table_of(args).values() if args.net else ():
        check_design(variants[0])


def synthesised(args: argparse.Namespace, platform: Platform, clock_ns: float) -> list[dict]:
    """The wanted columns, measured now unless they are known."""
    records = side_by_side(platform, clock_ns, args, tables=False)
    if wrong := wrong_ones(records):
        raise UserError(f"no power: at {clock_ns:g} ns {', '.join(wrong)} did not pass; see make synth")
    return records


def fits(record: dict, args: argparse.Namespace) -> bool:
    """True for an encoded column that adds its bits as it was asked for."""
    if not record["design"].startswith("enc "):
        return False
    merged = load_encoding(record["encoding_source"]).is_power_of_two and not args.counted
    parameters = record["parameters"]
    return (parameters.get("RowsPerGroup"), parameters["Merged"]) == (args.group, int(merged))


def print_table(records: list[dict], best: str, platform: Platform) -> None:
    """The figures as text: of a column, with its share of an extra column; "wired": WIRED_PF at every pin."""
    first = records[0]
    print(
        f"\none column of {first['parameters']['Rows']} rows, {first['parameters']['Cols']} for each activation "
        f"register, {platform.title}, {first['clock_ns']:g} ns, "
        f"{first['activity']['workload']['network']}, {first['activity']['cycles']} cycles; against {best}"
    )
    head = ("design", "mW", "internal", "switching", "no delays", "glitches", "pJ/MAC")
    rows = [(*head, "against best", "no delays", "wired", "annotated")]
    base = next(r["power_mw"] for r in records if r["design"] == best)
    for r in records:
        power = r["power_mw"]
        columns = r["parameters"].get("Cols", 1)
        figures = [f"{power['column']:.3f}", *(f"{power[key] / columns:.3f}" for key in ("internal", "switching"))]
        figures += [f"{power['zero_delay_column']:.3f}", f"{r['activity']['glitch_percent']:.1f} %"]
        figures.append(f"{r['energy_per_mac_pj']:.3f}")
        for key in ("column", "zero_delay_column", "wired_column"):
            figures.append("" if r["shared"] else f"{signed(100 * (power[key] / base[key] - 1))} %")
        rows.append((r["design"], *figures, f"{r['activity']['annotated_percent']:.1f} %"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))


def main() -> int:
    """Command line; exit code 0 if every netlist has its power."""
    args = parse("flows.power")
    obey(args)
    args.out, args.array = args.out.resolve(), None
    platform = load_platform(args.platform)
    clock_ns = args.clock_ns or platform.clock_ns
    check_sizes(args, platform, clock_ns)
    if args.vectors < 1:
        raise UserError(f"--vectors {args.vectors}: at least 1")
    network = load_network(args.net) if args.net else None
    capture = load_capture(args.tiles) if args.tiles else shipped_tiles(network)
    workload(capture, args.rows, args.vectors, args.columns)  # refuses what has too few vectors
    choose_designs(args, platform, clock_ns)
    images = first_images(network, args) if network else None
    store = Store(args.out / "reports")
    store.check()
    records = synthesised(args, platform, clock_ns)
    given = Conditions(platform, capture, args.vectors, opensta_reads_activity(), args.check)

    def run(record: dict) -> dict:
        started = time.monotonic()
        fields = measure(record, given)
        print(
            f"{record['design']}: {fields['power_mw']['total']:.4g} mW, {time.monotonic() - started:.0f} s", flush=True
        )
        return fields

    depends = sources() | sources_of(platform.liberty)
    with interruptible(ThreadPoolExecutor(max(1, args.jobs))) as pool:
        results = list(pool.map(run, records))
    ran = {"network": capture.network, "tiles_sha256": tiles_sha256(capture), "vectors": args.vectors}
    found = zip(records, results, strict=True)
    store.put_all(
        "power",
        [(key_of(r) | ran, {"netlist_sha256": r["netlist_sha256"], "fields": fields}, depends) for r, fields in found],
    )
    if network:
        test = capture_all(network, images, args.sample, args.vectors, args.seed)
        run_test_set(records, test, platform, store, args.quiet)
    document, keys = store.publish("ppa", view), [key_of(r) for r in records]
    tell(document | {"designs": [r for r in document["designs"] if key_of(r) in keys]})
    for record, fields in zip(records, results, strict=True):
        fill(record, fields)
    best = compare_power(records)
    title = f"{records[0]['parameters']['Rows']}-row column, {platform.title}, {records[0]['clock_ns']:g} ns"
    plot_parts(records, title, args.out / "reports" / "power")
    plot_tree(records, title, args.out / "reports" / "power_tree")
    print_table(records, best, platform)
    if network:
        print_test_set(records)
    return max(check_agreement(records) if given.compare else 0, check_transitions(records) if given.check else 0)


def first_images(network: QuantNetwork, args: argparse.Namespace) -> np.ndarray:
    """uint8 images [N, C, H, W] of the network's test set; UserError if a sample of tiles needs more."""
    found = load_dataset(network.dataset, "test", args.data).images
    if args.images > len(found):
        raise UserError(f"IMAGES={args.images}: the test set of {network.dataset} has {len(found)}")
    images = found[: args.images]
    one = capture_all(network, images[:1], args.sample, args.vectors, args.seed)
    check_sample(one.layers, len(images), args.rows, args.vectors)
    return images


def shipped_tiles(network: QuantNetwork | None) -> Capture:
    """Tiles of the zoo: those of the network where there are some, else ResNet-20's."""
    own = ZOO / f"tiles_{network.name}.npz" if network else None
    return load_capture(own) if own and own.is_file() else load_capture()


def run_test_set(records: list[dict], test: WholeSet, platform: Platform, store: Store, quiet: bool) -> None:
    """Fill in the power of every netlist on a test set, and keep it in the store."""
    depends = test_set_sources() | sources_of(platform.liberty)
    hidden = quiet or not sys.stderr.isatty()
    for record in records:
        with tqdm(desc=record["design"], total=blocks(test, record), disable=hidden, leave=False) as bar:

            def progress(what: str, bar: tqdm = bar) -> None:
                bar.set_postfix_str(what)
                bar.update()

            record["test_set"] = measure_test_set(record, platform, test, progress)
        kept = {"netlist_sha256": record["netlist_sha256"], "fields": record["test_set"]}
        store.put("test set", key_of(record) | {"network": test.network, "images": test.images}, kept, depends)


def print_test_set(records: list[dict]) -> None:
    """Power of whole images beside that of the tiles, of columns with their share of an extra column."""
    compare_test_sets(records)
    first, tiled = records[0]["test_set"], records[0]["activity"]["workload"]["network"]
    print(f"\n{first['network']}, {first['images']} images through every netlist, all layers and tiles; mW of a column")
    same = tiled == first["network"]
    head = ("tiles", "no delays", "test set", "95 %", "no delays", "difference", "glitches")
    rows = [("design", *(head if same else (*head[2:5], head[6])))]
    for r in (r for r in records if not r["shared"]):
        power, test = r["power_mw"], r["test_set"]
        total, (low, high) = test["column"], test["column_interval"]
        cells = [f"{total:.3f}", f"{low:.3f} to {high:.3f}", f"{test['zero_delay_column']:.3f}"]
        if same:
            tiles = [f"{power['column']:.3f}", f"{power['zero_delay_column']:.3f}"]
            cells = [*tiles, *cells, f"{signed(100 * (total / power['column'] - 1))} %"]
        ratio, (least, most) = test["glitches"]["ratio"], test["glitches"]["interval"]
        rows.append((r["design"], *cells, f"x {ratio:.3f} ({least:.3f} to {most:.3f})"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))
    if not same:
        own = f"python -m models.replay --net {first['network']}"
        print(f"not compared with tiles, which are of {tiled}; capture this network's ({own}) and give them as TILES=")


def check_agreement(records: list[dict]) -> int:
    """Print our total beside OpenSTA's, the clock port's net left out of ours; 1 if they differ too much.

    OpenSTA gets one average of all tiles and counts the states in which an output's energy holds alike. From
    the same average, by the same rule, ours must agree; what counting tile by tile changes is printed beside it.
    """
    worst = 0.0
    for record in records:
        found = record["agreement_mw"]
        theirs = found["opensta"]["total"]
        ours, averaged = (found[key] for key in ("ours_without_clock_net", "averaged"))
        change, same_rule = (100 * (mw / theirs - 1) for mw in (ours, averaged))
        worst = max(worst, abs(same_rule) if np.isfinite(same_rule) else np.inf)
        print(
            f"{record['design']}: without the clock net {ours:.3f} mW ({change:+.1f} %), from one average of all tiles "
            f"{averaged:.3f} mW, OpenSTA {theirs:.3f} mW ({same_rule:+.1f} %)"
        )
    return 1 if worst > AGREEMENT_PERCENT else 0


def check_transitions(records: list[dict]) -> int:
    """Print how many more transitions ours are than Icarus'; 1 if they differ too much."""
    worst = 0.0
    for record in records:
        names = [f"{name}_transitions_against_icarus_percent" for name in ("zero_delay", "timed")]
        zero, timed = (record["activity"][name] for name in names)
        worst = max(worst, abs(zero), abs(timed))
        print(f"{record['design']}: transitions against Icarus {zero:+.2f} % without delays, {timed:+.2f} % with them")
    return 1 if np.isnan(worst) or worst > TRANSITIONS_PERCENT else 0


if __name__ == "__main__":
    run_cli(main)
