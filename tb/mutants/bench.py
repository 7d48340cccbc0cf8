"""What each file's mutants are tried on: small designs on Icarus that elaborate all of its branches."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from models.encoding import Encoding, Gate
from tb.control.suites import SUITES, Config

EVERY_GATE = "every_gate"  # stands for the encoding below


def every_gate() -> Encoding:
    """An encoding that has what no one of the library has alone: every type of gate, encoders of both
    operands in front of the registers, f(a) and g(w)."""
    gates = (
        Gate("xor", 1, 2),  # 16: of the activation
        Gate("nor", 0, 7),  # 17: of the activation
        Gate("xor", 8, 9),  # 18: of the weight
        Gate("andnot", 15, 10),  # 19: of the weight
        Gate("and", 16, 18),  # 20
        Gate("or", 17, 18),  # 21
        Gate("nand", 16, 19),  # 22
        Gate("xnor", 17, 19),  # 23
        Gate("xor", 3, 18),  # 24
        Gate("ornot", 3, 19),  # 25
        Gate("nor", 4, 18),  # 26
        Gate("andnot", 4, 19),  # 27
        Gate("not", 22, 22),  # 28
        Gate("buf", 26, 26),  # 29
    )
    weights = (8, -4, 5, 16, -3, 2, 1, -9, 32, 64)
    bits = (20, 21, 23, 24, 25, 27, 28, 29, 16, 18)
    return Encoding(
        "every_gate", gates, bits, weights, stored=(16, 17, 18, 19), shared=((17, 1006), (4, -900), (19, 7))
    )


CONV = Config(
    "icarus", "conv", rows=4, columns=4, tests="corners|back_pressure|random_reset|stall_patterns|back_to_back"
)
SHADOW = Config(
    "icarus",
    "conv",
    rows=4,
    columns=4,
    columns_per_stage=2,
    shadow=True,
    tests="corners|back_pressure|reset_phases|back_to_back",
)
EXACT = Config("icarus", "enc", "exact64", 2, 2, 2, tests="corners|extremes")
TREE = Config("icarus", "conv", rows=2, columns=2, form=1, tests="corners|extremes|back_pressure")
CARRY_SAVE = Config("icarus", "conv", rows=2, columns=2, form=2, shadow=True, tests="corners|back_pressure")
RECODED = Config("icarus", "conv", rows=2, columns=2, form=3, tests="corners|extremes|back_pressure")
OPT = Config("icarus", "conv", rows=2, columns=2, form=4, tests="corners|back_pressure")
# five rows on gates for four: the gates take three and two
GATED = Config("icarus", "conv", rows=5, columns=2, gated=True, tests="corners|back_pressure|random_reset")
GATED_RECODED = Config("icarus", "conv", rows=4, columns=2, form=3, gated=True, tests="corners|back_pressure")
GATED_MERGED = Config("icarus", "enc", "m12p", 4, 2, 2, gated=True, tests="corners|back_pressure")
# operands of fewer bits; activation registers that hold while activations are 0
NARROW = Config("icarus", "conv", "w5a7", rows=2, columns=2, form=3, tests="corners|extremes|back_pressure")
ZEROS = Config("icarus", "conv", rows=4, columns=2, zeros=True, tests="corners|back_pressure|random_reset")
NARROW_ZEROS = Config("icarus", "conv", "w4a7", rows=2, columns=2, form=1, zeros=True, tests="corners|extremes")
ENCODED_ZEROS = Config("icarus", "enc", "m12p", 4, 2, 2, zeros=True, tests="corners|back_pressure")
WITHOUT_F = Config("icarus", "enc", "xnor21", 2, 2, 2, merged=False, tests="corners|back_pressure")
# three groups: the first, one that others are on both sides of, the last
MERGED = Config("icarus", "enc", "m12p", 6, 2, 2, tests="corners|extremes|back_pressure|latency")
THROUGH = Config("icarus", "enc", "m12p", 6, 2, 2, sum_register=False, tests="corners|back_pressure")
COUNTED = Config("icarus", "enc", "m12p", 4, 2, 2, merged=False, shadow=True, tests="corners|extremes|reset_phases")
PROGRAMMABLE = Config("icarus", "enc", "m12p", 2, 2, 2, merged=False, programmable=True, tests="extremes|programmed")
GATES = Config("icarus", "enc", EVERY_GATE, 2, 4, 2, merged=False, columns_per_stage=2, tests="corners|all_products")
PAIRS = Config("icarus", "enc", "m12p", 1, 8, 1, tests="corners|all_products")
PAIRS_OF_ROWS = Config("icarus", "conv", rows=6, columns=2, form=5)
PAIRS_TREE = Config("icarus", "conv", rows=4, columns=2, form=6, gated=True)
NARROW_PAIRS = Config("icarus", "conv", "w6a7", rows=4, columns=2, form=5)
NARROW_PAIRS_TREE = Config("icarus", "conv", "w5a8", rows=4, columns=2, form=6)
# what modules alone or arrays show as well, and takes long in an engine, is left to them
ENGINE = Config(
    "icarus",
    "conv",
    rows=2,
    columns=2,
    depth=4,
    shadow=True,
    tests="^(?!.*(tile_layer|register_access|tiles_long|stalls_long))",
)
WIDE_ENGINE = Config(
    "icarus",
    "conv",
    rows=5,
    columns=3,
    depth=7,
    tests="smoke|requantiser|back_pressure|random_reset|utilisation|progress|counters|masks|latency|protocol",
)
# as wide as engines are built: many columns, products of an encoding, groups of rows
ENCODED_ENGINE = Config(
    "icarus", "enc", "m12p", 2, 12, 1, depth=6, columns_per_stage=3, shadow=True, tests="smoke|back_pressure"
)
LEAVES = {config.module: config for config in SUITES["leaf"] if dict(config.values).get("Depth") != 1}

# the designs of a file, in the order in which they are tried; a folder stands for its files
DESIGNS = {
    "accum/bit_counter.sv": (COUNTED,),
    "accum/position_multiplier.sv": (PROGRAMMABLE,),
    "accum/position_weights.sv": (PROGRAMMABLE,),
    "accum": (MERGED, COUNTED, CARRY_SAVE),
    "array/clock_gate.sv": (GATED, GATED_RECODED, GATED_MERGED),
    "array/array_stage.sv": (CONV, SHADOW, MERGED, GATES, GATED, GATED_RECODED, WITHOUT_F, ZEROS, ENCODED_ZEROS),
    "array/conv_column.sv": (CONV, SHADOW, TREE, CARRY_SAVE, RECODED, OPT, GATED, NARROW, PAIRS_OF_ROWS, NARROW_PAIRS),
    "array/conv_pe.sv": (CONV, SHADOW, TREE, CARRY_SAVE, RECODED, OPT, GATED, NARROW_ZEROS, ZEROS),
    "array/enc_column.sv": (MERGED, COUNTED, PROGRAMMABLE, GATED_MERGED, THROUGH, ENCODED_ENGINE),
    "array/enc_group.sv": (MERGED, COUNTED, GATES, GATED_MERGED, ENCODED_ENGINE),
    "array": (CONV, SHADOW, MERGED, GATES, PROGRAMMABLE, GATED, GATED_RECODED, OPT, WITHOUT_F, ENCODED_ENGINE),
    "array/fip_pe.sv": (PAIRS_OF_ROWS, PAIRS_TREE, NARROW_PAIRS, NARROW_PAIRS_TREE),
    "array/mac_array.sv": (
        CONV,
        SHADOW,
        MERGED,
        GATES,
        PROGRAMMABLE,
        ZEROS,
        ENCODED_ZEROS,
        OPT,
        WITHOUT_F,
        THROUGH,
        ENCODED_ENGINE,
    ),
    "encodings/exact64_pkg.sv": (EXACT,),
    "encodings/m12p_pkg.sv": (MERGED, PAIRS),
    "mult/booth_products.sv": (RECODED, OPT, NARROW),
    "mult/booth_recoder.sv": (RECODED, OPT, NARROW),
    "mult": (GATES,),
    **{f"tile/{module}.sv": (leaf, ENGINE, WIDE_ENGINE, ENCODED_ENGINE) for module, leaf in LEAVES.items()},
    "tile": (ENGINE, WIDE_ENGINE, ENCODED_ENGINE),
}


def files(rtl: Path) -> list[str]:
    """The files that are mutated: every module whose RTL is simulated, and two encodings."""
    found = [path.relative_to(rtl) for path in sorted(rtl.glob("*/*.sv"))]
    return [str(path) for path in found if str(path) in DESIGNS or str(path.parent) in DESIGNS]


def designs(file: str, folder: Path) -> tuple[Config, ...]:
    """Designs for the mutants of a file; `folder` gets the encoding with every gate."""
    configs = DESIGNS.get(file) or DESIGNS[str(Path(file).parent)]
    path = folder / f"{EVERY_GATE}.json"
    return tuple(dataclasses.replace(c, encoding=str(path)) if c.encoding == EVERY_GATE else c for c in configs)
