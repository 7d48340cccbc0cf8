"""Every model of the ONNX zoo imports, and its layers and its output are those of ONNX Runtime, bit for bit."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from common.errors import UserError
from common.provenance import ROOT
from models.emulate import ExactEngine
from models.importers.onnx import CHANNELS_LAST, channels_last, read_onnx
from models.quant.checkpoint import load_network, save_network
from models.quant.graph import QuantNetwork
from models.quant.runtime import session, shifted
from tb.replay.store import engine_words
from tests.onnx_zoo import HAND_MADE, SIZE, Case, cases
from tests.pt2e_model import STORED, write

CASES = cases()
IMAGES = np.random.default_rng(5).integers(0, 256, (3, 3, SIZE, SIZE)).astype(np.uint8)
# products that no 8-bit layer stands for: of two activations, or with weights that the tool leaves in floating point
RNG = np.random.default_rng(7)
SHARED = Path("../shared/cases/imports")
LEFT = ("both operands are activations", "are floating point", "have a scale of -", "its equation 'bnk,bnl->bkl'")
LEFT += ("this operator is not taken apart",)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """The quantiser advises to run another of its tools first."""
    caplog.set_level(logging.ERROR)


def runtime(path: Path, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime gives for the file as it is, image by image."""
    run = session(str(path), "zoo")
    given = run.get_inputs()[0]
    real = {"tensor(uint8)": images, "tensor(int8)": shifted(images)}.get(given.type)
    real = images.astype(np.float32) / np.float32(255) if real is None else real
    real = real.transpose(CHANNELS_LAST) if channels_last(tuple(given.shape)) else real
    return np.concatenate([run.run(None, {given.name: real[k : k + 1]})[0] for k in range(len(real))])


def real_result(path: Path, network: QuantNetwork, tensor: str, found: np.ndarray) -> np.ndarray:
    """Codes as the file's last DequantizeLinear reads them; other results as they are."""
    graph = onnx.load(path).graph
    stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    (last,) = [n for n in graph.node if graph.output[0].name in n.output]
    if last.op_type != "DequantizeLinear" or tensor != last.input[0]:
        return found
    scale, zero = (stored[i] for i in last.input[1:3])
    codes = shifted(found) if zero.dtype == np.uint8 else found
    return (codes.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale


def check_file(path: Path) -> None:
    """A file's codes and real results are the runtime's on 20 images; sizes that it leaves open are SIZE."""
    free = any(d.dim_param for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim[1:])
    network, made = read_onnx(path, path.stem, size=(3, SIZE, SIZE) if free else None)
    about = network.provenance["imported"]
    assert not about["differs"] and all(any(why in reason for why in LEFT) for reason in about["runtime"])
    images = np.random.default_rng(0).integers(0, 256, (20, *about["shape"])).astype(np.uint8)
    images[::2] //= 3  # dynamic quantisation has another scale for these
    found = network.run(images, ExactEngine())
    ours, theirs = real_result(path, network, made[network.nodes[-1].name], found), runtime(path, images)
    assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


def check(case: Case, folder: Path) -> None:
    """All that a case promises."""
    path = case.write(folder)
    network, made = read_onnx(path, case.name)
    about = network.provenance["imported"]
    assert not about["differs"], "layers or pieces that differ from the runtime's"
    assert all(any(why in reason for why in LEFT) for reason in about["runtime"])
    products = [
        n for n in onnx.load(path).graph.node if "MatMul" in n.op_type or "Conv" in n.op_type or "Gemm" in n.op_type
    ]
    assert len(network.mac_nodes) == len(products) - len(about["runtime"])
    found = network.run(IMAGES, ExactEngine())
    ours = real_result(path, network, made[network.nodes[-1].name], found)
    theirs = runtime(path, IMAGES)
    assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    assert len(np.unique(theirs)) > 1
    save_network(network, folder / "again.npz")
    assert np.array_equal(load_network(folder / "again.npz").run(IMAGES, ExactEngine()), found)


def test_there_are_enough_models():
    assert len(CASES) >= 150 and len({c.name for c in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES if os.environ.get("SUITE") == "full" else CASES[::5], ids=lambda c: c.name)
def test_model_equals_the_runtime(case, tmp_path):
    """All of them with `make test SUITE=full`, else one in five."""
    check(case, tmp_path)


@pytest.mark.parametrize("kind", HAND_MADE)
def test_hand_made_model_equals_the_runtime(kind, tmp_path):
    path = tmp_path / f"{kind}.onnx"
    onnx.save(HAND_MADE[kind](), path)
    check_file(path)


def test_einsums_are_layers_or_named(tmp_path):
    path = tmp_path / "einsums.onnx"
    onnx.save(HAND_MADE["einsums"](), path)
    network, _ = read_onnx(path, "einsums")
    assert [type(n).__name__ for n in network.mac_nodes] == ["Conv", "Conv", "Conv", "Linear"]
    (left,) = network.provenance["imported"]["runtime"]
    assert "its equation 'bnk,bnl->bkl' is not" in left


def test_the_page_knows_how_many_are_written_by_hand():
    assert f", {len(HAND_MADE)} written by hand" in (ROOT / "docs/networks.md").read_text()


def test_an_operator_that_multiplies_and_stays_whole_is_named(tmp_path):
    path = tmp_path / "recurrent.onnx"
    onnx.save(HAND_MADE["recurrent"](), path)
    (left,) = read_onnx(path, "recurrent")[0].provenance["imported"]["runtime"]
    assert left.startswith("LSTM '") and left.endswith("this operator is not taken apart")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/cases")
@pytest.mark.parametrize("name", sorted(p.name for p in SHARED.glob("*.onnx")))
def test_case_equals_the_runtime(name):
    check_file(SHARED / name)


def test_model_of_pt2e_equals_the_runtime(tmp_path):
    """As torch's exporter wrote it; written anew where torchao and onnxscript are installed."""
    check_file(STORED)
    if all(find_spec(package) for package in ("torchao", "onnxscript")):
        write(tmp_path / "again.onnx")
        check_file(tmp_path / "again.onnx")


def _backwards(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _unnamed(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.ClearField("name")


def _constants_as_inputs(model: onnx.ModelProto) -> None:
    value = onnx.helper.make_tensor_value_info
    model.graph.input.extend(value(i.name, i.data_type, i.dims) for i in model.graph.initializer)
    model.ir_version = 3


def _output_without_shape(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


@pytest.mark.parametrize("change", [_backwards, _unnamed, _constants_as_inputs, _output_without_shape])
def test_other_forms_of_a_file_equal_the_runtime(change, tmp_path):
    model = HAND_MADE["relu_symmetric"]()
    change(model)
    path = tmp_path / "form.onnx"
    path.write_bytes(model.SerializeToString())
    check_file(path)


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[2].input[0] = model.graph.node[5].output[0]


def _dangling(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[1] = "nowhere"


def _future(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def _no_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def _two_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(onnx.helper.make_tensor_value_info("t4", 1, None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cycle, "has a cycle: DequantizeLinear 'DequantizeLinear_2' needs 't5', which is made from its own result"),
        (_dangling, "Conv 'Conv_3' reads 'nowhere', which nothing makes"),
        (_future, "has IR version 99, newer than the [0-9]+ known here; export it with an older onnx"),
        (_no_shape, "its input 'image' has no shape; export it with one"),
        (_two_outputs, r"2 outputs; .*; cut one out of \['image'\] and \['t16', 't4'\]: onnx.utils.extract_model"),
    ],
)
def test_faults_of_a_graph_are_one_line(change, message, tmp_path):
    model = HAND_MADE["relu_symmetric"]()
    change(model)
    path = tmp_path / "fault.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=message) as caught:
        read_onnx(path, "zoo")
    assert "\n" not in str(caught.value)


def test_comparison_can_fail(tmp_path):
    path = CASES[0].write(tmp_path)
    network, made = read_onnx(path, "zoo")
    first = network.mac_nodes[0]
    changed = network.with_nodes({first.name: replace(first, bias=first.bias + 300)})
    ours = real_result(path, network, made[network.nodes[-1].name], changed.run(IMAGES, ExactEngine()))
    assert not np.array_equal(ours, runtime(path, IMAGES))


@pytest.mark.parametrize("kind", ["relu_symmetric", "clip_between_codes", "codes_moved", "two_scales_of_one_value"])
def test_layers_that_the_tile_engine_takes(kind, tmp_path):
    """With one rounding every layer that is quantised at once gives codes, of which few are not the runtime's."""
    path = tmp_path / f"{kind}.onnx"
    onnx.save(HAND_MADE[kind](), path)
    network, _ = read_onnx(path, kind, rounding="single")
    exact, _ = read_onnx(path, kind)
    raw = [sum(n.requant is None for n in net.mac_nodes) for net in (network, exact)]
    assert raw[0] == (kind == "two_scales_of_one_value") and raw[1] >= raw[0]
    for node in network.mac_nodes:
        engine_words(node.bias, node.requant)
    images = RNG.integers(0, 256, (20, 3, SIZE, SIZE)).astype(np.uint8)
    away = np.abs(network.run(images, ExactEngine()).astype(int) - exact.run(images, ExactEngine()))
    assert away.max() <= 1 and (away > 0).mean() < 0.2


def test_sums_that_are_not_exact_count_where_the_runtime_is_in_floating_point(tmp_path):
    """The runtime's own result goes on only while the sums agree with it."""
    path = tmp_path / "relu.onnx"
    onnx.save(HAND_MADE["relu_symmetric"](), path)
    network, _ = read_onnx(path, "zoo")
    raw = next(n for n in network.mac_nodes if n.requant is None)
    before = network.run(IMAGES, ExactEngine())
    changed = network.with_nodes({raw.name: replace(raw, bias=raw.bias + np.int32(2000))})
    assert not np.array_equal(changed.run(IMAGES, ExactEngine()), before)
