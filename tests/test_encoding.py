"""models/encoding.py: the arithmetic against brute force, and every way an encoding can be wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from models.encoding import (
    ENCODING_MAGIC,
    ENCODING_NUMBERS,
    ENCODING_TABLES,
    GATES,
    PACKAGES,
    Encoding,
    Gate,
    exact64,
    export_package,
    from_json,
    library_names,
    load_encoding,
    signed_digits,
)

OPERANDS = np.arange(-128, 128)

# Every gate type, a gate that reads gates, an unread gate, weights of one and of several digits. Tests spell out its
# wires and bits, which a new gate type (at the end) changes.
SMALL = Encoding(
    name="small",
    description="all gate types",
    gates=(
        Gate("and", 0, 8),
        Gate("or", 1, 9),
        Gate("xor", 7, 15),
        Gate("nand", 2, 10),
        Gate("nor", 16, 17),
        Gate("xnor", 18, 3),
        Gate("andnot", 4, 19),
        Gate("ornot", 20, 12),
        Gate("not", 21, 0),
        Gate("buf", 22, 0),
        Gate("and", 6, 14),
    ),
    bits=(16, 20, 21, 22, 23, 24, 25, 7),
    weights=(1, -2, 64, 7, -300, 5, 1024, -4096),
    offset=-17,
)


def package_constants(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """Values of the constants of a package, and their lengths in bits."""
    value = {name: int(number) for name, number in re.findall(r"localparam int (\w+) = (-?\d+);", text)}
    length = dict.fromkeys(value, 32)
    for size, name, body in re.findall(r"localparam logic \[([\d*]+)-1:0\] (\w+) = \{(.*?)\};", text, re.DOTALL):
        value[name], length[name] = 0, 0
        for word in reversed([word.strip() for word in body.split(",")]):
            literal = re.fullmatch(r"(-?)(\d+)'([hd])(\w+)", word)
            bits = int(literal[2]) if literal else length[word]
            number = int(literal[1] + literal[4], 16 if literal[3] == "h" else 10) if literal else value[word]
            value[name] |= (number & (1 << bits) - 1) << length[name]
            length[name] += bits
        assert length[name] == np.prod([int(part) for part in size.split("*")]), name
    return value, length


def reference_gate(op: str, x: bool, y: bool) -> bool:
    """The truth of a gate, written independently of `GATES`."""
    return {
        "and": x and y,
        "or": x or y,
        "xor": x != y,
        "nand": not (x and y),
        "nor": not (x or y),
        "xnor": x == y,
        "andnot": x and not y,
        "ornot": x or not y,
        "not": not x,
        "buf": x,
    }[op]


def reference_bits(encoding: Encoding, a: int, w: int) -> list[int]:
    """Product bits of one operand pair, gate by gate."""
    wires = [bool((a & 0xFF) >> i & 1) for i in range(8)] + [bool((w & 0xFF) >> i & 1) for i in range(8)]
    for gate in encoding.gates:
        wires.append(reference_gate(gate.op, wires[gate.x], wires[gate.y]))
    return [int(wires[i]) for i in encoding.bits]


class TestArithmetic:
    def test_exact64_is_the_product(self) -> None:
        encoding = load_encoding("exact64")
        np.testing.assert_array_equal(encoding.product_table, np.multiply.outer(OPERANDS, OPERANDS))
        assert encoding.max_relative_error() == 0
        assert (encoding.m, encoding.is_power_of_two) == (64, True)
        assert encoding.operands == (tuple(range(8)), tuple(range(8, 16)))

    def test_every_gate_type_is_exercised(self) -> None:
        assert {gate.op for gate in SMALL.gates} == set(GATES)

    def test_bits_and_table_against_brute_force(self) -> None:
        rng = np.random.default_rng(1)
        corners = [(a, w) for a in (-128, -1, 0, 1, 127) for w in (-128, -1, 0, 1, 127)]
        for a, w in [*corners, *rng.integers(-128, 128, (400, 2)).tolist()]:
            bits = reference_bits(SMALL, a, w)
            assert SMALL.product_bits(np.int8(a), np.int8(w)).tolist() == bits
            row_sum = sum(s * b for s, b in zip(SMALL.weights, bits, strict=True))
            assert SMALL.array_table[a + 128, w + 128] == row_sum
            assert SMALL.product_table[a + 128, w + 128] == row_sum + SMALL.offset

    def test_counts_against_brute_force(self) -> None:
        rng = np.random.default_rng(2)
        a, w = rng.integers(-128, 128, (3, 5, 16), np.int8), rng.integers(-128, 128, 16, np.int8)
        counts = SMALL.counts(a, w)
        assert counts.shape == (3, 5, SMALL.m)
        for i, j in np.ndindex(3, 5):
            rows = [reference_bits(SMALL, int(x), int(y)) for x, y in zip(a[i, j], w, strict=True)]
            assert counts[i, j].tolist() == np.sum(rows, axis=0).tolist()
        sums = SMALL.array_table[a.astype(int) + 128, w.astype(int) + 128].sum(-1)
        np.testing.assert_array_equal(counts @ np.array(SMALL.weights), sums)

    def test_max_relative_error(self) -> None:
        worst = max(abs(int(SMALL.product_table[a + 128, w + 128]) - a * w) for a in OPERANDS for w in OPERANDS)
        assert SMALL.max_relative_error() == worst / 16384

    def test_tables_are_read_only(self) -> None:
        with pytest.raises(ValueError, match="read-only"):
            exact64().product_table[0, 0] = 1


class TestDigits:
    def test_value_and_canonical_form(self) -> None:
        for value in range(-32767, 32768, 7):
            digits = signed_digits(value)
            shifts = [shift for shift, _ in digits]
            assert sum(sign << shift for shift, sign in digits) == value
            assert {sign for _, sign in digits} <= {-1, 1}
            assert all(later - earlier >= 2 for earlier, later in pairwise(shifts)), "two digits side by side"

    def test_known_forms(self) -> None:
        assert signed_digits(0) == []
        assert signed_digits(7) == [(0, -1), (3, 1)]
        assert signed_digits(-8) == [(3, -1)]

    def test_digits_of_an_encoding(self) -> None:
        digits = SMALL.digits
        assert list(digits) == sorted(digits, key=lambda d: (d.shift, d.bit))
        weights = [sum(d.sign << d.shift for d in digits if d.bit == m) for m in range(SMALL.m)]
        assert tuple(weights) == SMALL.weights
        assert not SMALL.is_power_of_two


def recoded() -> Encoding:
    """A weight's two low bits as a stored digit, an activation's sum and a weight's sum outside the array."""
    gates = (
        Gate("xor", 8, 9),  # 16: stored
        Gate("and", 8, 9),  # 17: stored
        Gate("and", 0, 16),  # 18
        Gate("or", 18, 17),  # 19
        Gate("xor", 1, 2),  # 20: of the activation
        Gate("nor", 17, 15),  # 21: of the weight
    )
    return Encoding(
        "recoded",
        gates,
        bits=(18, 19, 17),
        weights=(5, -2, 9),
        offset=3,
        stored=(16, 17),
        shared=((20, 7), (3, -4), (21, 6), (8, -1)),
    )


class TestOperands:
    def test_only_what_product_bits_need(self) -> None:
        # gate 10 (a6, w6) is read by nobody; a0 is the ignored input of `not` and `buf`, but bit 16 reads it
        assert SMALL.operands == ((0, 1, 2, 3, 4, 7), (8, 9, 10, 12, 15))

    def test_ignored_input(self) -> None:
        gates = (Gate("not", 3, 5), Gate("buf", 9, 10))
        assert Encoding("tiny", gates, bits=(16, 17), weights=(1, 1)).operands == ((3,), (9,))

    def test_against_the_table(self) -> None:
        """An operand bit that no row holds never changes a product bit."""
        a_wires, w_wires = SMALL.operands
        a_mask, w_mask = sum(1 << i for i in a_wires), sum(1 << i - 8 for i in w_wires)
        a, w = (OPERANDS & 0xFF)[:, None], (OPERANDS & 0xFF)[None, :]
        np.testing.assert_array_equal(SMALL.product_bits(a, w), SMALL.product_bits(a & a_mask, w & w_mask))

    def test_stored_wires_take_the_place_of_operand_bits(self) -> None:
        encoding = recoded()
        assert encoding.operands == ((0,), (16, 17))
        assert encoding.row_gates == (Gate("and", 0, 16), Gate("or", 18, 17))
        assert dataclasses.replace(encoding, stored=()).operands == ((0,), (8, 9))

    def test_shared_sums(self) -> None:
        """f(a) is in what the array adds, g(w) and the offset are in the constants of a row."""
        encoding = recoded()
        for a, w in np.random.default_rng(3).integers(-128, 128, (200, 2)):
            column = sum(s * b for s, b in zip(encoding.weights, reference_bits(encoding, a, w), strict=True))
            f = 7 * ((a >> 1 ^ a >> 2) & 1) - 4 * (a >> 3 & 1)
            g = 6 * (not (w & 3 == 3 or w < 0)) - (w & 1) + 3
            assert encoding.column_table[a + 128, w + 128] == column
            assert encoding.array_table[a + 128, w + 128] == column + f
            assert encoding.row_constants[w + 128] == g
            assert encoding.product_table[a + 128, w + 128] == column + f + g

    def test_package_has_encoders_and_the_extra_column(self) -> None:
        text = recoded().to_systemverilog()
        for line in (
            "A_BITS = 1;",
            "W_BITS = 2;",
            "W_NUM_GATES = 2;",
            "NUM_GATES = 2;",
            "F_M = 2;",
            "F_NUM_GATES = 1;",
        ):
            assert f"localparam int {line}" in text
        # rows: wire 0 is a0, 1 and 2 the stored ones; gate 0 of a row: and(a0, xor), gate 1: or(it, and)
        assert f"{1 << 28 | 3 << 14 | 2:08x}, 32'h{0 << 28 | 0 << 14 | 1:08x}" in text

    def test_round_trip(self) -> None:
        assert from_json(recoded().to_json(), "recoded.json") == recoded()


class TestFiles:
    @pytest.mark.parametrize("encoding", [SMALL, exact64()], ids=lambda e: e.name)
    def test_round_trip(self, encoding: Encoding, tmp_path: Path) -> None:
        described = dataclasses.replace(
            encoding, description="Näherung", provenance={"seed": 3}, figures={"area": 1.5, "steps": [1, 2]}
        )
        path = tmp_path / f"{encoding.name}.json"
        described.save(path)
        again = load_encoding(path)
        assert again == described
        assert (again.provenance, again.figures) == (described.provenance, described.figures)
        assert again.to_json() == path.read_text(encoding="utf-8")
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("name", library_names())
    def test_committed_files_are_current(self, name: str) -> None:
        encoding = load_encoding(name)
        committed = (PACKAGES / f"{name}_pkg.sv").read_text(encoding="utf-8")
        assert committed == encoding.to_systemverilog(), "stale package; run: make encodings"

    def test_no_package_without_encoding(self) -> None:
        assert sorted(p.name for p in PACKAGES.glob("*_pkg.sv")) == [f"{n}_pkg.sv" for n in library_names()]

    def test_exact64_is_what_its_function_makes(self) -> None:
        assert load_encoding("exact64") == exact64()

    @pytest.mark.parametrize("encoding", [SMALL, recoded(), exact64()], ids=lambda e: e.name)
    def test_whole_encoding_is_laid_out_as_the_rtl_says(self, encoding: Encoding) -> None:
        """Every number and table of the package is found in ENCODING, and those of the extra column in EXTRA within."""
        layout = dict(re.findall(r"ENC_(\w+) = (\d+);", (PACKAGES.parent / "encmac_pkg.sv").read_text()))
        value, length = package_constants(encoding.to_systemverilog())

        def word(whole: str, name: str) -> int:
            return value[whole] >> int(layout[name]) & 0xFFFFFFFF

        assert f"{word('ENCODING', 'FORMAT'):08x}" == ENCODING_MAGIC.partition("h")[2]
        wholes = {"ENCODING": ""} | ({"EXTRA": "F_"} if value["F_M"] else {})
        for whole, prefix in wholes.items():
            for name in ENCODING_NUMBERS:
                given = {"A_BITS": 8, "W_BITS": 0, "A_NUM_GATES": 0, "W_NUM_GATES": 0} if prefix else {}
                assert word(whole, name) == given.get(name, value.get(prefix + name)) & 0xFFFFFFFF, name
            for name in ENCODING_TABLES:
                if prefix + name in value:
                    at, table = word(whole, f"{name}_AT"), prefix + name
                    assert value[whole] >> at & (1 << length[table]) - 1 == value[table], table
        assert word("ENCODING", "EXTRA_LENGTH") == length.get("EXTRA", 0)
        assert value["F_M"] or word("ENCODING", "EXTRA_AT") == 0

    @pytest.mark.parametrize("name", ["exact36", "m14p", "xnor36", "small", "curved"])
    def test_the_term_of_a_weight_is_in_the_package(self, name: str) -> None:
        """A function of the weight's bits, or a table where it is not linear in them."""
        product = dataclasses.replace(
            SMALL, name="curved", gates=(*SMALL.gates, Gate("and", 8, 9)), shared=((27, 5), (15, -3))
        )
        encoding = {"small": SMALL, "curved": product}.get(name) or load_encoding(name)
        text = encoding.to_systemverilog()
        (value,) = re.findall(r"^ +weight_term = (.*);$", text, re.MULTILINE)
        table = re.search(r"W_TERMS = \{(.*?)\};", text, re.DOTALL)
        assert bool(table) == (name in ("m14p", "curved"))
        for w in OPERANDS:
            if table:
                term = int(re.findall(r"32'h([0-9a-f]{8})", table.group(1))[255 - w % 256], 16)
                term -= (term >> 31) << 32
            else:
                bits = re.sub(r"w\[(\d)\] \? (-?\d+) : 0", rf"(({w % 256} >> \1) & 1) * \2", value)
                term = eval(bits)
            assert term == encoding.row_constants[w + 128]

    def test_package_text(self, tmp_path: Path) -> None:
        text = export_package(SMALL, tmp_path).read_text()
        assert "package small_pkg;" in text and text.endswith("endpackage\n")
        assert "localparam int M = 8;" in text
        assert f"MIN_SUM = {SMALL.array_table.min()};" in text
        assert f"MAX_SUM = {SMALL.array_table.max()};" in text
        # the last product bit is a7, the sixth of the six activation bits that a row holds
        assert re.search(r"BITS = \{\n    16'h0005, ", text)
        # gate 2: type xor = 2, of a7 (wire 5) and w7 (the last of five weight bits)
        assert f"32'h{2 << 28 | 5 << 14 | 10:08x}" in text


def with_changes(**changes: object) -> str:
    """The JSON text of SMALL with some fields replaced; None removes one."""
    data = json.loads(SMALL.to_json()) | changes
    return json.dumps({k: v for k, v in data.items() if v is not None})


GATE_LIST = json.loads(SMALL.to_json())["gates"]

WRONG = {
    "no JSON": ("{,}", r"my\.json: not JSON .*line 1"),
    "nested too deep": ("[" * 100_000, r"my\.json: not JSON"),
    "absurd integer": (f'{{"offset": {"9" * 5000}}}', r"my\.json: not JSON"),
    "a list": ("[]", "'format' is not 'encmac-encoding/1'"),
    "other version": (with_changes(format="encmac-encoding/2"), "another version"),
    "unknown field": (with_changes(colour="red"), "unknown field 'colour'; known: bits, "),
    "no gates": (with_changes(gates=None), "malformed encoding .*gates"),
    "no name": (with_changes(name=None), "malformed encoding .*name"),
    "name is a number": (with_changes(name=3), "malformed encoding"),
    "name with blanks": (with_changes(name="My Encoding"), "encoding 'My Encoding': the name must be"),
    "gate of two fields": (with_changes(gates=[["and", 0]]), "malformed encoding"),
    "gate type a list": (with_changes(gates=[[["and"], 0, 8]]), "malformed encoding"),
    "unknown gate type": (with_changes(gates=[["mux", 0, 8], *GATE_LIST[1:]]), "gate 0 has unknown type 'mux'; known"),
    "reads a later gate": (with_changes(gates=[["and", 0, 17], *GATE_LIST[1:]]), "gate 0 reads wire 17; .*0..15"),
    "reads itself": (with_changes(gates=[GATE_LIST[0], ["or", 17, 9], *GATE_LIST[2:]]), "gate 1 reads wire 17; "),
    "negative wire": (with_changes(gates=[["and", -1, 8], *GATE_LIST[1:]]), "gate 0 reads wire -1"),
    "half a wire": (with_changes(gates=[["and", 0.5, 8], *GATE_LIST[1:]]), "gate 0 reads wire 0.5"),
    "too many gates": (with_changes(gates=[["and", 0, 8]] * 4097), "4097 gates, at most 4096"),
    "no bits": (with_changes(bits=[], weights=[]), "0 product bits; 1..256"),
    "too many bits": (with_changes(bits=[0] * 257, weights=[1] * 257), "257 product bits; 1..256"),
    "M mismatch": (with_changes(weights=[1, 2]), "8 product bits but 2 position weights; M must agree"),
    "bit of no wire": (with_changes(bits=[0, 1, 2, 3, 4, 5, 6, 27]), "product bit 7 is wire 27; wires are 0..26"),
    "weight overflow": (with_changes(weights=[32768, 1, 1, 1, 1, 1, 1, 1]), "weight 0 is 32768; .*below 32768"),
    "weight zero": (with_changes(weights=[1, 0, 1, 1, 1, 1, 1, 1]), "position weight 1 is 0; "),
    "weight a fraction": (with_changes(weights=[1, 1.5, 1, 1, 1, 1, 1, 1]), "position weight 1 is 1.5; .*integer"),
    "weight a truth": (with_changes(weights=[1, True, 1, 1, 1, 1, 1, 1]), "position weight 1 is True"),
    "offset overflow": (with_changes(offset=-32768), "offset -32768 must be"),
    "products overflow": (with_changes(weights=[20000] * 8), "products reach .* fit 16 bits"),
    "overflow by offset": (with_changes(bits=[0], weights=[20000], offset=20000), "products reach 20000..40000"),
    "description of two lines": (with_changes(description="a\nendpackage"), "description must be one line"),
    "description a number": (with_changes(description=1), "description must be one line"),
    "stored of both operands": (with_changes(stored=[18]), "stored wire 18 depends on both"),
    "stored nowhere": (with_changes(stored=[99]), "stored wire 99; wires are 0..26"),
    "shared of both operands": (with_changes(shared=[[18, 1]]), "shared wire 18 depends on both"),
    "shared weight zero": (with_changes(shared=[[0, 0]]), "weight 0 of shared wire 0"),
    # so many of the largest weight that a sum of 32 bits wraps to what would pass
    "shared without end": (with_changes(shared=[[0, 32767]] * 131_076), "131076 shared bits, at most 256"),
    "stored without end": (with_changes(stored=[0] * 5000), "5000 stored wires, there are"),
    "shared no pair": (with_changes(shared=[3]), "malformed encoding"),
    "figures a list": (with_changes(figures=[1]), "'figures' is .*table of names"),
}  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize("case", WRONG)
    def test_names_the_cause(self, case: str) -> None:
        text, cause = WRONG[case]
        with pytest.raises(UserError, match=cause) as error:
            from_json(text, "my.json")
        assert "\n" not in str(error.value)

    def test_the_unchanged_text_is_right(self) -> None:
        assert from_json(with_changes(), "my.json") == SMALL

    def test_unknown_encoding(self) -> None:
        with pytest.raises(UserError, match="unknown encoding 'best'; known: .*exact64"):
            load_encoding("best")

    def test_other_name_inside(self, tmp_path: Path) -> None:
        (tmp_path / "mine.json").write_text(with_changes())
        with pytest.raises(UserError, match=r"mine\.json: the name inside is 'small'; rename one"):
            load_encoding(tmp_path / "mine.json")

    def test_not_text(self, tmp_path: Path) -> None:
        (tmp_path / "mine.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UserError, match="cannot read .*mine.json"):
            load_encoding(tmp_path / "mine.json")


def test_threads_may_write_the_same_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: export_package(SMALL, tmp_path), range(200)))
    assert [p.name for p in tmp_path.iterdir()] == ["small_pkg.sv"]


@pytest.mark.parametrize(
    ("gates", "bits", "what"),
    [((), (8,), "no product bit depends on the activation"), ((Gate("xor", 0, 0),), (16,), "all products are 0")],
)
def test_no_package_of_what_no_column_can_be(gates: tuple, bits: tuple, what: str, tmp_path: Path) -> None:
    encoding = Encoding("odd", gates, bits, (3,))
    with pytest.raises(UserError, match=what):
        export_package(encoding, tmp_path)
    assert not list(tmp_path.iterdir())
