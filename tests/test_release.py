"""One version: CITATION.cff has it, everything else that must spell it agrees."""

from __future__ import annotations

import re

from common.provenance import ROOT


def version() -> str:
    """Of this checkout."""
    return re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE).group(1)


def test_the_version_is_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", version())
    assert f"\nname: encmac::encmac:{version()}\n" in (ROOT / "encmac.core").read_text()
    released = re.findall(r"^## (\d+\.\d+\.\d+), (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    date = re.search(r"^date-released: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE).group(1)
    assert released[0] == (version(), date) and f"`v{version()}`" in (ROOT / "CHANGELOG.md").read_text()
