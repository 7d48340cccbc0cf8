"""What the page says, as plain data: rows of tables and figures, cards, the encoding of the headline.

Nothing is computed here that a record does not hold, except differences and joins by the encoding's name.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from common.console import signed
from common.errors import unknown
from common.provenance import ROOT
from flows import verdict
from flows.ppa import is_conventional
from flows.report.records import Records
from models.encoding import Encoding, library_names, load_encoding
from models.search.islands import load_archive
from models.search.pareto import Point, undominated

COST_MODEL = "cost model, 64 rows"
LOSS = 1.0  # points of top-1 below int8 that the headline's encoding may lose on any network


@dataclass(frozen=True)
class Card:
    """A figure at the top: `state` is good, bad, plain or absent."""

    title: str
    value: str
    detail: str
    state: str = "plain"
    anchor: str = ""


@dataclass
class Facts:
    """Rows for tables and figures; lists are empty for what was not run."""

    cards: list[Card] = field(default_factory=list)
    tests: list[dict] = field(default_factory=list)
    costs: list[dict] = field(default_factory=list)
    parts: list[dict] = field(default_factory=list)
    accuracy: list[dict] = field(default_factory=list)
    points: list[dict] = field(default_factory=list)
    layers: list[dict] = field(default_factory=list)
    gates: list[dict] = field(default_factory=list)
    test_sets: list[dict] = field(default_factory=list)
    fronts: list[dict] = field(default_factory=list)
    rounds: list[dict] = field(default_factory=list)
    bench: list[dict] = field(default_factory=list)
    proofs: list[dict] = field(default_factory=list)
    verdicts: list[dict] = field(default_factory=list)
    headline: str = ""
    headline_rule: str = ""

    def json(self) -> dict:
        """What `--json` prints: the cards and the headline."""
        cards = {c.title: {"value": c.value, "detail": c.detail, "state": c.state} for c in self.cards}
        return {"format": "encmac-report/1", "headline": self.headline, "rule": self.headline_rule, "cards": cards}


def gather(records: Records, headline: str | None = None) -> Facts:
    """All facts; UserError names a damaged record."""
    facts = Facts()
    with records.reading("ppa", "accuracy"):
        tell_names_apart([*records["ppa"].get("designs", []), *records["accuracy"].get("rows", [])])
    with records.reading("ppa"):
        columns = [d for d in records["ppa"].get("designs", []) if not d.get("shared")]  # others are shares of these
        facts.costs = [cost_row(d) for d in columns]
        compare(facts.costs)
        facts.parts = [row for d in columns for row in part_rows(d)]
        facts.test_sets = [test_set_row(d) for d in columns if d.get("test_set")]
    with records.reading("accuracy"):
        facts.accuracy = [accuracy_row(row) for row in records["accuracy"].get("rows", [])]
        facts.accuracy.sort(key=lambda row: (row["network"], -(row["bits"] or 0), row["encoding"]))
    facts.points = pareto_points(facts.accuracy, facts.costs)
    with records.reading("replay"):
        facts.layers = [layer_row(layer) for layer in records["replay"].get("layers", [])]
    with records.reading("gates"):
        facts.gates = [gates_row(row) for row in records["gates"].get("designs", [])]
    facts.fronts, facts.rounds = searches(records.folder.parent / "search")
    with records.reading("bench"):
        facts.bench = [bench_row(row) for row in records["bench"].get("benchmarks", [])]
    with records.reading("formal"):
        facts.proofs = proof_rows(records["formal"].get("proofs", []))
    facts.verdicts = [verdict_row(found) for found in verdict.load_verdicts(records.folder)]
    facts.headline, facts.headline_rule = choose_headline(facts, headline)
    with records.reading(*records.found):
        facts.cards = cards(records, facts)
    return facts


def tell_names_apart(rows: list[dict]) -> None:
    """Give what has a name of the library and is another a name of its own: here rows are joined by name."""
    for row in rows:
        name, sha256 = row["encoding"], row.get("encoding_sha256")
        if name in library_names() and sha256 and sha256 != load_encoding(name).sha256:
            row["encoding"] = f"{name} of hash {sha256[:6]}"
            if "design" in row:
                row["design"] = row["design"].replace(name, row["encoding"])


def platform_label(design: dict) -> str:
    """A platform with the conditions under which its figures may be compared."""
    parameters = design["parameters"]
    words = [design["platform"], f"{parameters['Rows']} rows"]
    if (columns := parameters.get("Cols", 1)) > 1:
        words.append(f"{columns} columns")
    if parameters.get("GateWeights"):
        words.append("gated weights")
    return ", ".join([*words, f"{design['clock_ns']:g} ns"])


def cost_row(design: dict) -> dict:
    """A design of ppa.json, flat; area and power of one column with its share of an extra column for f(a)."""
    power, activity, area = design.get("power_mw") or {}, design.get("activity") or {}, design["area_um2"]
    return {
        "platform": platform_label(design),
        "design": design["design"],
        "encoding": design["encoding"] or "",
        "encoding_sha256": design.get("encoding_sha256"),
        "rival": design.get("rival"),
        "cells": design["cells"],
        "area_um2": area.get("column", area["total"]),
        "sequential_um2": area["sequential"] / design["parameters"].get("Cols", 1),
        "slack_ns": design["wns_ns"],
        "fmax_mhz": design["fmax_mhz"],
        "power_mw": power.get("column", power.get("total")),
        "pj_per_mac": design.get("energy_per_mac_pj"),
        "glitch_percent": activity.get("glitch_percent"),
        "annotated_percent": activity.get("annotated_percent"),
        "activity": activity.get("source", ""),
        "gate_sim": design["gate_sim"],
        "netlist_sha256": design["netlist_sha256"],
        **routed_row(design.get("routed")),
        "arrays": array_rows(design),
    }


def array_rows(design: dict) -> list[dict]:
    """What layout measured of whole arrays of columns of this design, one row for each size."""
    found = []
    for array in design.get("arrays", {}).values():
        if routed := array.get("routed"):
            whole = {key: routed[key] | {"column": routed[key]["total"]} for key in ("area_um2", "power_mw")}
            size = {key: routed[key] for key in ("columns", "mapped_um2", "mapped_mw")}
            about = {"design": design["design"], "rival": design.get("rival")} | size
            found.append(about | routed_row(routed | whole))
    return found


def routed_row(routed: dict | None) -> dict:
    """What layout measured of a column: of its cells, its wires and its clock tree; None where it was not run."""
    if not routed:
        return {"routed_um2": None, "routed_mw": None}
    width, height = routed["core_um"]
    area, picture = routed["area_um2"]["total"], ROOT / routed.get("picture", "")
    return {
        "routed_um2": routed["area_um2"]["column"],
        "routed_mw": routed["power_mw"]["column"],
        "openroad_mw": routed["agreement_mw"]["openroad"]["total"],
        "core_percent": 100 * area / (width * height),
        "wire_mm": routed["wire_um"] / 1000,
        "clock_buffers": routed["clock_buffers"],
        "latency_ns": routed["clock_latency_ns"],
        "setup_ns": routed["wns_ns"],
        "hold_ns": routed["hold_wns_ns"],
        "drc": routed["drc"],
        "minutes": routed["seconds"] / 60,
        "openroad": routed["openroad"],
        "picture": base64.b64encode(picture.read_bytes()).decode() if picture.is_file() else None,
    }


def compare(costs: list[dict]) -> None:
    """Add to each row its change against the best conventional design of its platform, %, by area and by power.

    Only designs that meet their clock and passed at gate level can be the baseline; other exact ones stand beside it.
    """
    pairs = (("area_um2", "area_change"), ("power_mw", "power_change"))
    pairs += (("routed_um2", "routed_area_change"), ("routed_mw", "routed_power_change"))
    for key, change in pairs:
        for row in costs:
            rivals = [c for c in costs if c["platform"] == row["platform"] and is_conventional(c)]
            sound = [c for c in rivals if c[key] is not None and c["slack_ns"] >= 0 and c["gate_sim"] == "passed"]
            best = min(sound, key=lambda c: c[key], default=None)
            known = best is not None and row[key] is not None
            row[change] = 100 * (row[key] / best[key] - 1) if known else None
            row[f"{change}_base"] = best["design"] if best else ""
    for row in costs:
        for array in row["arrays"]:
            there = [c for c in costs if c["platform"] == row["platform"] and is_conventional(c)]
            alike = [other for c in there for other in c["arrays"] if other["columns"] == array["columns"]]
            for key in ("routed_um2", "routed_mw"):
                best = min((other[key] for other in alike), default=None)
                array[f"{key}_change"] = 100 * (array[key] / best - 1) if best else None


def part_rows(design: dict) -> list[dict]:
    """Area and power of a column by part: of `make power` if it ran, else flip-flops and gates."""
    where = {"platform": platform_label(design), "design": design["design"]}
    columns = design["parameters"].get("Cols", 1)
    found = []
    for quantity, figures in (("area", design["area_um2"]), ("power", design.get("power_mw") or {})):
        parts = dict(figures.get("by_part") or {})
        if quantity == "area" and not parts:
            parts = {"flip-flops": figures["sequential"], "gates": figures["combinational"]}
        parts = {part: value / columns for part, value in parts.items()}
        if parts and (share := figures.get("column", 0) - figures["total"] / columns) > 1e-6 * figures["total"]:
            parts["share of the column for f(a)"] = share
        found += [where | {"quantity": quantity, "part": part, "value": value} for part, value in parts.items()]
    return found


def accuracy_row(row: dict) -> dict:
    """A row of accuracy.json, flat; top-1 in percent."""
    top1 = {name: None if value is None else round(100 * value, 2) for name, value in row["top1"].items()}
    tuned = top1.get("encoded_finetuned")
    return {
        "network": row["network"],
        "dataset": row["dataset"],
        "encoding": row["encoding"],
        "encoding_sha256": row.get("encoding_sha256"),
        "bits": row["product_bits"],
        "images": row["images"],
        "fp32": top1.get("fp32"),
        "int8": top1["int8"],
        "encoded": top1["encoded"],
        "change": None if top1["encoded"] is None else round(top1["encoded"] - top1["int8"], 2),
        "tuned": tuned,
        "tuned_change": None if tuned is None else round(tuned - top1["int8"], 2),
    }


def same_encoding(cost: dict, row: dict) -> bool:
    """True if a column and a row of accuracy are of one encoding, by hash where both tell it."""
    hashes = {cost["encoding_sha256"], row["encoding_sha256"]} - {None}
    return cost["encoding"] == row["encoding"] and len(hashes) < 2


def pareto_points(accuracy: list[dict], costs: list[dict]) -> list[dict]:
    """Accuracy joined with cost by the encoding's name; one point for each platform, tuning and network.

    The int8 network stands beside them at the cost of the best conventional design. Encodings of the library
    have a place under the cost model too. `front_*` marks what nothing of the same network undercuts.
    """
    model = {name: load_encoding(name).figures.get("column_area_um2") for name in library_names()}
    points = []
    for row in accuracy:
        prices = [c for c in costs if same_encoding(c, row)]
        prices = [{k: c[k] for k in ("platform", "design", "area_um2", "power_mw")} for c in prices]
        if area := model.get(row["encoding"]):
            prices.append({"platform": COST_MODEL, "design": row["encoding"], "area_um2": area, "power_mw": None})
        shared = {k: row[k] for k in ("network", "dataset", "encoding", "bits", "images", "int8")}
        for tuning, key, change in (("as trained", "encoded", "change"), ("fine-tuned", "tuned", "tuned_change")):
            if row[key] is not None:
                points += [shared | p | {"tuning": tuning, "top1": row[key], "change": row[change]} for p in prices]
    for network in dict.fromkeys(row["network"] for row in accuracy):
        first = next(row for row in accuracy if row["network"] == network)
        for platform in dict.fromkeys(c["platform"] for c in costs):
            plain = [
                c for c in costs if c["platform"] == platform and not c["encoding"] and c["area_change"] is not None
            ]
            for best in {min(plain, key=lambda c: c["area_um2"])["design"]} if plain else ():
                base = next(c for c in plain if c["design"] == best)
                shared = {k: first[k] for k in ("network", "dataset", "images", "int8")}
                points.append(
                    {k: base[k] for k in ("platform", "design", "area_um2", "power_mw")}
                    | shared
                    | {"encoding": "int8", "bits": None, "tuning": "int8", "top1": first["int8"], "change": 0.0}
                )
    for key in ("area_um2", "power_mw"):
        groups: dict[tuple, list[dict]] = {}
        for point in points:
            point[f"front_{key}"] = False
            if point[key] is not None:
                groups.setdefault((point["network"], point["images"], point["platform"]), []).append(point)
        for group in groups.values():
            order = {n: Point(p[key], -p["change"], 0, str(n)) for n, p in enumerate(group)}
            for winner in undominated(list(order.values())):
                group[int(winner.text)][f"front_{key}"] = True
    return points


def layer_row(layer: dict) -> dict:
    """A layer of replay.json."""
    keys = (
        "name",
        "shape",
        "mapping",
        "macs",
        "tiles",
        "tiles_run",
        "cycles",
        "naive_cycles",
        "compared",
        "mismatches",
    )
    use = {key: round(100 * layer[key], 2) for key in ("utilisation", "naive_utilisation")}
    good = layer["compared"] > 0 and not layer["mismatches"] and not layer["errors"]
    return {key: layer[key] for key in (*keys, "errors", "seconds")} | use | {"status": "passed" if good else "failed"}


def gates_row(row: dict) -> dict:
    """A run of gates.json; top-1 in percent."""
    keys = ("network", "design", "platform", "rows", "images", "matches", "wrong", "same_scores", "netlist_sha256")
    status = {"status": "passed" if row["passed"] else "failed", "top1": 100 * row["top1"]}
    return {key: row[key] for key in keys} | status | {"gmac_per_s": row["gmac_per_s_a_core"]}


def tiles_mw(design: dict, network: str) -> float | None:
    """Power of a column on tiles of a network, of the last run or an earlier one; None if it ran none of them."""
    for run in (design, *design.get("workloads", {}).values()):
        if ((run.get("activity") or {}).get("workload") or {}).get("network") == network:
            return run["power_mw"].get("column", run["power_mw"].get("total"))
    return None


def test_set_row(design: dict) -> dict:
    """Power of a column on a test set beside that on tiles of the network, each with its share of an extra column."""
    test = design["test_set"]
    tiles, glitches = tiles_mw(design, test["network"]), test["glitches"]
    low, high = test["column_interval"]
    least, most = glitches["interval"]
    return {
        "platform": platform_label(design),
        "design": design["design"],
        "network": test["network"],
        "images": test["images"],
        "tiles_mw": tiles,
        "test_set_mw": test["column"],
        "interval": f"{low:.4g} to {high:.4g}",
        "difference": None if tiles is None else 100 * (test["column"] / tiles - 1),
        "zero_delay_mw": test["zero_delay_column"],
        "ratio": glitches["ratio"],
        "ratio_interval": f"{least:.3f} to {most:.3f}",
    }


def searches(folder: Path) -> tuple[list[dict], list[dict]]:
    """Fronts and rounds of the archives in `folder`; the fronts begin with the library's searched encodings."""
    fronts, rounds = [], []

    def add(search: str, encoding: Encoding, area: float, error: float) -> None:
        weights = "powers of two" if encoding.is_power_of_two else "general weights"
        row = {"search": search, "encoding": encoding.name, "bits": encoding.m, "weights": weights}
        if error > 0:  # the axis is logarithmic
            fronts.append(row | {"area_um2": area, "error": error})

    for encoding in map(load_encoding, library_names()):
        if "noise" in encoding.figures:
            add("library", encoding, encoding.figures["column_area_um2"], encoding.figures["noise"])
    for path in sorted(folder.glob("*.json")):
        archive = load_archive(path)
        for entry, encoding in zip(archive.front, archive.encodings(), strict=True):
            add(path.stem, encoding, entry["cost"], entry["error"])
        rounds += [{"search": path.stem} | row for row in archive.history]
    return fronts, rounds


def bench_row(row: dict) -> dict:
    """A comparison of bench.json."""
    keys = ("benchmark", "case", "ours", "peer", "ratio", "unit", "machine")
    return {k: row[k] for k in keys} | {"peer_name": row.get("peer_name", "peer"), "agrees": row.get("agrees", True)}


def proof_rows(proofs: list[dict]) -> list[dict]:
    """Proofs by module, claim and method."""
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for proof in proofs:
        groups.setdefault((proof["module"], proof["claim"], proof["method"]), []).append(proof)
    return [
        {
            "module": module,
            "claim": claim,
            "method": method,
            "proven": sum(p["result"] == "proven" for p in members),
            "total": len(members),
            "missing": [
                f"{p['name']}: {p['result']} {p['detail']}".strip() for p in members if p["result"] != "proven"
            ],
        }
        for (module, claim, method), members in groups.items()
    ]


def verdict_row(found: dict) -> dict:
    """A verdict of make explore as the page shows it."""
    short, why = verdict.answer(found)
    shown = {"title": verdict.title(found), "answer": short, "why": why, "rows": verdict.rows(found)}
    return shown | {"build_it": found["build_it"], "notes": verdict.notes(found)}


def best_changes(accuracy: list[dict]) -> dict[str, dict[str, float]]:
    """For each encoding its change of top-1 on each network, fine-tuned where that was measured; most images count."""
    images: dict[str, int] = {}
    for row in accuracy:
        images[row["network"]] = max(images.get(row["network"], 0), row["images"])
    found: dict[str, dict[str, float]] = {}
    for row in accuracy:
        known = [c for c in (row["change"], row["tuned_change"]) if c is not None]
        if row["images"] == images[row["network"]] and known:
            found.setdefault(row["encoding"], {})[row["network"]] = max(known)
    return found


def choose_headline(facts: Facts, wanted: str | None) -> tuple[str, str]:
    """The encoding of the cards, and by which rule."""
    changes = best_changes(facts.accuracy)
    known = {row["encoding"] for row in (*facts.costs, *facts.accuracy)} - {""}
    if wanted:
        if wanted not in known:
            raise unknown("encoding of the records", wanted, known)
        return wanted, "as asked for"
    rule = f"of least measured area among those that lose at most {LOSS:g} point of top-1 on every network measured"
    networks = {row["network"] for row in facts.accuracy}
    sound = [c for c in facts.costs if c["encoding"] and c["area_change"] is not None and c["gate_sim"] == "passed"]
    if sound and not networks:
        untold = "of least measured area; accuracy was not run, so nothing says how much of it a network keeps"
        return min(sound, key=lambda c: c["area_change"])["encoding"], untold
    able = [c for c in sound if len(changes.get(c["encoding"], {})) == len(networks) > 0]
    able = [c for c in able if min(changes[c["encoding"]].values()) >= -LOSS]
    if able:
        return min(able, key=lambda c: c["area_change"])["encoding"], rule
    return "", f"no encoding has a measured area and loses at most {LOSS:g} point of top-1 on every network measured"


def cards(records: Records, facts: Facts) -> list[Card]:
    """The figures at the top."""
    return [
        tests_card(records),
        coverage_card(records),
        mutants_card(records),
        proofs_card(records),
        replay_card(records),
        accuracy_card(facts),
        cost_card(facts, "area", "area_um2", "{:,.0f} um2", "make synth"),
        cost_card(facts, "power", "power_mw", "{:.3g} mW", "make power"),
        speed_card(records, facts),
    ]


def exact(name: str) -> bool:
    """True for an encoding of the library whose products are exact."""
    return name in library_names() and load_encoding(name).max_relative_error() == 0


def absent(title: str, command: str) -> Card:
    """What was not run."""
    return Card(title, "not run", command, "absent")


def tests_card(records: Records) -> Card:
    """Simulation."""
    if not (sim := records["sim"]):
        return absent("tests", "make sim")
    total = sim["totals"]
    good = total["tests"] and total["matches"] and not total["failed"] and not total.get("testpoints_failed")
    detail = f"{total['matches']:,} results compared, {total['mismatches']:,} wrong"
    return Card("tests", f"{total['passed']} of {total['tests']}", detail, "good" if good else "bad", "tests")


def coverage_card(records: Records) -> Card:
    """Functional coverage, and of code if it was counted."""
    if not (coverage := records["coverage"]):
        return absent("coverage", "make sim")
    total = coverage["totals"]
    detail = f"{total['hit']} of {total['bins']} bins"
    detail += "".join(f", {k} {v['percent']:g} %" for k, v in records["code_coverage"].get("totals", {}).items())
    return Card("coverage", f"{coverage['closure']:g} %", detail, "plain", "coverage")


def mutants_card(records: Records) -> Card:
    """Mutants."""
    if not (mutants := records["mutants"]):
        return absent("mutants", "make mutants")
    total = mutants["totals"]
    good = total["killed"] > 0 and total["percent"] >= total["target"]
    missed = total["mutants"] - total["equivalent"] - total["killed"]
    detail = f"killed; {total['equivalent']} more are equivalent, {missed} not killed"
    value = f"{total['killed']} of {total['mutants'] - total['equivalent']}"
    return Card("mutants", value, detail, "good" if good else "bad", "mutants")


def proofs_card(records: Records) -> Card:
    """Formal."""
    if not (formal := records["formal"]):
        return absent("proofs", "make formal")
    good = formal["proven"] == formal["total"] > 0
    value = f"{formal['proven']} of {formal['total']}"
    return Card("proofs", value, "for all inputs and for ever", "good" if good else "bad", "proofs")


def replay_card(records: Records) -> Card:
    """A network through the RTL."""
    if not (replay := records["replay"]):
        return absent("replay", "make replay")
    total = replay["totals"]
    good = total["compared"] > 0 and not total["mismatches"]
    value = f"{total['compared'] - total['mismatches']:,} equal"
    detail = f"{replay['network']} on {replay['design']}, {total['mismatches']:,} wrong"
    return Card("replay", value, detail, "good" if good else "bad", "replay")


def accuracy_card(facts: Facts) -> Card:
    """Accuracy of the headline's encoding: its worst change over the networks."""
    if not facts.accuracy:
        return absent("accuracy", "make accuracy NET=resnet20_cifar10 ENCODING=m20p")
    changes = best_changes(facts.accuracy).get(facts.headline)
    if not changes:
        return Card("accuracy", f"{len(facts.accuracy)} rows", facts.headline_rule, "plain", "accuracy")
    network, change = min(changes.items(), key=lambda item: item[1])
    detail = f"{facts.headline}: top-1 against int8, points, on {network}"
    images = max(row["images"] for row in facts.accuracy if row["network"] == network)
    detail += f" ({images:,} images), the worst of {len(changes)}" if len(changes) > 1 else f" ({images:,} images)"
    return Card("accuracy", signed(change, 2), detail, "plain", "accuracy")


def cost_card(facts: Facts, title: str, key: str, form: str, command: str) -> Card:
    """Area or power of the headline's encoding against the best conventional design, else of the best exact one."""
    if not any(c[key] is not None for c in facts.costs):
        return absent(title, command)
    change = f"{title}_change"
    known = [c for c in facts.costs if c["encoding"] and c[change] is not None]
    found = [c for c in known if c["encoding"] == facts.headline or (not facts.headline and exact(c["encoding"]))]
    if not found:
        return Card(title, "measured", f"not of {facts.headline or 'an exact encoding'}", "plain", "ppa")
    row = min(found, key=lambda c: c[change])
    detail = f"{row['encoding']}: {form.format(row[key])} against {row[f'{change}_base']}, {row['platform']}"
    return Card(title, f"{signed(row[change])} %", detail, "plain", "ppa")


def speed_card(records: Records, facts: Facts) -> Card:
    """Against peers if that was measured, else the rate of the replay."""
    if peers := [row for row in facts.bench if not row["peer_name"].startswith("limit")]:
        row = max(peers, key=lambda r: r["ratio"])
        low = min(peers, key=lambda r: r["ratio"])
        state = "plain" if all(r["agrees"] for r in facts.bench) else "bad"
        detail = f"times {row['peer_name']}, {row['benchmark']} {row['case']}; "
        detail += f"the least of all: {low['ratio']:.2g} times {low['peer_name']}, {low['case']}"
        return Card("speed", f"{row['ratio']:.3g} x", detail, state, "bench")
    if total := records["replay"].get("totals"):
        rate = total["macs_run"] / max(1e-9, total["wall_s"]) / 1e6
        return Card("speed", f"{rate:.1f} MMAC/s", "of the replay, simulated", "plain", "replay")
    return absent("speed", "make bench")
