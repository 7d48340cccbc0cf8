"""Readers of files under attack: damaged and hostile files end in one line, never in a traceback, a hang or a crash.

Every reader gets valid files with a few random changes, of bytes or of the values inside. By default few cases, the
same in every run; `FUZZ=5000` in the environment tries that many other ones of each reader:

    FUZZ=5000 .venv/bin/python -m pytest tests/test_fuzz.py
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import UserError
from common.provenance import ROOT
from flows.platform import PLATFORMS, load_platform
from flows.power.liberty import read_library
from flows.power.simulate import read_sdf
from flows.report.facts import gather
from flows.report.records import load_records
from models.archive import open_capture
from models.emulate.native import load_library
from models.encoding import LIBRARY, from_json
from models.importers.onnx import read_onnx
from models.importers.tflite import read_tflite
from models.multiplier import load_products
from models.quant.checkpoint import ZOO, load_network, pack_header
from models.replay import load_capture
from models.search.histogram import load_histogram
from models.search.islands import load_archive
from models.search.target import load_target
from tests.example_records import archive, write_records
from tests.test_importers import float_onnx, quantised_onnx
from tests.test_power import LIBERTY
from tests.tflite_model import pooled_model, small_model

CASES = int(os.environ.get("FUZZ", "0"))
SECONDS = 20  # of one case: a reader that takes longer hangs
MEMORY = 6 << 30  # more than the process has when a case begins
JUNK = [None, True, -1, 0, 1, 255, 2**31, 2**63, -(2**63), 10**40, 0.5, -1e308, float("nan"), float("inf")]
JUNK += [
    "",
    "x",
    "../../etc",
    "9" * 5000,
    "\0",
    "é",
    [],
    {},
    [[]],
    [0] * 70,
    {"a": {}},
    "m12p",
    [[1, 2]],
    [1, "and", None],
]
SDF = """(DELAYFILE (SDFVERSION "3.0") (TIMESCALE 1ns)
 (CELL (CELLTYPE "AND2") (INSTANCE u_1/g\\[3\\])
  (DELAY (ABSOLUTE (IOPATH A Y (0.1:0.2:0.3) (0.2::0.4)) (IOPATH (posedge CLK) Y (1e-2) (2)))))
 (CELL (CELLTYPE "DFF") (INSTANCE r) (DELAY (ABSOLUTE (IOPATH B Y (::0.5))))))
"""
VCD = """$date today $end $timescale 1ps $end
$scope module bench $end $scope module dut $end
$var wire 1 ! clk_i $end $var wire 1 " \\n[0] $end $var wire 4 # bus $end
$upscope $end $upscope $end $enddefinitions $end
#0 $dumpvars 0! x" b0000 # $end
#5 1! 1" b1010 #
#10 0! 0"
#15 1!
"""


def cases(default: int) -> Callable:
    """Settings of a fuzzer: few and always the same, or as many new ones as FUZZ says."""
    return settings(
        max_examples=CASES or default,
        derandomize=not CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded() -> Iterator[None]:
    """A case that takes too long or too much memory fails."""

    def hang(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def survives(read: Callable, *arguments: object) -> bool:
    """True if the file was read, False if it was refused with one line; all else is a fault of the reader."""
    with bounded(), np.errstate(all="ignore"):
        try:
            read(*arguments)
        except UserError as error:
            assert "\n" not in str(error) and 0 < len(str(error)) < 6000
            return False
    return True


def edited(data: st.DataObject, content: bytes) -> bytes:
    """`content` with one to four changes: bytes replaced, left out, doubled, put in, the rest cut off."""
    out = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(out) - 1)))
        length = data.draw(st.sampled_from([1, 1, 2, 4, 16, 256]))
        kind = data.draw(st.sampled_from(["replace", "replace", "number", "drop", "double", "insert", "swap", "cut"]))
        if kind == "replace":
            out[at : at + 1] = data.draw(st.binary(min_size=1, max_size=4))
        elif kind == "number":
            value = data.draw(st.sampled_from([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
            out[at : at + 4] = value.to_bytes(4, "little")
        elif kind == "drop":
            del out[at : at + length]
        elif kind == "double":
            out[at:at] = out[at : at + length] * data.draw(st.sampled_from([1, 3, 50]))
        elif kind == "insert":
            out[at:at] = data.draw(
                st.sampled_from([b"(", b")", b"{", b"}", b'"', b"\n", b"\0", b"\xff", b"-1", b"1e999"])
            )
        elif kind == "swap":
            other = data.draw(st.integers(0, max(0, len(out) - 1)))
            out[at : at + length], out[other : other + length] = out[other : other + length], out[at : at + length]
        else:
            del out[at:]
    return bytes(out)


def altered(data: st.DataObject, document: object) -> object:
    """A JSON document with one to three values somewhere inside replaced, left out, or repeated."""
    document = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key, node = None, None, document
        while isinstance(node, dict | list) and node and (holder is None or data.draw(st.integers(0, 3))):
            keys = sorted(node) if isinstance(node, dict) else range(len(node))
            holder, key = node, data.draw(st.sampled_from(keys))
            node = holder[key]
        if holder is None:
            return data.draw(st.sampled_from(JUNK))
        kind = data.draw(st.sampled_from(["replace", "replace", "drop", "repeat", "nudge"]))
        if kind == "drop":
            del holder[key]
        elif kind == "repeat" and isinstance(node, list):
            holder[key] = node * data.draw(st.sampled_from([2, 40]))
        elif kind == "nudge" and isinstance(node, int):
            holder[key] = node + data.draw(st.sampled_from([-1, 1, 7, 2**16, -(2**31)]))
        else:
            holder[key] = deepcopy(data.draw(st.sampled_from(JUNK)))  # its lists may be changed in turn
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the files of a fuzzer lie."""
    return tmp_path_factory.mktemp("fuzz")


@cases(150)
@given(data=st.data())
def test_encoding(data):
    text = (LIBRARY / data.draw(st.sampled_from(["m12p.json", "and36f.json"]))).read_text()
    if data.draw(st.booleans()):
        text = json.dumps(altered(data, json.loads(text)))
    else:
        text = edited(data, text.encode()).decode(errors="replace")
    survives(lambda: from_json(text, "mine.json").product_table)


@cache
def arrays_of(path: Path) -> tuple[dict, dict]:
    """(header, other arrays) of a checkpoint or an archive of tiles."""
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return json.loads(bytes(arrays.pop("header"))), arrays


def damaged_arrays(data: st.DataObject, arrays: dict) -> dict:
    """One of the arrays has another type, shape or content, or is not there."""
    arrays = dict(arrays)
    name = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    kind = data.draw(st.sampled_from(["drop", "type", "shape", "empty", "value", "text"]))
    if kind == "drop":
        del arrays[name]
    elif kind == "type":
        arrays[name] = array.astype(data.draw(st.sampled_from([np.float64, np.uint8, np.int64, np.complex64, bool])))
    elif kind == "value":
        arrays[name] = np.full(array.shape, data.draw(st.sampled_from([0, 1, 127, -1]))).astype(array.dtype)
    else:
        arrays[name] = {"shape": array.ravel()[:-1], "empty": array[:0], "text": np.array(["x"])}[kind]
    return arrays


@pytest.mark.parametrize(
    ("read", "name"), [(load_network, "resnet20_cifar10"), (load_capture, "tiles_mobilenetv2_imagenet")]
)
def test_checkpoint_and_tiles(read, name, folder):
    path, (header, arrays) = folder / f"{name}.npz", arrays_of(ZOO / f"{name}.npz")

    @cases(40)
    @given(data=st.data())
    def attack(data):
        ways = st.sampled_from(["header", "arrays", "bytes"])
        way = data.draw(ways)
        if way == "bytes":
            path.write_bytes(edited(data, (ZOO / f"{name}.npz").read_bytes()))
        else:
            head = altered(data, header) if way == "header" else header
            rest = damaged_arrays(data, arrays) if way == "arrays" else arrays
            stored = (
                pack_header(head, rest) if isinstance(head, dict) else np.frombuffer(json.dumps(head).encode(), "u1")
            )
            np.savez(path, header=stored, **rest)
        survives(read, path)

    attack()


def npz(**arrays: np.ndarray) -> bytes:
    """Bytes of an archive."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("read", [load_histogram, load_target, load_products, open_capture], ids=lambda f: f.__name__)
def test_tables(read, folder):
    path = folder / f"{read.__name__}.npz"
    joint = np.arange(65536.0).reshape(256, 256)
    words = {"load_products": {"one": joint.astype(np.int64)}}.get(read.__name__, {"joint": joint, "coherent": joint})
    content = npz(**words)

    @cases(60)
    @given(data=st.data())
    def attack(data):
        if data.draw(st.booleans()):
            path.write_bytes(edited(data, content))
        else:
            path.write_bytes(npz(**damaged_arrays(data, words)))
        survives(read, f"{path}:one" if read is load_products else path)

    attack()


@cases(150)
@given(data=st.data())
def test_liberty(data, folder):
    path = folder / "hand.lib"
    path.write_bytes(edited(data, LIBERTY.encode()))
    survives(read_library, path, ["BUF", "AND", "DFF"])


@cases(100)
@given(data=st.data())
def test_sdf(data, folder):
    path = folder / "delays.sdf"
    path.write_bytes(edited(data, SDF.encode()))
    survives(read_sdf, path)


@cases(100)
@given(data=st.data())
def test_vcd(data, folder):
    """The reader is C++: it never says no by an exception, its counts stay within the windows."""
    path = folder / "waves.vcd"
    path.write_bytes(edited(data, VCD.encode()))
    survives(vcd_counts, path)


def vcd_counts(path: Path) -> None:
    """Transitions and times of all nets of bench.dut in two windows."""
    library = load_library(ROOT / "flows/power/vcd_count.cpp")
    library.vcd_read.restype = library.vcd_counts.restype = ctypes.c_void_p
    library.vcd_nets.restype, library.vcd_name.restype = ctypes.c_int64, ctypes.c_char_p
    begins, ends = (ctypes.c_int64 * 2)(0, 8), (ctypes.c_int64 * 2)(8, 16)
    found = ctypes.c_void_p(library.vcd_read(str(path).encode(), b"bench.dut", 2, begins, ends))
    nets = library.vcd_nets(found)
    counts = np.array(ctypes.cast(library.vcd_counts(found), ctypes.POINTER(ctypes.c_int64))[: nets * 8], np.int64)
    [library.vcd_name(found, ctypes.c_int64(net)) for net in range(nets)]
    library.vcd_free(found)
    times = counts.reshape(nets, 2, 4)[:, :, 2:]
    assert (times >= 0).all() and (times.sum(2) <= 8).all()


@cases(60)
@given(data=st.data())
def test_platform(data, folder):
    """A config.toml, without the libraries that it names."""
    place = folder / "mine"
    place.mkdir(exist_ok=True)
    text = (PLATFORMS / "osu018" / "config.toml").read_bytes()
    (place / "config.toml").write_bytes(edited(data, text))
    survives(load_platform, f"{place}/")


@cases(120)
@given(data=st.data())
def test_tflite(data, folder):
    path = folder / "model.tflite"
    content = tflite_models()[data.draw(st.integers(0, 1))]
    path.write_bytes(edited(data, content))
    survives(read_tflite, path, "mine", "cifar10")


@cache
def tflite_models() -> tuple[bytes, bytes]:
    """Two small models."""
    return small_model(), pooled_model()


@cases(60)
@given(data=st.data())
def test_onnx(data, folder, onnx_model):
    path = folder / "model.onnx"
    if data.draw(st.booleans()):
        path.write_bytes(edited(data, onnx_model))
    else:
        path.write_bytes(altered_onnx(data, onnx_model))
    survives(read_onnx, path, "mine", "cifar10")


@pytest.fixture(scope="module")
def onnx_model(tmp_path_factory) -> bytes:
    """A small quantised model."""
    return quantised_onnx(float_onnx(), tmp_path_factory.mktemp("onnx"), "QInt8").read_bytes()


def altered_onnx(data: st.DataObject, content: bytes) -> bytes:
    """A model that parses, with names, attributes, shapes or constants that do not fit."""
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["node", "drop", "attribute", "constant", "shape", "operator"]))
        node = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
        constant = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
        if kind == "node":
            names = [n for other in graph.node for n in (*other.input, *other.output)]
            node.input[data.draw(st.integers(0, len(node.input) - 1))] = data.draw(st.sampled_from(names))
        elif kind == "drop":
            del node.input[-1]
        elif kind == "attribute" and node.attribute:
            attribute = node.attribute[0]
            attribute.i = data.draw(st.sampled_from([0, -1, 7, 2**40]))
            del attribute.ints[data.draw(st.integers(0, 4)) :]
            attribute.ints.extend(data.draw(st.lists(st.sampled_from([0, -1, 1, 3, 2**33]), max_size=4)))
        elif kind == "constant":
            array = onnx.numpy_helper.to_array(constant)
            ways = [array.ravel()[:0], array.ravel(), array.astype(np.int64), np.full_like(array, -1), array[..., None]]
            constant.CopyFrom(onnx.numpy_helper.from_array(data.draw(st.sampled_from(ways)), constant.name))
        elif kind == "shape":
            size = graph.input[0].type.tensor_type.shape.dim[data.draw(st.integers(0, 3))]
            size.dim_value = data.draw(st.sampled_from([0, -1, 1, 2**40]))
        else:
            node.op_type = data.draw(st.sampled_from([n.op_type for n in graph.node]))
    return model.SerializeToString()


@cases(30)
@given(data=st.data())
def test_archive_of_a_search(data, folder):
    path = folder / "archive.json"
    path.write_text(json.dumps(altered(data, json.loads(saved_archive()))))
    survives(load_archive, path)


@cases(20)
@given(data=st.data())
def test_records_of_the_report(data, folder):
    place = folder / "records"
    place.mkdir(exist_ok=True)
    path = place / data.draw(st.sampled_from(sorted(records())))
    for name, text in records().items():
        (place / name).write_text(text)
    text = records()[path.name]
    if data.draw(st.booleans()):
        path.write_text(json.dumps(altered(data, json.loads(text))))
    else:
        path.write_bytes(edited(data, text.encode()))
    survives(lambda: gather(load_records(place)))


@cache
def saved_archive() -> str:
    """The archive of a search, as its file."""
    with TemporaryDirectory() as place:
        archive().save(Path(place) / "x.json")
        return (Path(place) / "x.json").read_text()


@cache
def records() -> dict[str, str]:
    """Every record, by the name of its file."""
    with TemporaryDirectory() as place:
        return {path.name: path.read_text() for path in write_records(Path(place) / "reports").glob("*.json")}


def test_a_reader_that_fails_is_seen(folder):
    """What the fuzzers would find: a traceback, a hang, an error of two lines."""

    def two_lines() -> None:
        raise UserError("one\ntwo")

    for read, fault in ((lambda: {}["x"], KeyError), (two_lines, AssertionError), (lambda: [0] * 2**40, MemoryError)):
        with pytest.raises(fault):
            survives(read)
    assert survives(lambda: 1)
