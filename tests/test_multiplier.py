"""Any multiplier in the place of an encoding: tables and C functions, and what is wrong with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from models import mre
from models.emulate import exact_table
from models.encoding import load_encoding
from models.multiplier import expand, load_products, relative_error

OPERANDS = np.arange(-128, 128)
TRUNCATED = np.multiply.outer(OPERANDS, OPERANDS & ~3)  # the weight's two lowest bits are ignored
SHARED = Path("../shared/cases/imports/mul_uint8_types.c").resolve()
CALLS = "uint16_t mul8s_mine(uint8_t A, uint8_t B) { return (uint16_t)cut((int8_t)A, (int8_t)B); }"
HEAD = "#include <stdint.h>\n"
FUNCTIONS = {
    "int16_t": "int16_t cut(int8_t A, int8_t B) { return A * (B & ~3); }",
    "int": "/* cut(x, y) { */ static int cut(int x, int y)\n{\n  // shift(p, q) {\n  return x * (y & ~3); }",
    "uint64_t": "uint64_t cut(const uint64_t B,const uint64_t A)\n{ return (A * (B & ~(uint64_t)3)) & 0xffff; }",
    "declared": "int cut(int a, int w);\nint cut(int a, int w) { return a * (w & ~3); }\n"
    "int main(void) { return cut(3, 4) != 12; }",
    "several": "int half(int a, int w) { return a * w / 2; }\nint cut(int a, int w) { return a * (w & ~3); }",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arrays_are_read(folder):
    np.save("cut.npy", TRUNCATED.astype(np.int16))
    np.savez("two.npz", first=TRUNCATED, second=exact_table())
    np.savez("one.npz", only=TRUNCATED)
    for name, called in (("cut.npy", "cut"), ("two.npz:first", "first"), ("one.npz", "only")):
        found = load_products(name)
        assert found.name == called and found.m is None
        for table in (found.product_table, found.array_table):
            assert table.dtype == np.int32 and np.array_equal(table, TRUNCATED)
        assert not found.row_constants.any()
    assert load_products("two.npz:second").sha256 != load_products("two.npz:first").sha256
    assert load_products("two.npz:first").sha256 == load_products("one.npz").sha256
    assert load_products("exact64").sha256 == load_encoding("exact64").sha256


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions_are_called_with_every_pair(folder, kind):
    (folder / "cut.c").write_text(HEAD + FUNCTIONS[kind])
    found = load_products("cut.c")
    assert found.name == "cut" and np.array_equal(found.product_table, TRUNCATED)
    (folder / "other.c").write_text(HEAD + FUNCTIONS[kind])
    assert np.array_equal(load_products("other.c:cut").product_table, TRUNCATED)


def test_signed_products_in_unsigned_types(folder):
    """Bit patterns of 8 and 16 bits, and helpers in the file and in a header."""
    (folder / "half.h").write_text("static int low(int v, int bits) { return v & ~bits; }\n")
    body = '#include "half.h"\nuint16_t any_name(uint8_t A, uint8_t B) { return '
    body += "(uint16_t)((int8_t)A * low((int8_t)B, 3)); }"
    (folder / "m.c").write_text(HEAD + "static int twice(int p, int q) { return p + q; }\n" + body + "\n")
    with pytest.raises(UserError, match="which function"):  # nobody calls either
        load_products("m.c")
    assert np.array_equal(load_products("m.c:any_name").table, TRUNCATED)
    (folder / "m.c").write_text(HEAD + "static int cut(int p, int q) { return p * (q & ~3); }\n" + CALLS)
    found = load_products("m.c")
    assert found.name == "mul8s_mine" and np.array_equal(found.table, TRUNCATED)


def test_unsigned_multipliers_stand_for_uint8_codes(folder):
    """What the shift by 128 brings is taken off exactly."""
    patterns = np.arange(256)
    for text in (
        "uint16_t f(uint8_t a, uint8_t w) { return a * w; }",
        "uint64_t f(uint64_t a, uint64_t w) { return a * w; }",
    ):
        (folder / "f.c").write_text(HEAD + text)
        found = load_products("f.c")
        assert np.array_equal(found.table, exact_table()) and ("unsigned" in found.source) == ("uint16" in text)
    np.save("u.npy", np.multiply.outer(patterns, patterns))
    assert np.array_equal(load_products("u.npy").table, exact_table())
    np.multiply.outer(patterns, patterns & ~1).astype("<u2").tofile("u.bin")
    lost = np.multiply.outer(patterns, patterns) - np.multiply.outer(patterns, patterns & ~1)
    assert np.array_equal(load_products("u.bin").table, exact_table() - lost)
    np.roll(TRUNCATED, 128, (0, 1)).astype("<i2").tofile("s.bin")
    assert np.array_equal(load_products("s.bin").table, TRUNCATED)
    (folder / "short.bin").write_bytes(b"12")
    with pytest.raises(UserError, match="short.bin has 2 bytes"):
        load_products("short.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: np.roll(t, 128, (0, 1)), "both operands are in two's-complement order .*np.roll"),
        (lambda t: np.roll(t, 128, 0), "activations are in two's-complement order"),
        (lambda t: np.roll(t, 128, 1).T, "activations are in two's-complement order"),
        (lambda t: t[:, ::-1], "weights are in falling order|activations are in falling order"),
        (lambda t: np.roll(t, 128, (0, 1)).astype(np.uint16), "unsigned patterns of 16 bits, operands in two's"),
        (lambda t: t.astype(np.uint16), r"unsigned patterns of 16 bits \(.* save np.load\(...\).astype\('int16'\)"),
        (lambda t: t.astype(np.int64).astype(np.uint64), r"unsigned patterns of 16 bits \("),
        (lambda t: np.random.default_rng(1).permutation(t.ravel()).reshape(256, 256), "is no multiplier's table"),
    ],
)
def test_tables_in_another_order_are_named(folder, change, message):
    np.save("t.npy", change(TRUNCATED.astype(np.int16)))
    with pytest.raises(UserError, match=message) as caught:
        load_products("t.npy")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(not SHARED.is_file(), reason="no ../shared/cases")
def test_case_of_unsigned_types():
    assert np.array_equal(load_products(str(SHARED)).table, exact_table())


def test_lists(folder):
    np.savez("two.npz", first=TRUNCATED, second=TRUNCATED)
    assert expand("m28p,two.npz,x.json") == ["m28p", "two.npz:first", "two.npz:second", "x.json"]
    assert expand("two.npz:second") == ["two.npz:second"]
    assert expand("absent.npz") == ["absent.npz"]


def test_mean_relative_error():
    assert relative_error(exact_table()) == 0
    table = exact_table().copy()
    table[128 + 2, 128 + 3] += 3  # a half of 6
    table[128, 128] = 2  # beside 0
    assert relative_error(table) == pytest.approx(2.5 / 65536)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((256, 255), np.int16), r"bad.npy is int16 \(256, 255\); expected"),
        (np.full((256, 256), 1 << 15), "bad.npy reaches 32768"),
        (np.where(np.eye(256), np.nan, 0), r"holds NaN, first at index \[0, 0\]"),
        (np.zeros((256, 256)), "is float64; products are integers"),
        (np.zeros((256, 256), bool), "expected integers"),
    ],
)
def test_bad_arrays_are_one_line(folder, array, message):
    np.save("bad.npy", array)
    with pytest.raises(UserError, match=message):
        load_products("bad.npy")


def test_bad_files_are_one_line(folder):
    np.savez("two.npz", first=TRUNCATED, second=TRUNCATED)
    np.savez("none.npz")
    np.save("cut.npy", TRUNCATED)
    (folder / "broken.npz").write_bytes(b"PK\x03\x04")
    (folder / "text.npy").write_text("1 2 3")
    (folder / "pickled.npy").write_bytes(np.lib.format.magic(1, 0))
    for name, message in (
        ("two.npz", "several tables; add which one, e.g. :first"),
        ("two.npz:third", "no table 'third'; it has: first, second"),
        ("none.npz", "holds no table"),
        ("cut.npy:first", "is one table"),
        ("absent.npy", "no file absent.npy"),
        ("broken.npz", "cannot read broken.npz"),
        ("text.npy", "cannot read text.npy"),
        ("pickled.npy", "cannot read pickled.npy"),
        ("absent", "unknown encoding"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            load_products(name)
        assert len(str(caught.value).splitlines()) == 1
    for name in ("cut.npy", "two.npz:first", "x.c:f"):
        with pytest.raises(UserError, match="has no gates"):
            load_encoding(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int one(int a) { return a; }", "no function of two operands"),
        ("int a1(int a, int w) { return 0; } int a2(int a, int w) { return 0; }", "which function. .* a1, a2"),
        ("int f(int a, int w) { return a + w; }", "are no multiplier's: their correlation with the product is"),
        ("int f(int a, int w) { return nonsense; }", "cannot compile"),
        ("int f(int a, int w) { return *(volatile int*)0; }", "the function crashed .SIGSEGV"),
        ("#include <stdlib.h>\nint f(int a, int w) { exit(0); }", "ends the program or writes to its output"),
        ("float f(int a, int w) { return 0.999f * a * w; }", "results are no integers"),
        ("int f(int a, int w) { static int n; return a * w + n++ % 7; }", "does not give the same product"),
        ("int f(int a, int w) { return 3 * a * w; }", "products of f reaches"),
    ],
)
def test_bad_functions_are_one_line(folder, text, message):
    (folder / "bad.c").write_text(HEAD + text)
    with pytest.raises(UserError, match=message) as caught:
        load_products("bad.c")
    assert len(str(caught.value).splitlines()) == 1


def test_a_function_that_never_ends_and_no_compiler(folder, monkeypatch):
    (folder / "f.c").write_text("int f(int a, int w) { for (;;); }")
    monkeypatch.setattr("models.multiplier.CALL_SECONDS", 0.2)
    with pytest.raises(UserError, match="does the function end"):
        load_products("f.c")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UserError, match="no C compiler"):
        load_products("f.c")


def test_table_and_picture_of_errors(folder, monkeypatch, capsys):
    def row(encoding: str, scope: str, top1: float, images: int = 100, **more) -> dict:
        common = {"network": "net", "dataset": "cifar10", "encoding": encoding, "images": images}
        return common | {"top1": {"int8": 0.9, "encoded": top1}, "correction": {"scope": scope}} | more

    rows = [
        row("m20p", "gain", 0.89, mean_relative_error=0.3),
        row("rough", "none", 0.1, mean_relative_error=0.02),
        row("rough", "gain", 0.75, mean_relative_error=0.02),
        row("rough", "bias", 0.7, images=10, mean_relative_error=0.02),  # not the whole test set
        row("fine", "none", 0.9, mean_relative_error=0.001),
        row("old", "none", 0.9),  # of a version that knew no error
    ]
    Path("rows.json").write_text(json.dumps({"format": "encmac-accuracy/1", "rows": rows}))
    monkeypatch.setattr(sys, "argv", ["mre", "--net", "net", "--report", "rows.json", "--out", "out"])
    mre.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| multiplier | mean relative error % | top-1 %, as it is | top-1 %, bias and gain corrected |"
    assert lines[2:5] == [
        "| fine | 0.10 | 90.00 | - |",
        "| rough | 2.00 | 10.00 | 75.00 |",
        "| m20p | 30.00 | - | 89.00 |",
    ]
    assert Path("out/mre_net.svg").read_text().count("rough") and Path("out/mre_net.png").stat().st_size > 5000
    monkeypatch.setattr(sys, "argv", ["mre", "--net", "other", "--report", "rows.json"])
    with pytest.raises(UserError, match="no rows of other in rows.json"):
        mre.main()
