"""ppa.json is a view of all columns that were measured: nothing replaces but the same, nothing is mixed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.errors import UserError
from common.store import Store, sources_of
from flows.openroad import __main__ as command
from flows.power.measure import Conditions
from flows.ppa import compare_routed, conditions_of, key_of, measured, view
from flows.synth.measure import forms
from flows.synth.sweep import print_points
from models.replay import load_capture

ROOT = Path(__file__).resolve().parent.parent
MILLIWATTS = ("total", "zero_delay_total", "wired_total")


def column(design: str, area: float, rows: int = 64, encoding: str | None = None, **more: object) -> dict:
    """An entry of a column, as far as it is looked at."""
    return {
        "design": design,
        "platform": "osu018",
        "platform_sha256": "a" * 64,
        "parameters": {"Rows": rows, "Cols": 1, "GateWeights": 1},
        "encoding": encoding,
        "encoding_source": encoding,
        "shared": False,
        "package_sha256": encoding and "b" * 64,
        "clock_ns": 10.0,
        "wns_ns": 1.0,
        "area_um2": {"total": area},
        "netlist_sha256": f"{design} {rows}",
        "tools": {"pyosys": "0"},
        "git_commit": "c",
    } | more


def put(store: Store, *records: dict, sources: dict[str, str] | None = None) -> None:
    """Keep columns as make synth does."""
    store.put_all("area", [(key_of(r), r, sources or {}) for r in records])


def put_power(store: Store, record: dict, network: str, mw: float) -> None:
    """Keep a power as make power does."""
    load = {"network": network, "cycles_per_image": [100], "macs_per_image": 1000}
    fields = {"area_by_part": {}, "power_mw": dict.fromkeys(MILLIWATTS, mw), "activity": {"workload": load}}
    key = key_of(record) | {"network": network, "tiles_sha256": network, "vectors": 128}
    store.put("power", key, {"netlist_sha256": record["netlist_sha256"], "fields": fields})


def areas(store: Store) -> dict[tuple[str, int], float]:
    """Areas of ppa.json by design and rows."""
    return {(d["design"], d["parameters"]["Rows"]): d["area_um2"]["total"] for d in view(store)["designs"]}


def test_a_small_table_does_not_erase_a_large_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, column("conv tree", 900), column("enc m12p merged", 300, encoding="m12p"))
    put(store, column("conv tree", 60, rows=4), column("enc m12p merged", 30, rows=4, encoding="m12p"))
    assert areas(store) == {
        ("conv tree", 64): 900, ("enc m12p merged", 64): 300, ("conv tree", 4): 60, ("enc m12p merged", 4): 30
    }  # fmt: skip
    # each is compared with its own
    reductions = {d["parameters"]["Rows"]: d["area_reduction_percent"] for d in view(store)["designs"] if d["encoding"]}
    assert reductions == {64: {"conv tree": 66.67}, 4: {"conv tree": 50.0}}
    # the same again replaces
    put(store, column("conv tree", 100, rows=4))
    assert areas(store)["conv tree", 4] == 100 and areas(store)["conv tree", 64] == 900


@pytest.mark.parametrize("more", [{"clock_ns": 5.0}, {"platform_sha256": "d" * 64}, {"gated": 0}, {"columns": 4}])
def test_columns_under_other_conditions_are_others(tmp_path: Path, more: dict) -> None:
    store = Store(tmp_path)
    put(store, column("conv tree", 900), column("enc m12p merged", 300, encoding="m12p", **more))
    encoded = next(d for d in view(store)["designs"] if d["encoding"])
    assert encoded["area_reduction_percent"] == {}


def test_two_encodings_of_one_name_are_two_columns(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = column("enc mine merged", 300, encoding="a/mine.json")
    put(store, first, first | {"package_sha256": "e" * 64, "area_um2": {"total": 200}})
    assert sorted(d["area_um2"]["total"] for d in view(store)["designs"]) == [200, 300]


def test_two_encodings_of_one_name_side_by_side_are_refused(tmp_path: Path) -> None:
    paths = []
    for folder, name in (("a", "m12p"), ("b", "m20p")):
        text = (Path(__file__).parent.parent / f"models/encodings/{name}.json").read_text()
        paths.append(tmp_path / folder / "mine.json")
        paths[-1].parent.mkdir()
        paths[-1].write_text(text.replace(f'"name": "{name}"', '"name": "mine"'))
    with pytest.raises(UserError, match="two of the encodings are called 'mine' and differ; rename one"):
        forms(4, [str(path) for path in paths])


def test_columns_of_one_netlist_have_each_their_power(tmp_path: Path) -> None:
    """f(a) of w4a6 and of w5a6 are one netlist: the share of each stays with its encoding, whoever came last."""
    store = Store(tmp_path)
    there = []
    for name, package in (("w4a6", "d" * 64), ("w5a6", "e" * 64)):
        mine = {"encoding": name, "package_sha256": package}
        there.append(column(f"enc {name} merged", 300, **mine))
        there.append(column(f"f(a) of {name}", 64, **mine, shared=True, netlist_sha256="of both"))
    put(store, *there[:2])
    for record in there[:2]:
        put_power(store, record, "resnet", 6.4)
    put(store, *there[2:])
    found = next(d for d in view(store)["designs"] if d["design"] == "enc w4a6 merged")
    assert found["power_mw"]["column"] == 6.5, "6.4 and a 64th of 6.4"


def test_power_of_one_clock_is_not_that_of_another(tmp_path: Path) -> None:
    """A slow clock and a slower one give the same netlist; layouts and arrays of it belong to one clock as well."""
    store = Store(tmp_path)
    fast = column("conv tree", 900)
    slow = fast | {"clock_ns": 12.0}
    put(store, fast, slow)
    put_power(store, fast, "resnet", 6.0)
    data = {"mapped_netlist_sha256": fast["netlist_sha256"], "area_um2": {"total": 1.0}, "power_mw": {"total": 7.0}}
    store.put("routed", key_of(fast) | {"utilization_percent": 55.0}, data)
    found = {d["clock_ns"]: d for d in view(store)["designs"]}
    assert found[10.0]["power_mw"]["column"] == 6.0 and found[10.0]["routed"]["power_mw"]["column"] == 7.0
    assert not {"power_mw", "routed", "workloads"} & set(found[12.0])
    put_power(store, slow, "resnet", 5.0)
    found = {d["clock_ns"]: d for d in view(store)["designs"]}
    assert [found[clock]["power_mw"]["column"] for clock in (10.0, 12.0)] == [6.0, 5.0]


def test_layouts_of_two_utilisations_stand_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, entry, capture = Store(tmp_path), column("conv tree", 900), load_capture()
    monkeypatch.setattr(command, "block_of", lambda *_: None)
    monkeypatch.setattr(command, "measure", lambda *_: {"power_mw": {"total": 1.0}})
    for percent in (55.0, 60.0):
        monkeypatch.setattr(command.Asked, "layout_of", lambda *_, percent=percent: {"utilization_percent": percent})
        given = Conditions(SimpleNamespace(), capture, 32)
        made = command.laid_column(SimpleNamespace(), entry, command.Asked(SimpleNamespace(), 10.0, given), print)
        for kind, key, data in made.kept:
            store.put(kind, key, data)
    assert [kept.data["utilization_percent"] for kept in store.entries("routed")] == [55.0, 60.0]
    assert len(store.entries("power")) == 1  # before layout


def test_arrays_are_compared_with_those_of_their_size(tmp_path: Path) -> None:
    """A trial of a small array leaves the record, the layout and the comparison of a large one as they are."""
    store = Store(tmp_path)
    tree, encoded = column("conv tree", 900), column("enc m12p merged", 300, encoding="m12p")
    put(store, tree, encoded)

    def array(record: dict, columns: int, area: float) -> None:
        data = {"columns": columns, "area_um2": {"total": area}, "column_netlist_sha256": record["netlist_sha256"]}
        store.put("array", key_of(record) | {"size": columns}, data)

    def layout(record: dict, columns: int, source: Path) -> None:
        data = {"columns": columns, "column_netlist_sha256": record["netlist_sha256"]}
        store.put("routed array", key_of(record) | {"size": columns}, data, sources_of(source))

    source = tmp_path / "script.tcl"
    source.write_text("old")
    array(tree, 64, 1000), array(encoded, 64, 400), layout(encoded, 64, source)
    array(encoded, 2, 30), layout(encoded, 2, source)
    mine = next(d for d in view(store)["designs"] if d["encoding"])
    assert mine["array"]["area_reduction_percent"] == {"conv tree": 60.0} and mine["array"]["routed"]["columns"] == 64
    assert mine["arrays"]["2"]["area_reduction_percent"] == {} and mine["arrays"]["2"]["routed"]["columns"] == 2
    assert view(store)["best_conventional_array"] == "conv tree"
    source.write_text("new")
    document = view(store)
    mine = next(d for d in document["designs"] if d["encoding"])
    assert "routed" not in mine["array"] and len(document["stale"]) == 2


def test_power_belongs_to_its_netlist_and_its_workload(tmp_path: Path) -> None:
    store = Store(tmp_path)
    tree, encoded = column("conv tree", 900), column("enc m12p merged", 300, encoding="m12p")
    put(store, tree, encoded)
    for network, mw in (("resnet", 8.0), ("mobilenet", 16.0)):
        put_power(store, tree, network, mw)
        put_power(store, encoded, network, mw / 4)
    mine = next(d for d in view(store)["designs"] if d["encoding"])
    assert (mine["power_mw"]["column"], mine["activity"]["workload"]["network"]) == (4.0, "mobilenet")
    (other,) = mine["workloads"].values()
    assert other["power_mw"]["column"] == 2.0 and other["power_reduction_percent"]["conv tree"] == 75
    assert view(store)["best_conventional_power"] == "conv tree"
    # a column that was mapped anew has no power yet
    put(store, encoded | {"netlist_sha256": "another"})
    mine = next(d for d in view(store)["designs"] if d["encoding"])
    assert "power_mw" not in mine and "workloads" not in mine


def test_columns_of_other_sources_are_named_and_not_mixed(tmp_path: Path) -> None:
    source = tmp_path / "rtl.sv"
    source.write_text("old")
    store = Store(tmp_path / "reports")
    put(store, column("conv tree", 900), sources=sources_of(source))
    source.write_text("new")
    put(store, column("enc m12p merged", 300, encoding="m12p"), sources=sources_of(source))
    document = view(store)
    assert [d["design"] for d in document["designs"]] == ["enc m12p merged"]
    assert "best_conventional" not in document and document["designs"][0]["area_reduction_percent"] == {}
    (stale,) = document["stale"]
    assert stale["key"]["design"] == "conv tree" and stale["changed"] == [str(source)]


def test_known_columns_are_those_of_the_conditions(tmp_path: Path) -> None:
    store, other = Store(tmp_path), column("conv tree", 60, rows=4)
    put(store, column("conv tree", 900), other)
    assert [r["area_um2"]["total"] for r in measured(store, conditions_of(other))] == [60]
    put(store, column("enc m12p merged", 300, rows=4, encoding="m12p"))  # another m12p than the library's
    assert len(measured(store, conditions_of(other))) == 1


def test_shortest_clocks_are_compared_by_area_and_time(capsys):
    """A design of half the area at two thirds of the clock: three times the MACs of the same silicon."""
    points = [
        {"design": name, "encoding": encoding, "parameters": {"Rows": 8}, "clock_ns": clock, "wns_ns": slack}
        | {"area_um2": {"per_mac": area}}
        for name, encoding, clock, slack, area in (
            ("conv tree", None, 1.5, 0.01, 200.0),
            ("conv booth", None, 1.0, -0.1, 100.0),  # missed
            ("enc m12p merged", "m12p", 1.0, 0.0, 100.0),
        )
    ]
    print_points("fmax", points)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert [line[-3:] for line in lines] == [
        ["300.0", "1.00", "x"],
        ["100.0", "100.0", "missed"],
        ["100.0", "3.00", "x"],
    ]
    print_points("clock", points)
    assert capsys.readouterr().out.split()[-1] != "%"  # no conventional one at this clock that meets it
    print_points("clock", [points[0], points[2] | {"clock_ns": 1.5}])
    assert "-50.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--group x", "--group x is not a whole number"),
        ("--group 0", "--group 0: must be at least 1"),
        ("--group 4,-2", "--group 4,-2: must be at least 1"),
        ("--group 3", "--group 3 (GROUP=): columns of 16 rows have no such groups"),
    ],
)
def test_groups_that_cannot_be_are_refused(words, why, tmp_path):
    command = [sys.executable, "-m", "flows.synth.sweep", "clock", "--rows", "16", "--out", tmp_path, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert why in done.stderr and len(done.stderr.splitlines()) == 1


def routed(design: str, area: float, mw: float, network: str = "one", **more: object) -> dict:
    """A column with its layout."""
    activity = {"cycles": 128, "workload": {"network": network, "tiles": ["conv k0 n0"]}}
    layout = {"area_um2": {"total": area}, "power_mw": {"total": mw}, "activity": activity}
    return column(design, area, **more) | {"routed": layout}


def test_a_layout_without_that_of_its_extra_column_is_not_compared() -> None:
    """What f(a) costs belongs to it, and is not known before it is routed."""
    extra = routed("f(a) of m14p", 640.0, 6.4, encoding="m14p", shared=True)
    records = [routed("conv tree", 100.0, 1.0), routed("enc m14p merged", 30.0, 0.3, encoding="m14p"), extra]
    compare_routed(records)
    assert records[1]["routed"]["area_um2"]["column"] == 40.0 and records[1]["routed"]["power_mw"]["column"] == 0.4
    assert records[1]["routed"]["area_reduction_percent"] == {"conv tree": 60.0}
    assert records[1]["routed"]["power_reduction_percent"] == {"conv tree": 60.0}
    records = [routed("conv tree", 100.0, 1.0), routed("enc m14p merged", 30.0, 0.3, encoding="m14p")]
    compare_routed([*records, column("f(a) of m14p", 640.0, encoding="m14p", shared=True)])  # mapped only
    assert records[1]["routed"]["area_reduction_percent"] == records[1]["routed"]["power_reduction_percent"] == {}
    assert "column" not in records[1]["routed"]["area_um2"]


def test_powers_of_layouts_are_compared_on_the_same_tiles() -> None:
    records = [routed("conv tree", 100.0, 1.0), routed("conv booth", 110.0, 0.9, "two")]
    compare_routed(records)
    assert set(records[0]["routed"]["area_reduction_percent"]) == {"conv tree", "conv booth"}
    assert [list(r["routed"]["power_reduction_percent"]) for r in records] == [["conv tree"], ["conv booth"]]
