"""Pictures of fronts: same bytes for the same data, every point and text there, one line when it cannot be."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from common.errors import UserError
from models.encoding import library_names, load_encoding
from models.search.islands import Archive
from models.search.pareto import Point, draw, overlap, plot_archive, plot_library, undominated

SVG = "{http://www.w3.org/2000/svg}"


def texts(path) -> list[str]:
    return ["".join(node.itertext()) for node in ET.parse(path).iter(f"{SVG}text")]


def archive() -> Archive:
    front = []
    for name in ("m16p", "m20p", "m24p"):
        encoding = load_encoding(name)
        figures = encoding.figures
        values = {"cost": figures["column_area_um2"], "error": figures["noise"], "max_error": 0.01}
        front.append(values | {"encoding": encoding.to_json()})
    return Archive({}, "", 3, [], front)


def test_archive_is_drawn_with_every_m(tmp_path):
    paths = plot_archive(archive(), tmp_path, "mine")
    assert [p.name for p in paths] == ["pareto_mine.svg", "pareto_mine.png"]
    found = texts(paths[0])
    assert {"M=16", "M=20", "M=24"} <= set(found)
    assert any("noise" in text for text in found) and any("3 encodings" in text for text in found)
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pareto_mine.png", "pareto_mine.svg"]


def test_same_data_same_bytes(tmp_path):
    twice = [plot_library(tmp_path / name) for name in ("first", "second")]
    for first, second in zip(*twice, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in twice[0][0].read_bytes()
    uniform = set(texts(next(p for p in twice[0] if p.name == "pareto_library_uniform.svg")))
    drawn = {name for name in library_names() if load_encoding(name).figures["max_relative_error"] > 0}
    assert drawn <= uniform


def test_staircase_is_what_nothing_undercuts():
    points = [Point(a, e, 0.1, "") for a, e in [(1, 9), (2, 9), (3, 5), (3, 4), (4, 6), (5, 1)]]
    assert [(p.area, p.error) for p in undominated(points)] == [(1, 9), (3, 4), (5, 1)]


def test_texts_make_way_for_each_other():
    near = [Point(1000.0 * a, 1.0, 0.1, f"name{a}") for a in range(3)]
    near += [Point(500000.0, 2.0, 0.1, "far")]
    axes = draw(near[1:], "", "").axes[0]
    places = {note.get_text(): note.xyann for note in axes.texts}
    assert len({places["name1"], places["name2"]}) == 2
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3)) and not overlap((0, 0, 2, 2), (2, 0, 3, 3))


def test_nothing_to_draw_is_one_line(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        draw([Point(1.0, 0.0, 0.0, "exact")], "library", "")
    command = [sys.executable, "-m", "models.search.pareto", "--archive", str(tmp_path / "no.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another --out"):
        plot_archive(archive(), tmp_path / "file", "x")
