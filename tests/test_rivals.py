"""Exact products of fewer bits: encodings by the name of their widths."""

from __future__ import annotations

import numpy as np
import pytest

from models.encoding import load_encoding
from models.errors import UserError
from models.multiplier import load_products
from models.rivals import ACTIVATION_BITS, WEIGHT_BITS

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
