"""The comparison of README and docs with records, on a page and records that the tests write."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from common.errors import UserError
from tools import figures

PAGE = """
<!-- begin output: make power DESIGNS=m12p -->
| column | cells | area um2 | mW, ResNet-20 | against the best | mW, MobileNetV2 | mapped by |
|---|---|---|---|---|---|---|
| conv tree | 1,000 | 2,000 | 10.0 | +0.0 % | 20.0 | Yosys |
| enc m12p merged | 250 | 500 | 2.5 | -75.0 % | 4.0 | Yosys |
<!-- end output: make power -->
<!-- begin output: make accuracy -->
| encoding | top-1 % |
|---|---|
| `m12p` | 90.83 fine-tuned |
| `m20p` | 91.34 |
<!-- end output -->
"""


def design(name: str, cells: int, area: float, power: float) -> dict:
    """An entry of ppa.json, as far as it is looked at."""
    return {
        "design": name,
        "platform": "osu018",
        "parameters": {"Rows": 64},
        "cells": cells,
        "area_um2": {"column": area},
        "power_mw": {"column": power},
        "activity": {"workload": {"network": figures.RESNET, "tiles": ["one", "other"]}, "cycles": 256},
    }


def row(encoding: str, encoded: float, tuned: float | None) -> dict:
    """A row of accuracy.json."""
    top1 = {"encoded": encoded, "encoded_finetuned": tuned}
    return {"network": figures.RESNET, "encoding": encoding, "images": 10_000, "top1": top1}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page and records that agree."""
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(figures, "pages", lambda: [tmp_path / "page.md"])
    monkeypatch.setattr(figures, "ACCURACY", tmp_path / "kept.json")
    monkeypatch.setattr("sys.argv", ["figures", "--reports", str(tmp_path)])
    designs = [design("conv tree", 1000, 2000.3, 10.04), design("enc m12p merged", 250, 500.0, 2.5)]
    (tmp_path / "ppa.json").write_text(json.dumps({"designs": designs}))
    rows = [row("m12p", 0.9038, 0.9083), row("m20p", 0.9134, None)]
    (tmp_path / "accuracy.json").write_text(json.dumps({"rows": rows}))
    return tmp_path


def test_figures_that_agree(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert figures.main() == 0
    assert capsys.readouterr().out == "10 right, 0 wrong, 2 not measured\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("| 250 |", "| 251 |", "enc m12p merged, cells: 251; measured 250"),
        ("| 500 |", "| 480 |", "enc m12p merged, area um2: 480; measured 500"),
        ("| 250 |", "| **251** |", "enc m12p merged, cells: 251; measured 250"),
        ("-75.0 %", "-77.0 %", "against the best: -77.0 %; measured -75.0996"),
        ("90.83", "90.93", "m12p, top-1 %: 90.93 fine-tuned; measured 90.83"),
        ("91.34", "91.44", "m20p, top-1 %: 91.44; measured 91.34"),
    ],
)
def test_a_figure_that_was_changed_is_found(
    place: Path, capsys: pytest.CaptureFixture, old: str, new: str, told: str
) -> None:
    (place / "page.md").write_text(PAGE.replace(old, new))
    assert figures.main() == 1
    assert told in capsys.readouterr().out


def test_power_of_other_vectors_than_the_commands_is_none_of_its_own(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    (place / "page.md").write_text(PAGE.replace("make power DESIGNS", "make power VECTORS=64 DESIGNS"))
    assert figures.main() == 0
    without = capsys.readouterr().out
    assert without != "10 right, 0 wrong, 2 not measured\n" and " 0 wrong" in without
    document = json.loads((place / "ppa.json").read_text())
    for record in document["designs"]:
        record["activity"]["cycles"] = 128
    (place / "ppa.json").write_text(json.dumps(document))
    assert figures.main() == 0
    assert capsys.readouterr().out == "10 right, 0 wrong, 2 not measured\n"
    tiles = {"network": figures.MOBILENET, "tiles": ["one"]}
    for cycles, said in ((64, "1 right"), (128, "0 right")):
        runs = [r | {"activity": {"workload": tiles, "cycles": cycles}} for r in document["designs"]]
        (place / "ppa.json").write_text(json.dumps({"designs": runs}))
        (place / "page.md").write_text(
            "<!-- begin output: make power -->\n| column | mW, MobileNetV2 |\n|---|---|\n"
            "| conv tree | 10.04 |\n<!-- end output -->\n"
        )
        figures.main()
        assert capsys.readouterr().out.startswith(said), "its tables are of 64 vectors"


LAYOUTS = """Text with | bars |.\r
<!-- begin output: make layout PLATFORM=nangate45 DESIGNS=m14p -->\r
| column | routed um2 | routed area | `wire` mm | wire mm | setup ns |\r
|---|---:|---|---|---|---|\r
| conv tree | 9,000  | +0.000 % | `a` \\| b | **1** | 0.1 |\r
| `enc m14p merged` | 5 | -1 % | `a` | 700.0 | -0.10 |\r
| enc m9p merged | 5 | -1 % | `a` | 700.0 | -0.10 |\r
<!-- end output -->\r
<!-- begin output: make synth -->
| column | cells |
|---|---|
| conv tree | 3 |
<!-- end output: make synth -->"""


def test_tables_of_layouts_are_written_in_the_form_of_the_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, other = place / "page.md", place / "other.md"
    page.write_bytes(LAYOUTS.encode())
    other.write_text(PAGE)
    monkeypatch.setattr(figures, "pages", lambda: [other, page])
    monkeypatch.setattr("sys.argv", ["figures", "--write"])

    def laid(name: str, area: float, wire: float, setup: float) -> dict:
        routed = {"area_um2": {"total": area}, "power_mw": {"total": 1.0}, "wire_um": wire, "wns_ns": setup}
        record = design(name, 1, 900.0, 1.0) | {"platform": "nangate45", "shared": False, "routed": routed}
        return record | {"encoding": name.split()[1], "rival": None, "gated": 1}

    kept = [laid("conv tree", 1000.0, 2500.0, 0.25), laid("enc m14p merged", 400.4, 1234567.0, -0.001)]
    (place / "nangate45.json").write_text(json.dumps({"designs": kept}))
    monkeypatch.setattr(figures, "LAYOUTS", place)
    assert figures.main() == 0
    written = LAYOUTS.replace("| 9,000  |", "| 1,000  |").replace("| **1** | 0.1 |", "| **2** | 0.2 |")
    written = written.replace("| 5 | -1 % | `a` | 700.0 | -0.10 |", "| 400 | -60 % | `a` | 1,234.6 | 0.00 |", 1)
    assert page.read_bytes().decode() == written, "and all else stays: marks, ends of lines, what is unknown"
    assert other.read_text() == PAGE, "other commands have figures of their own"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("| 5 |", "| 5 (4 before) |", "'5 .4 before.' has more than one number"),
        ("| 5 |", "| 5 | 6 |", "the row of enc m14p merged has 7 cells, its table 6 columns"),
        ("<!-- end output -->", "", "page.md: the table of 'make layout .*' has no line '<!-- end output -->'"),
        ("Text", "\xff", "cannot read .*page.md"),
    ],
)
def test_a_page_that_is_not_understood_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    test_tables_of_layouts_are_written_in_the_form_of_the_page(place, monkeypatch)
    page, other = place / "page.md", place / "other.md"
    monkeypatch.setattr(figures, "pages", lambda: [other, page])
    other.write_bytes(LAYOUTS.encode())
    bad = LAYOUTS.replace(old, new, 1 if new else -1).encode("latin-1")
    page.write_bytes(bad)
    with pytest.raises(UserError, match=told):
        figures.main()
    assert page.read_bytes() == bad and other.read_bytes() == LAYOUTS.encode(), "all pages or none"


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("1,906", 112.4, "112"),
        ("8165", 1234.6, "1235"),
        ("+0.0 %", -0.04, "+0.0 %"),
        ("-0.05", 0.2, "0.20"),
        ("-75.0 %", 3.0, "+3.0 %"),
    ],
)
def test_a_figure_takes_the_form_of_the_one_before(text: str, value: float, written: str) -> None:
    assert figures.as_written(text, value) == written


def test_a_layout_of_other_conditions_is_not_compared(tmp_path: Path) -> None:
    kept = json.loads((figures.LAYOUTS / "nangate45.json").read_text())["designs"]
    mine = next(r for r in kept if r["design"] == "enc c12p merged" and "routed" in r)
    for key, value, differs in (("wire_um", 1.0, True), ("utilization_percent", 80.0, False), ("activity", {}, False)):
        changed = mine | {"routed": mine["routed"] | {"wire_um": 1.0} | {key: value}}
        (tmp_path / "ppa.json").write_text(json.dumps({"designs": [changed]}))
        found = figures.measured(tmp_path, "nangate45").layouts["enc c12p merged"]["routed"]["wire_um"]
        assert (found == 1.0) == differs, key


def test_nothing_measured_and_damaged_records(place: Path, capsys: pytest.CaptureFixture) -> None:
    (place / "accuracy.json").unlink()
    (place / "ppa.json").unlink()
    assert figures.main() == 1, "nothing was compared"
    assert capsys.readouterr().out == "0 right, 0 wrong, 12 not measured\n"
    synthesised = design("conv tree", 1000, 2000.3, 0) | {"activity": None, "power_mw": None}
    (place / "ppa.json").write_text(json.dumps({"designs": [synthesised]}))
    assert figures.main() == 0
    assert capsys.readouterr().out == "2 right, 0 wrong, 10 not measured\n"
    (place / "ppa.json").write_text('{"designs": [{}]}')
    with pytest.raises(UserError, match=r"ppa\.json: KeyError: 'platform'; run its command again"):
        figures.main()


def test_a_command_names_rows_and_zero_gating(place: Path, capsys: pytest.CaptureFixture) -> None:
    body = (
        "| column | cells |\n|---|---|\n| conv tree | 1,000 |\n| conv tree zero-gated | 1,100 |\n<!-- end output -->\n"
    )
    for option, told in (("", "1 right, 0 wrong, 1 not measured"), (" ZEROS=1", "2 right, 0 wrong, 0 not measured")):
        (place / "page.md").write_text(f"<!-- begin output: make synth ROWS=16{option} -->\n{body}")
        gated = design("conv tree zero-gated", 1100, 2100.0, 9.0)
        designs = [design("conv tree", 1000, 2000.3, 10.04), gated]
        for record in designs:
            record["parameters"] = {"Rows": 16}
        gated["parameters"]["GateZeros"] = 1
        (place / "ppa.json").write_text(json.dumps({"designs": designs}))
        assert figures.main() == 0
        assert capsys.readouterr().out == f"{told}\n"
    (place / "page.md").write_text(f"<!-- begin output: make synth -->\n{body}")
    assert figures.main() == 1
    assert capsys.readouterr().out == "0 right, 0 wrong, 2 not measured\n"


def test_records_of_other_sources_are_told(place: Path, capsys: pytest.CaptureFixture) -> None:
    record = json.loads((place / "ppa.json").read_text())
    (place / "ppa.json").write_text(json.dumps(record | {"sources": {"rtl/mult": "of then"}}))
    assert figures.main() == 0
    assert capsys.readouterr().out.startswith("ppa.json: changed since it was measured: rtl/mult\n")


def test_a_folder_that_there_is_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["figures", "--reports", str(place / "nosuch")])
    with pytest.raises(UserError, match="no folder .*nosuch; measure something first"):
        figures.main()


def test_platforms_with_a_hyphen_are_found(place: Path, capsys: pytest.CaptureFixture) -> None:
    block = PAGE.replace("make power DESIGNS", "make power PLATFORM=ihp-sg13g2 DESIGNS").split(
        "<!-- begin output: make acc"
    )[0]
    (place / "page.md").write_text(PAGE + block)
    document = json.loads((place / "ppa.json").read_text())
    document["designs"] += [d | {"platform": "ihp-sg13g2", "cells": d["cells"] + 1} for d in document["designs"]]
    (place / "ppa.json").write_text(json.dumps(document))
    assert figures.main() == 1
    out = capsys.readouterr().out
    assert "PLATFORM=ihp-sg13g2 DESIGNS=m12p: conv tree, cells: 1,000; measured 1001" in out


def test_the_layouts_of_the_docs_are_those_of_their_run(tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "layout.md"
    told = [c for c in figures.claims(page) if c.command.startswith("make layout")]
    rows = {"nangate45": 8 * 11 + 4 * 9, "asap7": 8 * 11, "sky130hd": 8 * 11}  # 4 * 9 of arrays
    for platform, count in rows.items():
        found = figures.measured(tmp_path, platform)
        mine = [claim for claim in told if f"PLATFORM={platform} " in claim.command]
        assert len(mine) == count and {figures.judge(claim, found)[0] for claim in mine} == {"right"}
    assert len(told) == sum(rows.values())
    found = figures.measured(tmp_path, "nangate45")
    power = next(c for c in told if (c.row, c.column) == ("enc m14p merged", "routed mW"))
    assert figures.judge(dataclasses.replace(power, text="5.46"), found)[0] == "wrong"


def test_accuracy_is_compared_with_the_rows_that_are_kept(place: Path, capsys: pytest.CaptureFixture) -> None:
    kept = json.loads((place / "accuracy.json").read_text())["rows"]
    (place / "kept.json").write_text(json.dumps({"rows": [row("m20p", 0.5, None), *kept[:1]]}))
    assert figures.main() == 0, "what was measured here comes first"
    # a row of correction alone, for a picture say, is none that the docs tell
    choice = [r | {"correction": {"scope": "gain"}, "choose": True} for r in kept]
    alone = choice[0] | {"choose": False, "top1": {"encoded": 0.1, "encoded_finetuned": 0.1}}
    (place / "accuracy.json").write_text(json.dumps({"rows": [*choice, alone]}))
    assert figures.main() == 0
    (place / "accuracy.json").unlink()
    assert figures.main() == 1
    assert "m20p, top-1 %: 91.34; measured 50" in capsys.readouterr().out


def test_layouts_of_arrays_have_rows_of_their_own() -> None:
    def design(name: str, area: float, rival: str | None = None) -> dict:
        routed = {"area_um2": {"total": area}, "power_mw": {"total": area / 2}, "mapped_um2": area - 1}
        sizes = {"16": {"routed": routed}, "8": {"routed": routed | {"area_um2": {"total": 9.0}}}, "4": {}}
        return {"design": name, "rival": rival, "parameters": {"Rows": 16}, "arrays": sizes}

    records = [design("conv tree", 400.0), design("conv tree w4a6", 50.0, "w4a6"), design("enc m14p merged", 100.0)]
    found = figures.Measured({}, {}, figures.arrays_of([*records, {"design": "conv booth"}]))
    claim = figures.Claim("a page", "make layout COLS=16", "array 16x16 of enc m14p merged", "routed area", "-75.0 %")
    assert figures.judge(claim, found)[0] == "right", "a rival is no baseline"
    for column, text, verdict in (("routed power", "-75.0 %", "right"), ("mapped um2", "99", "right"),
                                  ("routed um2", "101", "wrong"), ("wire mm", "1.0", "not measured")):  # fmt: skip
        assert figures.judge(dataclasses.replace(claim, column=column, text=text), found)[0] == verdict
