"""Copies of the design that a test breaks."""

from __future__ import annotations

import shutil
from pathlib import Path

from tb.control.build import ROOT


def broken_rtl(folder: Path, file: str, changes: dict[str, str], once: bool = True) -> Path:
    """`folder`/rtl, a copy of the design with texts of one file replaced, the first of each.

    A text that is gone is an error of the test, and one that stands there more than once, unless `once` is False.
    """
    rtl = Path(shutil.copytree(ROOT / "rtl", folder / "rtl"))
    text = (rtl / file).read_text()
    for old, new in changes.items():
        found = text.count(old)
        assert found == 1 or (found and not once), f"{file} has {old!r} {found} times: mend this test"
        text = text.replace(old, new, 1)
    (rtl / file).write_text(text)
    return rtl
