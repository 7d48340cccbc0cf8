"""The emulator equals plain int64 arithmetic for any table, shape, stride and grouping."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from models.emulate import ExactEngine, GatherEngine, LowRankEngine, TableEngine, available_paths, exact_table, native
from models.emulate.features import features
from models.emulate.operands import output_size
from models.emulate.table import LOOK_UPS, NIBBLES, PATHS, ROWS, kernel_rows, kernel_shape
from models.encoding import library_names, load_encoding

RNG = np.random.default_rng(7)
ENGINES = {"table": TableEngine, "gather": GatherEngine, "low rank": LowRankEngine, "exact": lambda _: ExactEngine()}


def where_available(paths):
    """Those of `paths` that this processor has; what aarch64 has is run by an emulator below."""
    return [path for path in paths if path in available_paths()]


# images, channels, height, width, outputs, (kh, kw), stride, padding, groups
SHAPES = [
    (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    (3, 3, 9, 7, 4, (3, 3), (1, 1), (1, 1, 1, 1), 1),
    (2, 16, 32, 32, 5, (3, 3), (1, 1), (1, 1, 1, 1), 1),
    (2, 16, 16, 16, 8, (3, 3), (2, 2), (1, 1, 1, 1), 1),
    (5, 64, 8, 8, 3, (3, 3), (1, 1), (1, 1, 1, 1), 1),
    (700, 64, 1, 1, 10, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    (2, 24, 14, 14, 40, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    (2, 12, 11, 13, 12, (3, 3), (2, 2), (0, 1, 0, 1), 12),
    (2, 12, 10, 10, 24, (5, 3), (2, 3), (2, 1, 0, 2), 4),
    (1, 4, 5, 6, 2, (5, 6), (1, 1), (0, 0, 0, 0), 1),
    (2, 6, 4, 4, 4, (3, 3), (3, 1), (2, 2, 2, 2), 2),
    (3, 4, 1, 1, 6, (7, 7), (1, 1), (3, 3, 3, 3), 1),  # nearly all padding
    (3, 5, 9, 9, 7, (1, 1), (2, 2), (0, 0, 0, 0), 1),  # strides beyond the kernel
    (4, 6, 7, 8, 6, (2, 2), (3, 3), (1, 0, 2, 5), 6),
    (2, 3, 20, 20, 3, (5, 5), (1, 1), (2, 2, 2, 2), 3),
    (1, 130, 6, 6, 2, (3, 3), (1, 1), (1, 1, 1, 1), 1),  # more than 1024 rows: widened several times
]


def reference(x, weights, table, stride, padding, groups, pad_value):
    """int64 convolution, one window at a time."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=pad_value).astype(np.int64) + 128
    (outputs, depth, kh, kw), wide = weights.shape, weights.astype(np.int64) + 128
    rows, columns = (x.shape[2] - kh) // stride[0] + 1, (x.shape[3] - kw) // stride[1] + 1
    out = np.empty((len(x), outputs, rows, columns), np.int64)
    table = table.astype(np.int64)
    for o in range(outputs):
        first = o // (outputs // groups) * depth
        for i in range(rows):
            for j in range(columns):
                y, z = i * stride[0], j * stride[1]
                window = x[:, first : first + depth, y : y + kh, z : z + kw]
                out[:, o, i, j] = table[window, wide[o]].sum(axis=(1, 2, 3))
    return out


def operands(shape, lowest=-128):
    images, channels, height, width, outputs, kernel, stride, padding, groups = shape
    x = RNG.integers(lowest, 128, (images, channels, height, width)).astype(np.int8)
    weights = RNG.integers(-128, 128, (outputs, channels // groups, *kernel)).astype(np.int8)
    return x, weights, stride, padding, groups


@pytest.mark.parametrize("path", where_available(ROWS))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("lowest", [-128, 0], ids=["signed", "non_negative"])
def test_random_tables_equal_int64(path, shape, lowest):
    table = RNG.integers(-(1 << 15), 1 << 15, (256, 256))
    x, weights, stride, padding, groups = operands(shape, lowest)
    for threads, pad_value in ((1, 0), (3, -5)):
        found = TableEngine(table, threads, path)(x, weights, stride, padding, groups, pad_value)
        assert found.dtype == np.int32
        assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, pad_value))


@pytest.mark.parametrize("path", where_available(PATHS[len(ROWS) :]))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["exact36", "m32p", "m14p", "and36"])
def test_affine_tables_equal_int64(path, shape, name):
    table = load_encoding(name).product_table
    x, weights, stride, padding, groups = operands(shape)
    for threads, pad_value in ((1, 0), (3, -5)):
        found = TableEngine(table, threads, path)(x, weights, stride, padding, groups, pad_value)
        assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, pad_value))


@pytest.mark.parametrize("path", where_available(PATHS))
@pytest.mark.parametrize("name", library_names())
def test_every_encoding_of_the_library_takes_every_path(path, name):
    table = load_encoding(name).product_table
    x, weights, stride, padding, groups = operands((2, 5, 9, 7, 7, (3, 3), (2, 1), (1, 0, 2, 1), 1))
    assert path in available_paths(table)
    found = TableEngine(table, 1, path)(x, weights, stride, padding, groups, 3)
    assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, 3))


@pytest.mark.parametrize("name", library_names())
def test_terms_are_bytes_that_give_the_table(name):
    table = load_encoding(name).product_table
    terms, by_byte = features(table), np.arange(256) ^ 128
    assert terms.rank <= 9 and terms.u.dtype == np.uint8 and terms.v.dtype == np.int8
    products = terms.constant + terms.u.T.astype(int) @ terms.v.astype(int)
    assert np.array_equal(products, table[np.ix_(by_byte, by_byte)])
    assert name not in ("exact36", "exact64") or terms.rank == 1


@pytest.mark.parametrize("name", ["m14p", "m32p", "xnor28f"])
def test_the_path_of_a_layer_is_chosen_by_itself(name):
    table = load_encoding(name).product_table
    engine = TableEngine(table, 2)
    # depthwise layers take rows if no activation, and no padding, is below 0
    for lowest, pad_value in ((-128, 3), (0, -5), (0, 5)):
        for shape in SHAPES:
            x, weights, stride, padding, groups = operands(shape, lowest)
            found = engine(x, weights, stride, padding, groups, pad_value)
            assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, pad_value))


def test_a_term_of_the_activation_alone_is_the_last():
    assert features(load_encoding("m14p").product_table).shared
    assert not features(load_encoding("m32p").product_table).shared
    assert not features(exact_table()).shared


def test_other_tables_have_no_terms():
    table = exact_table()
    table[3, 5] += 1
    assert features(table) is None
    assert features(RNG.integers(-(1 << 15), 1 << 15, (256, 256))) is None
    for path in set(available_paths()) - set(ROWS):
        assert path not in available_paths(table)
        with pytest.raises(UserError, match="another kind"):
            TableEngine(table, path=path)


@pytest.mark.parametrize("path", where_available(NIBBLES))
@pytest.mark.parametrize("reach", [1, 2000, 1 << 14])
def test_random_sums_of_two_nibbles_equal_int64(path, reach):
    low, high = RNG.integers(-reach, reach, (256, 16)), RNG.integers(-reach, reach, (256, 16))
    by_byte = (high[:, :, None] + low[:, None]).reshape(256, 256)  # [weight, activation]
    table = np.clip(by_byte, -(1 << 15), (1 << 15) - 1)[np.ix_(np.arange(256) ^ 128, np.arange(256) ^ 128)].T
    for shape in SHAPES[1:9]:
        x, weights, stride, padding, groups = operands(shape)
        found = TableEngine(table, 1, path)(x, weights, stride, padding, groups, -5)
        assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, -5))
    # all sums as large as they can be, more taps than 16 bits hold
    x, weights = np.full((1, 70, 3, 5), 127, np.int8), np.full((1, 70, 2, 2), 127, np.int8)
    most = np.where(table == table, (1 << 15) - 1, 0)
    most[np.arange(256) % 16 == 0] = -(1 << 15) + 1
    if path in available_paths(most.astype(np.int32)):
        assert (TableEngine(most, 1, path)(x, weights) == 280 * ((1 << 15) - 1)).all()


@pytest.fixture(scope="module")
def aarch64(tmp_path_factory):
    """Runs a convolution of a table by a path of the kernel on an emulated aarch64."""
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    compiler = shutil.which("aarch64-linux-gnu-g++")
    if not emulator or not compiler:
        pytest.skip("needs g++ for aarch64 and its emulator: apt install g++-aarch64-linux-gnu qemu-user")
    folder = tmp_path_factory.mktemp("aarch64")
    source = Path(__file__).parent / "aarch64_conv.cpp"
    options = [option for option in native.OPTIONS if option not in ("-shared", "-fPIC")] + ["-static", "-Werror"]
    subprocess.run([compiler, *options, "-o", folder / "conv", source], check=True)

    def convolve(path, table, x, weights, stride, padding, groups, pad_value):
        rows, columns = output_size(x, weights, stride, padding, groups)
        form = kernel_rows(table, path, True)
        shape = kernel_shape(x.shape, weights.shape, stride, padding, groups, pad_value, rows, columns)
        names = [str(folder / f"{i}.bin") for i in range(7)]
        for name, array in zip(names, (x, weights, form.data, form.first, form.constant, shape), strict=False):
            array.tofile(name)
        numbers = [str(LOOK_UPS.index(path)), str(form.data[0].nbytes)]
        subprocess.run([emulator, folder / "conv", *numbers, *names], check=True, timeout=120)
        return np.fromfile(names[-1], np.int32).reshape(len(x), len(weights), rows, columns)

    return convolve


@pytest.mark.parametrize("path", ["portable", "nibbles_neon"])
@pytest.mark.parametrize("name", ["m14p", "exact36", "and60"])
def test_aarch64_equals_int64(aarch64, path, name):
    table = load_encoding(name).product_table
    for shape in (SHAPES[1], SHAPES[4], SHAPES[8], SHAPES[9], SHAPES[13], SHAPES[15]):
        x, weights, stride, padding, groups = operands(shape)
        found = aarch64(path, table, x, weights, stride, padding, groups, -5)
        assert np.array_equal(found, reference(x, weights, table, stride, padding, groups, -5))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_look_ups_in_torch_equal_int64(shape):
    table = RNG.integers(-(1 << 15), 1 << 15, (256, 256))
    operand = operands(shape)
    found = GatherEngine(table)(*operand, pad_value=-5)
    assert found.dtype == np.int32
    assert np.array_equal(found, reference(operand[0], operand[1], table, *operand[2:], pad_value=-5))


@pytest.mark.parametrize("path", where_available(PATHS))
@pytest.mark.parametrize("extreme", [-(1 << 15), (1 << 15) - 1])
def test_extreme_tables_do_not_overflow(path, extreme):
    x = np.full((1, 100, 4, 5), -128, np.int8)
    weights = np.full((2, 100, 3, 3), 127, np.int8)
    found = TableEngine(np.full((256, 256), extreme), path=path)(x, weights)
    assert (found == 900 * extreme).all()


@pytest.mark.parametrize("path", where_available(PATHS))
def test_mixed_signs_cannot_cancel_an_overflow(path):
    table = exact_table()
    x = np.full((1, 64, 1, 1), 127, np.int8)
    x[0, 32:] = -127
    weights = np.full((1, 64, 1, 1), 127, np.int8)
    assert TableEngine(table, path=path)(x, weights).item() == 0
    assert TableEngine(table, path=path)(x[:, :32], weights[:, :32]).item() == 32 * 127 * 127


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_exact_engine_equals_exact_table(shape):
    x, weights, stride, padding, groups = operands(shape)
    found = ExactEngine()(x, weights, stride, padding, groups)
    assert found.dtype == np.int32
    assert np.array_equal(found, TableEngine(exact_table())(x, weights, stride, padding, groups))


def test_exact_engine_beyond_float32():
    x = np.full((1, 1200, 1, 1), -128, np.int8)
    weights = np.full((1, 1200, 1, 1), -128, np.int8)
    weights[0, -1] = 127
    assert ExactEngine()(x, weights).item() == 1199 * 16384 - 128 * 127


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((255, 256), int), "expected integers"),
        (np.zeros((256, 256)), "expected integers"),
        (np.full((256, 256), 1 << 15), "16 bits"),
    ],
)
def test_bad_tables_are_refused(table, message):
    with pytest.raises(UserError, match=message):
        TableEngine(table)


@pytest.mark.parametrize(
    ("x", "weights", "options", "message"),
    [
        (np.zeros((1, 3, 4, 4), np.uint8), np.zeros((2, 3, 3, 3), np.int8), {}, "activations are uint8"),
        (np.zeros((1, 3, 4, 4), np.int8), np.zeros((2, 4, 3, 3), np.int8), {}, "do not fit weights"),
        (np.zeros((1, 3, 2, 4), np.int8), np.zeros((2, 3, 3, 3), np.int8), {}, "does not fit an input"),
        (np.zeros((1, 3, 4, 4), np.int8), np.zeros((2, 3, 3, 3), np.int8), {"stride": (0, 1)}, "impossible"),
        (np.zeros((0, 3, 4, 4), np.int8), np.zeros((2, 3, 3, 3), np.int8), {}, "none empty"),
        (np.zeros((1, 3, 4, 4), np.int8), np.zeros((2, 3, 3, 3), np.int8), {"pad_value": 128}, "the value 128"),
        (np.zeros((1, 3, 4, 4), np.int8), np.zeros((2, 3, 3, 3), np.int8), {"pad_value": -129}, "are -128..127"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_bad_operands_are_refused(engine, x, weights, options, message):
    with pytest.raises(UserError, match=message):
        ENGINES[engine](exact_table())(x, weights, **options)


def test_negative_threads_are_refused():
    with pytest.raises(UserError, match="^-1 threads; give 1 or more"):
        TableEngine(exact_table(), threads=-1)


def test_sums_beyond_int32_are_refused():
    x = np.zeros((1, 1 << 16, 1, 1), np.int8)
    for engine in (TableEngine, GatherEngine):
        with pytest.raises(UserError, match="do not fit int32"):
            engine(np.full((256, 256), -(1 << 15)))(x, x)


@pytest.mark.parametrize("engine", ENGINES)
def test_exact_sums_up_to_int32_and_not_beyond(engine):
    """131,071 products of -128 and -128 fit, one more does not; the matrix products of bytes stop earlier."""
    x = np.full((1, 1 << 17, 1, 1), -128, np.int8)
    with pytest.raises(UserError, match="do not fit int32"):
        ENGINES[engine](exact_table())(x, x)
    if engine != "low rank":
        assert ENGINES[engine](exact_table())(x[:, 1:], x[:, 1:]).item() == ((1 << 17) - 1) << 14


def test_no_compiler_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no C\\+\\+ compiler"):
        native.compiler()
    monkeypatch.setenv("CXX", "g++")
    monkeypatch.setattr(native, "BUILD", tmp_path)
    broken = tmp_path / "broken.cpp"
    broken.write_text("int f() { return nonsense; }")
    with pytest.raises(UserError, match="cannot compile broken.cpp"):
        native.load_library(broken)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.cpp"]


def test_threads_that_compile_at_the_same_time_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "BUILD", tmp_path / "native")
    source = tmp_path / "answer.cpp"
    source.write_text('extern "C" int answer() { return 42; }\n')
    native.load_library.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = [library.answer() for library in pool.map(native.load_library, [source] * 4)]
    assert found == [42] * 4
    assert sorted(path.suffix for path in (tmp_path / "native").iterdir()) == [".sha256", ".so"]


LOAD = """
import sys
from pathlib import Path
from models.emulate import native
native.BUILD = Path(sys.argv[1])
sources = [native.BUILD / f"{name}.cpp" for name in ("short", "altered", "unsealed")]
print(*(native.load_library(source).answer() for source in sources))
print(native.load_text("text", 'extern "C" int answer() { return 0x12345678; }', ()).answer())
"""


def test_damaged_libraries_are_compiled_again(tmp_path):
    """In processes of their own: one that maps a file cut short is killed."""
    for name in ("short", "altered", "unsealed"):
        (tmp_path / f"{name}.cpp").write_text('extern "C" int answer() { return 0x12345678; }\n')

    def answers():
        command = [sys.executable, "-c", LOAD, str(tmp_path)]
        done = subprocess.run(command, cwd=native.BUILD.parent.parent, capture_output=True, text=True)
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout.split()

    assert answers() == [str(0x12345678)] * 4
    libraries = {path.stem.partition("_")[0]: path for path in tmp_path.glob("*.so")}
    whole = {name: path.read_bytes() for name, path in libraries.items()}
    libraries["short"].write_bytes(whole["short"][: len(whole["short"]) // 3])
    for name in ("altered", "text"):
        changed = whole[name].replace(b"\x78\x56\x34\x12", b"\x79\x56\x34\x12")
        assert changed != whole[name]
        libraries[name].write_bytes(changed)
    libraries["unsealed"].with_suffix(".sha256").unlink()
    assert answers() == [str(0x12345678)] * 4
    for library in libraries.values():
        assert hashlib.sha256(library.read_bytes()).hexdigest() == library.with_suffix(".sha256").read_text().strip()
