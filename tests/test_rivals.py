"""Exact products of fewer bits: encodings, columns of every form, what they are compared with; zero gating."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from flows.gls import column_model, simulate_column
from flows.platform import load_platform
from flows.power.activity import workload
from flows.power.circuit import PARTS, classify, read_circuit
from flows.power.measure import as_read
from flows.ppa import compare_areas
from flows.synth.measure import RIVALS, forms, measure, record, rivals_of
from models.encoding import load_encoding
from models.hardware import ColumnModel
from models.multiplier import load_products
from models.replay import load_capture
from models.rivals import ACTIVATION_BITS, WEIGHT_BITS, nearest

OPERANDS = np.arange(-128, 128)


class TestEncoding:
    @pytest.mark.parametrize("activation_bits", ACTIVATION_BITS)
    @pytest.mark.parametrize("weight_bits", WEIGHT_BITS)
    def test_is_the_exact_product_of_the_upper_bits(self, weight_bits: int, activation_bits: int) -> None:
        encoding = load_products(f"w{weight_bits}a{activation_bits}")
        a, w = (OPERANDS >> 8 - n << 8 - n for n in (activation_bits, weight_bits))
        np.testing.assert_array_equal(encoding.product_table, np.multiply.outer(a, w))
        assert encoding.is_power_of_two
        assert encoding.array_table[128, 128] == 0, "an unused row adds nothing"
        held = tuple(range(8 - activation_bits, 8)), tuple(range(16 - weight_bits, 16))
        assert encoding.operands == held, "a row holds the bits of its operands and no other"

    @pytest.mark.parametrize(("name", "bits"), [("w4a8", 18), ("w4a7", 16), ("w5a8", 26), ("w6a8", 27), ("w8a8", 36)])
    def test_number_of_product_bits(self, name: str, bits: int) -> None:
        assert load_encoding(name).m == bits

    def test_eight_bits_are_exact36(self) -> None:
        assert set(load_encoding("w8a8").gates) == set(load_encoding("exact36").gates)

    @pytest.mark.parametrize("name", ["w3a8", "w9a8", "w4a5", "w4a9"])
    def test_other_widths_are_refused_in_one_line(self, name: str) -> None:
        with pytest.raises(UserError, match=rf"^no form has '{name}': weights may have 4 to 8 bits.* 6 to 8.*w4a8$"):
            load_encoding(name)

    def test_the_package_names_where_it_is_from(self) -> None:
        first = load_encoding("w4a8").to_systemverilog().splitlines()[0]
        assert first == "// Exported from models.rivals.rival(4, 8); do not edit."


class TestColumnModel:
    """Against loops over rows."""

    @staticmethod
    def operands(rows: int = 6) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        return rng.integers(-128, 128, (9, rows), np.int8), rng.integers(-128, 128, (rows, 2), np.int8)

    @pytest.mark.parametrize("bits", [(8, 8), (4, 8), (5, 7)])
    def test_sums_of_narrow_operands(self, bits: tuple[int, int]) -> None:
        activations, weights = self.operands()
        found = ColumnModel(None, False, False, *bits).sums(activations, weights)
        for n, c in np.ndindex(*found.shape):
            a, w = (
                [int(v) // 2 ** (8 - b) * 2 ** (8 - b) for v in values]
                for values, b in ((activations[n], bits[1]), (weights[:, c], bits[0]))
            )
            assert found[n, c] == sum(x * y for x, y in zip(a, w, strict=True))

    def test_surplus_of_pairs_is_what_its_column_sends(self) -> None:
        activations, weights = self.operands()
        main, extra = (ColumnModel(None, shared, True, 5, 7) for shared in (False, True))
        sent = extra.sums(activations, weights)[:, 0]
        assert main.f_sums(activations).tolist() == (sent << 4).tolist(), "in units of the last bits: 2^(16 - 5 - 7)"
        a = activations.astype(int) >> 1
        assert sent.tolist() == (a[:, 0::2] * a[:, 1::2]).sum(1).tolist()
        w = weights.astype(int) >> 3
        constant = (w[0::2] * w[1::2]).sum(0) << 4
        plain = ColumnModel(None, False, False, 5, 7).sums(activations, weights)
        np.testing.assert_array_equal(main.sums(activations, weights), plain + constant)

    @pytest.mark.parametrize("group", [2, 6])
    def test_port_of_an_encoded_column_is_sliced_by_bits(self, group: int) -> None:
        activations, _ = self.operands()
        encoding = load_encoding("w4a7")
        port = ColumnModel(encoding).port(activations, group)
        for row, i in np.ndindex(6, 7):
            at = (row // group * 7 + i) * group + row % group
            assert (port[:, at] == (activations[:, row].astype(int) >> i + 1 & 1)).all()

    def test_zeros_are_of_the_bits_that_are_given(self) -> None:
        assert ColumnModel(None, False, False, 4, 6).zeros(np.array([0, 3, 4, -1], np.int8)).tolist() == [1, 1, 0, 0]


class TestOperands:
    def test_codes_are_rounded_and_saturate(self) -> None:
        codes = np.array([-128, -121, -120, -9, -8, 7, 8, 119, 120, 127], np.int8)
        assert nearest(codes, 4).tolist() == [-128, -128, -112, -16, 0, 0, 16, 112, 112, 112]
        assert nearest(codes, 8).tolist() == codes.tolist()

    def test_power_is_of_operands_that_a_network_would_have(self) -> None:
        table = forms(8, ["m12p"], rivals=("w4a7",))
        tiles = workload(load_capture(), 8, 16)
        assert as_read(tiles, table["conv tree"][0]) is tiles is as_read(tiles, table["enc m12p merged"][0])
        for name in ("conv tree w4a7", "enc w4a7 merged"):
            for tile, narrow in zip(tiles, as_read(tiles, table[name][0]), strict=True):
                assert (abs(narrow.weights.astype(int) - tile.weights) <= 8 + 7 * (tile.weights > 119)).all()
                assert not (narrow.weights % 16).any() and not (narrow.activations % 2).any()


class TestForms:
    def test_every_form_is_there_with_every_width(self) -> None:
        table = forms(8, ["m12p"], exact=True, rivals=("w4a8", "w5a7"), zeros=True)
        for name in ("conv booth", "conv tree", "exact OPT1-WS", "exact FIP"):
            assert {f"{name} w4a8", f"{name} w5a7 zero-gated"} <= set(table)
        assert {"enc w4a8 merged", "f(a) of w5a7", "surplus of FIP a7", "enc m12p merged zero-gated"} <= set(table)
        assert not any("f(a)" in name or "surplus" in name for name in table if name.endswith("zero-gated"))

    def test_what_may_be_asked_for(self) -> None:
        assert rivals_of("1") == RIVALS
        assert len(rivals_of("all")) == 14 and "w8a8" not in rivals_of("all")
        assert rivals_of("") == rivals_of(None) == ()
        for wrong in ("m12p", "w4a8,w3a8", "w4a9"):
            with pytest.raises(UserError, match="for example w4a8"):
                rivals_of(wrong)

    def test_rivals_are_no_baseline_and_fip_bears_its_surplus(self) -> None:
        def entry(design: str, area: float, rival: str | None = None, surplus: bool = False, **more: object) -> dict:
            fields = {"design": design, "rival": rival, "surplus": surplus, "shared": False, "encoding": None}
            fields |= {"package_sha256": None, "wns_ns": 1.0, "parameters": {"Cols": 1}}
            return fields | {"area_um2": {"total": area}} | more

        extra = entry("surplus of FIP a8", 640.0, surplus=True, shared=True, parameters={"ABits": 8})
        narrow = entry("conv tree w4a8", 60.0, "w4a8", parameters={"Cols": 1, "ABits": 8, "WBits": 4})
        records = [entry("conv tree", 100.0), narrow, entry("exact FIP", 70.0, surplus=True), extra]
        assert compare_areas(records) == "conv tree"
        assert [r["area_um2"]["column"] for r in records[:3]] == [100, 60, 80]
        assert "conv tree w4a8" not in records[0]["area_reduction_percent"]


OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_library = pytest.mark.skipif(not OSU018.is_file(), reason="the OSU 0.18 um library is not installed (make setup)")


@needs_library
@pytest.mark.parametrize(
    "name", ["conv tree w4a8", "exact FIP w5a7", "surplus of FIP a7", "conv booth w4a8 zero-gated", "enc w4a8 merged"]
)
def test_narrow_columns_are_mapped_and_simulated(name: str, tmp_path: Path) -> None:
    platform = load_platform("osu018")
    design = forms(4, [], gated=True, exact=True, rivals=("w4a8", "w5a7"), zeros=True)[name][0]
    result = measure(design, 4, platform, 10.0, tmp_path, efforts=("amap",))
    assert (result.gate.status, result.gate.matches) == ("passed", 192)
    assert record(result, platform, 10.0)["rival"] == (None if "surplus" in name else name.split()[2 - ("enc" in name)])
    operands = column_model(design)
    if name.startswith("conv"):
        kept = 4 * (operands.weight_bits + operands.activation_bits) + 4 * ("zero" in name)
        parts = classify(circuit := read_circuit(result.netlist.path, platform))
        names = [PARTS[n] for group, found in zip(circuit.groups, parts, strict=True) for n in found
                 if group.cell.state and group.cell.state.kind == "flip-flop"]  # fmt: skip
        assert sum(part in ("activation registers", "weight registers") for part in names) == kept


@needs_library
def test_a_gate_that_holds_when_it_must_not_fails(tmp_path: Path) -> None:
    platform = load_platform("osu018")
    design = forms(4, [], gated=True, rivals=("w4a8",), zeros=True)["conv tree w4a8 zero-gated"][0]
    result = measure(design, 4, platform, 10.0, tmp_path, efforts=("amap",))
    text = result.netlist.path.read_text()
    at = text.index(".D(zero_i_1)")
    result.netlist.path.write_text(text[:at] + ".D(zero_i_2)" + text[at + len(".D(zero_i_1)") :])
    assert simulate_column(result.netlist.path, design, 4, platform).status == "failed"
