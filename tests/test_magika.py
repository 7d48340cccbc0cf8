"""Inputs of examples/magika.py: the bytes of a file that Magika takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

SPEC = importlib.util.spec_from_file_location("magika", Path(__file__).parent.parent / "examples" / "magika.py")
magika = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(magika)


def test_three_parts_of_a_file(tmp_path):
    """White space at the ends is not counted, the middle is that of what remains."""
    body = np.random.default_rng(0).integers(33, 127, 10_001).astype(np.uint8).tobytes()
    path = tmp_path / "text.py"
    path.write_bytes(b"  \n" + body + b"\n\t")
    middle = 3 + (len(body) - 512) // 2
    expected = body[:512] + (b"  \n" + body)[middle : middle + 512] + body[-512:]
    assert magika.features(path).tobytes() == expected
    path.write_bytes(body[:8000])
    assert magika.features(path) is None, "Magika pads such a file with a 257th code"


def test_files_of_a_type(tmp_path):
    for k, name in enumerate(("a.py", "b.py", "c.txt", "d.py")):
        (tmp_path / f"part{k}").mkdir()
        (tmp_path / f"part{k}" / name).write_bytes(bytes([65 + k]) * 9000)
    (tmp_path / "part0" / "b.py").write_bytes(b"z" * 9000)  # a copy of a name
    (tmp_path / "link.py").symlink_to(tmp_path / "part3" / "d.py")
    found = list(magika.of_type([tmp_path], ".py", 9))
    assert len(found) == 3 and all(f.shape == (1536,) for f in found)
    assert [f.tobytes() for f in magika.of_type([tmp_path], ".py", 2)] == [f.tobytes() for f in found[:2]]
