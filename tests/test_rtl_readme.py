"""The page about the hardware follows from the sources."""

import pytest

from common.errors import UserError
from tools import rtl_readme


def test_page_and_diagrams_are_current(monkeypatch):
    monkeypatch.setattr("sys.argv", ["rtl_readme", "--check"])
    assert rtl_readme.main() == 0


def test_a_stale_page_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["rtl_readme", "--check"])
    monkeypatch.setattr(rtl_readme, "readme", lambda: "another page")
    with pytest.raises(UserError, match=r"rtl/README.md is not current"):
        rtl_readme.main()


def test_a_module_without_latency_is_named(tmp_path, monkeypatch):
    for folder in rtl_readme.FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "mult" / "thing.sv").write_text("/// Does a thing.\nmodule thing (\n  input logic a_i\n);\nendmodule\n")
    monkeypatch.setattr(rtl_readme, "RTL", tmp_path)
    with pytest.raises(UserError, match=r"thing.sv: the header has neither"):
        rtl_readme.modules()


def test_a_module_that_nothing_verifies_is_named(monkeypatch):
    monkeypatch.setattr(rtl_readme, "TESTS", {"mac_array": "tb.tests.array"})
    with pytest.raises(UserError, match="is verified by nothing"):
        rtl_readme.table(rtl_readme.modules())
