"""What synthesis and power leave in the store, and `ppa.json`, the view of it.

Kinds of entries: "area" of a column, "power" of its netlist on one workload, "test set" of the same on whole images,
"array" of the arrays of it, "routed" and "routed array" of layouts. Designs are compared with those of the same
conditions alone: platform, clock, rows, columns, clock gates of weights; arrays (`arrays`, by columns; `array` is that
of the size that most designs have) with those of their size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable

from common.errors import UserError
from common.provenance import git_commit
from common.store import Entry, Store, marked
from models.encoding import load_encoding

FORMAT = "encmac-ppa/1"
ARRAY_COLUMNS = 64  # that share one extra column


def conditions_of(record: dict) -> dict:
    """Under which a column was measured; only columns of the same ones are compared.

    An extra column for f(a) is one for all, but belongs to the columns and clock gates that it was measured with.
    """
    size = record["parameters"]
    return {
        "platform": record["platform"],
        "platform_sha256": record["platform_sha256"],
        "clock_ns": record["clock_ns"],
        "rows": size["Rows"],
        "columns": record.get("columns", size.get("Cols", 1)),
        "gated": record.get("gated", size.get("GateWeights", 0)),
    }


def key_of(record: dict) -> dict:
    """What a column is in the store: its conditions, the name of its form, its encoding by hash."""
    form = {"design": record["design"], "group": record["parameters"].get("RowsPerGroup")}
    return conditions_of(record) | form | {"package_sha256": record["package_sha256"]}


def share_of_f(
    records: list[dict], record: dict, value: Callable[[dict], float], in_array: int = ARRAY_COLUMNS
) -> float:
    """What one of `in_array` columns bears of the extra column of its encoding's f(a), or of the surplus of FIP."""
    if record["shared"]:
        return 0.0
    extra = (r for r in records if r["shared"] and _served(r) == _served(record))
    return next((value(r) / in_array for r in extra), 0.0)


def _served(record: dict) -> tuple:
    """What a column and the extra column that it needs have in common."""
    size = record["parameters"]
    surplus = size.get("ABits", 8) if record.get("surplus") else 0
    return record["package_sha256"], size.get("RowsPerGroup"), surplus


def column_area(records: list[dict], record: dict) -> float:
    """um2 of one column, with its share of an extra column."""
    area = record["area_um2"]["total"] / record["parameters"].get("Cols", 1)
    return area + share_of_f(records, record, lambda extra: extra["area_um2"]["total"])


def is_conventional(record: dict) -> bool:
    """True for conventional columns of 8 bits, zero-gated or not: the baseline."""
    return record["design"].startswith("conv ") and not record.get("rival")


def is_exact(record: dict) -> bool:
    """True for exact designs of 8 bits that are not conventional, which stand beside the baseline."""
    if record["design"].startswith("exact "):
        return not record.get("rival")
    return record["encoding"] in ("exact64", "exact36") and not record["shared"]


def compare_areas(records: list[dict]) -> str | None:
    """Fill in areas of a column and their reductions, of designs of the same conditions.

    Returns the smallest conventional design that meets its clock; None without one.
    """
    for r in records:
        r["area_um2"]["column"] = round(column_area(records, r), 3)
    areas = {r["design"]: r["area_um2"]["column"] for r in records}
    conventional = [r["design"] for r in records if is_conventional(r) and r["wns_ns"] >= 0]
    exact = [r["design"] for r in records if is_exact(r)]
    for r in records:
        bases = [] if r["shared"] else [*conventional, *exact]
        area = r["area_um2"]["column"]
        r["area_reduction_percent"] = {name: round(100 * (1 - area / areas[name]), 2) for name in bases}
    return min(conventional, key=areas.__getitem__, default=None)


def compare_arrays(records: list[dict]) -> str | None:
    """Fill in reductions of arrays of designs of the same conditions; the smallest conventional one, None without."""
    arrays = {r["design"]: r["array"] for r in records if "array" in r}
    baseline = {r["design"] for r in records if is_conventional(r)}
    exact = [r["design"] for r in records if r["design"] in arrays and (is_conventional(r) or is_exact(r))]
    for array in arrays.values():
        area = array["area_um2"]["total"]
        bases = {name: arrays[name]["area_um2"]["total"] for name in exact}
        array["area_reduction_percent"] = {name: round(100 * (1 - area / base), 2) for name, base in bases.items()}
    conventional = [name for name in exact if name in baseline]
    return min(conventional, key=lambda name: arrays[name]["area_um2"]["total"], default=None)


def compare_sizes(records: list[dict]) -> str | None:
    """Compare the `arrays` of designs, those of each size with their own; `array` is that of the size that most have.

    Of several such sizes the one that was measured last. Returns the smallest conventional design of that size.
    """
    sizes = [size for r in reversed(records) for size in reversed(r.get("arrays", {}))]
    usual, best = max(sizes, key=sizes.count, default=None), None
    for size in dict.fromkeys(sizes):
        there = [r for r in records if size in r.get("arrays", {})]
        smallest = compare_arrays([r | {"array": r["arrays"][size]} for r in there])
        if size == usual:
            best = smallest
            for r in there:
                r["array"] = r["arrays"][size]
    return best


def compare_routed(records: list[dict]) -> None:
    """Fill in area of cells and power of routed columns, each with its share of an extra column, and reductions.

    Reductions are in percent against each routed exact column, of power on the same tiles. A column whose extra column
    is not routed has neither.
    """
    there = [r for r in records if "routed" in r]
    found = [r for r in there if r["shared"] or _extra_of(r, there) or not _extra_of(r, records)]
    for r in there:
        for name in ("area", "power"):
            r["routed"][f"{name}_reduction_percent"] = {}
    bases = [r for r in found if is_conventional(r) or is_exact(r)]
    for name, quantity in (("area", "area_um2"), ("power", "power_mw")):

        def value(r: dict, quantity: str = quantity) -> float:
            return r["routed"][quantity]["total"]

        extra = {id(r): value(r) + share_of_f(found, r, value) for r in found}
        for r in found:
            r["routed"][quantity]["column"] = round(extra[id(r)], 6)
            alike = [b for b in bases if name == "area" or routed_workload(b) == routed_workload(r)]
            change = {base["design"]: round(100 * (1 - extra[id(r)] / extra[id(base)]), 2) for base in alike}
            r["routed"][f"{name}_reduction_percent"] = {} if r["shared"] else change


def _extra_of(record: dict, records: list[dict]) -> bool:
    """True if the extra column that a column needs is among the records."""
    return any(r["shared"] and _served(r) == _served(record) for r in records)


def routed_workload(record: dict) -> tuple:
    """Network, tiles and cycles that the power of a layout was measured on."""
    activity = record["routed"].get("activity", {})
    workload = activity.get("workload", {})
    return workload.get("network"), tuple(workload.get("tiles", ())), activity.get("cycles")


def column_power(records: list[dict], record: dict, key: str) -> float:
    """mW of one column, with its share of an extra column."""
    power = record["power_mw"][key] / record["parameters"].get("Cols", 1)
    return power + share_of_f(records, record, lambda extra: extra["power_mw"][key])


def compare_power(records: list[dict]) -> str | None:
    """Fill in power of a column, its energy and reductions, of designs of the same conditions and workload.

    Energy of a product and its addition; rows that a layer leaves unused are paid for by the others. Returns the
    conventional design of least power; None without one.
    """
    for r in records:
        for key in ("total", "zero_delay_total", "wired_total"):
            r["power_mw"][key.replace("total", "column")] = round(column_power(records, r, key), 5)
    columns = {r["design"]: r["power_mw"]["column"] for r in records if not r["shared"]}
    conventional = [r["design"] for r in records if is_conventional(r)]
    exact = {r["design"] for r in records if is_exact(r)}
    bases = [*conventional, *(name for name in columns if name in exact)]
    for r in records:
        power, load = r["power_mw"]["column"], r["activity"]["workload"]
        cycles_per_mac = sum(load["cycles_per_image"]) / load["macs_per_image"]
        r["energy_per_mac_pj"] = round(power * r["clock_ns"] * cycles_per_mac, 5)
        found = {name: round(100 * (1 - power / columns[name]), 2) for name in bases}
        r["power_reduction_percent"] = {} if r["shared"] else found
    return min(conventional, key=columns.__getitem__, default=None)


def compare_test_sets(records: list[dict]) -> None:
    """Fill in power of columns on a test set, of the same conditions, each with its share of an extra column.

    The interval is that of the sample for glitches of the column itself.
    """
    found = [r for r in records if "test_set" in r]
    for r in found:
        test, columns = r["test_set"], r["parameters"].get("Cols", 1)
        same = [o for o in found if all(o["test_set"][key] == test[key] for key in ("network", "images"))]
        for key in ("total", "zero_delay_total"):

            def value(extra: dict, key: str = key) -> float:
                return extra["test_set"][key]

            test[key.replace("total", "column")] = round(test[key] / columns + share_of_f(same, r, value), 6)
        moved = test["column"] - test["total"] / columns
        test["column_interval"] = [round(bound / columns + moved, 6) for bound in test["interval"]]


def fill(record: dict, fields: dict) -> None:
    """Put the power that was measured into an entry of ppa.json."""
    fields = dict(fields)
    record["area_um2"]["by_part"] = fields.pop("area_by_part")
    record.update(fields)


def runs_of(design: dict, network: str | None = None, vectors: int | None = None) -> dict[tuple, dict]:
    """What a record says of power on layer tiles (of `network`, with so many `vectors` of each).

    By the hash of the tiles and the cycles that were counted.
    """
    found = {}
    for run in (design, *design.get("workloads", {}).values()):
        activity = run.get("activity") or {}
        tiles = activity.get("workload") or {}
        if vectors is not None and activity.get("cycles") != vectors * len(tiles.get("tiles", ())):
            continue
        if run.get("power_mw") and network in (None, tiles.get("network")):
            found.setdefault((tiles.get("tiles_sha256"), activity.get("cycles")), run)
    return found


def common_workload(designs: Iterable[dict], network: str | None = None, vectors: int | None = None) -> tuple | None:
    """The tiles and cycles that most designs were measured on, of several such those met first; None without any."""
    count: dict[tuple, int] = {}
    for design in designs:
        for key in runs_of(design, network, vectors):  # the last ones of a design come first
            count[key] = count.get(key, 0) + 1
    return max(count, key=count.__getitem__, default=None)


def view(store: Store) -> dict:
    """`ppa.json`: every column whose sources are as they were, each group of the same conditions compared.

    A group has the power of the workload that was measured last in it; what other workloads gave is in `workloads`
    of a design, by name. Columns whose sources have changed since are named in `stale`, and nothing else of them.
    """
    areas, stale = marked(store.entries("area"))
    power, late = marked(store.entries("power"))
    arrays, old = marked(store.entries("array"))
    routed, past = marked(store.entries("routed"))
    whole, passed = marked(store.entries("routed array"))
    tests, gone = marked(store.entries("test set"))
    groups: dict[str, list[Entry]] = {}
    for entry in areas:
        groups.setdefault(json.dumps(conditions_of(entry.data), sort_keys=True), []).append(entry)
    designs: list[tuple[int, dict]] = []
    best: dict[str, str | None] = {}
    for members in sorted(groups.values(), key=lambda group: max(e.number for e in group)):
        records, best = _group(members, power, arrays, [*routed, *whole], tests)
        designs += records
    commits = [e.data.get("git_commit") for e in areas]
    return {
        "format": FORMAT,
        "designs": designs,
        **{name: value for name, value in best.items() if value},
        "stale": [*stale, *late, *old, *past, *passed, *gone],
        "tools": areas[-1].data["tools"] if areas else {},
        "git_commit": commits[-1] if commits else git_commit(),
    }


def _group(
    members: list[Entry], power: list[Entry], arrays: list[Entry], routed: list[Entry], tests: list[Entry]
) -> tuple[list[dict], dict[str, str | None]]:
    """Records of one group, compared, and the best conventional designs."""
    records = [{k: v for k, v in e.data.items() if k != "tools"} | {"written": e.written} for e in members]
    best = {"best_conventional": compare_areas(records)}
    netlists: dict[str, list[dict]] = {}
    for r in records:
        netlists.setdefault(r["netlist_sha256"], []).append(r)

    here = conditions_of(records[0])  # a netlist may be the same at two clocks, its power is not

    def record_of(entry: Entry, netlist: str = "netlist_sha256") -> dict | None:
        """The column that an entry is of: of one netlist there may be several, as of f(a) of w4a6 and of w5a6."""
        if any(entry.key.get(name) != value for name, value in here.items()):
            return None
        there = netlists.get(entry.data[netlist], [])
        return next((r for r in there if r["design"] == entry.key.get("design")), next(iter(there), None))

    for entry in arrays:
        if record := record_of(entry, "column_netlist_sha256"):
            array = {k: v for k, v in entry.data.items() if k != "column_netlist_sha256"}
            record.setdefault("arrays", {})[str(array["columns"])] = array
    best["best_conventional_array"] = compare_sizes(records)
    for entry in routed:
        size = entry.data.get("columns")
        record = record_of(entry, "column_netlist_sha256" if size else "mapped_netlist_sha256")
        if record and not size:
            record["routed"] = entry.data
        elif record and str(size) in record.get("arrays", {}):
            record["arrays"][str(size)]["routed"] = entry.data
    compare_routed(records)
    for entry in tests:
        if record := record_of(entry):
            record["test_set"] = dict(entry.data["fields"])
    compare_test_sets(records)
    workloads: dict[str, list[tuple[Entry, dict]]] = {}
    for entry in power:
        if record := record_of(entry):
            workloads.setdefault(workload_of(entry), []).append((entry, record))
    last = max(workloads, key=lambda name: workloads[name][-1][0].number, default=None)
    for name, entries in workloads.items():
        run = []
        for entry, record in entries:
            own = record if name == last else json.loads(json.dumps(record | {"workloads": {}}))
            fill(own, entry.data["fields"])
            run.append((record, own))
        winner = compare_power([own for _, own in run])
        if name == last:
            best["best_conventional_power"] = winner
            continue
        for record, own in run:
            names = ("power_mw", "activity", "energy_per_mac_pj", "power_reduction_percent")
            record.setdefault("workloads", {})[name] = {key: own[key] for key in names}
    return records, best


def workload_of(entry: Entry) -> str:
    """Name of the tiles and the number of vectors that a power belongs to."""
    key = entry.key
    return f"{key['network']} {key['tiles_sha256'][:8]}, {key['vectors']} vectors"


def measured(store: Store, conditions: dict) -> list[dict]:
    """The columns measured before under these conditions whose sources are as they were, encodings by their path."""
    entries, _ = marked([e for e in store.entries("area") if conditions_of(e.data) == conditions])
    return [e.data for e in entries if unchanged(e.data)]


def unchanged(record: dict) -> bool:
    """True if the encoding that a record names still is the one that was measured."""
    try:
        return package_sha256(record["encoding_source"]) == record["package_sha256"]
    except UserError:
        return False


def package_sha256(encoding: str | None) -> str | None:
    """What was synthesised, whatever its name: the encoding's SystemVerilog package. None for conventional columns."""
    return hashlib.sha256(load_encoding(encoding).to_systemverilog().encode()).hexdigest() if encoding else None
