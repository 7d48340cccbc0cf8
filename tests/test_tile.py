"""The tile engine's model against the network's arithmetic, and broken engines against the regression."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from broken_rtl import broken_rtl
from test_sim import must_fail, run_suite

from common.errors import UserError
from models.emulate import TableEngine, exact_table
from models.encoding import load_encoding
from models.hardware.tile import EngineModel, Fault, Job, Shape, finish, layer_jobs
from models.quant.graph import Conv, Requant
from models.replay import Layer, load_capture
from tb.control.build import ROOT

ENGINE = "tile/tile_engine.sv"
# what is broken: design of the suite, text that becomes another in a file (several), what must show
MUTANTS = {
    "rounding off": (
        "conv",
        "tile/requantiser.sv",
        {"64'sd0 : half": "64'sd0 : half & 64'sd0"},
        "layer, channels 0..3, vector 0, column",
    ),
    "rounding away from zero": (
        "conv",
        "tile/requantiser.sv",
        {"64'sd0 : half": "64'sd0 : half - 64'(product_q < 0)"},
        "expected",
    ),
    "zero point after the clamp": (
        "conv",
        "tile/requantiser.sv",
        {"+ 64'($signed(zero_point_i));": ";", "32'(unclamped)": "32'(8'(unclamped + zero_point_i))"},
        "expected",
    ),
    "buffer not cleared": (
        "conv",
        "tile/tile_counter.sv",
        {"k_tile_o == '0;": "{n_tile_o, k_tile_o} == '0;"},
        "expected",
    ),
    "buffer never added": (
        "conv",
        "tile/accumulation_buffer.sv",
        {": read_q;": ": read_q & {Cols{32'd0}};"},
        "expected",
    ),
    "row mask of both ignored": (
        "conv",
        ENGINE,
        {"w_used ? w_data": "w_used || 1'b1 ? w_data", "16'(r) < last_rows": "16'(r) < last_rows || 1'b1"},
        "expected",
    ),
    "row mask of weights ignored": ("enc", ENGINE, {"w_used ? w_data": "w_used || 1'b1 ? w_data"}, "expected"),
    "row mask of activations ignored": (
        "enc",
        ENGINE,
        {"16'(r) < last_rows": "16'(r) < last_rows || 1'b1"},
        "expected",
    ),
    "parameters of the other bank": (
        "conv",
        "tile/requantiser.sv",
        {"bank_i ? multiplier_i": "!bank_i ? multiplier_i"},
        "expected",
    ),
    "weights taken without a start": (
        "conv",
        ENGINE,
        {"enable_i     (w_active)": "enable_i     (w_active || 1'b1)"},
        "nobody asked for",
    ),
    "writes while busy": (
        "conv",
        "tile/axil_registers.sv",
        {"&& (write_word == ERRORS || !busy_i)": ""},
        "response to a write",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_engine_fails(name: str, tmp_path: Path) -> None:
    array, file, changes, shown = MUTANTS[name]
    must_fail(broken_rtl(tmp_path, file, changes), tmp_path / "build", shown, "--suite", "tiny-tile", "--array", array)


def test_engine_passes(tmp_path: Path) -> None:
    code, report, text = run_suite(ROOT / "rtl", tmp_path / "build", "--suite", "tiny-tile")
    assert code == 0, text
    assert {test["name"] for test in report["tests"]} == {"tile_smoke", "tile_registers", "tile_requantiser_corners"}


BUFFER_BENCH = """
module bench;
  logic clk = 1'b0, rst_n = 1'b0, first = 1'b1, last = 1'b0, valid = 1'b0, bank;
  logic ready, out_valid, out_last;
  logic [31:0] sum;
  int taken = 0;
  always #5 clk = !clk;
  accumulation_buffer #(.Cols(1), .Depth(4)) dut (
      .clk_i(clk), .rst_ni(rst_n), .first_i(first), .final_i(last), .bank_i(1'b0), .bias_i({32'd0, 32'd1000}),
      .s_axis_tdata(32'd7), .s_axis_tvalid(valid), .s_axis_tready(ready), .s_axis_tlast(1'b1), .bank_o(bank),
      .m_axis_tdata(sum), .m_axis_tvalid(out_valid), .m_axis_tready(1'b1), .m_axis_tlast(out_last));
  always @(posedge clk) begin
    if (out_valid) begin
      $display("sum %0d after %0d vectors", sum, taken);
      $finish;
    end
    if (valid && ready) begin
      taken <= taken + 1;
      first <= 1'b0;
      last <= taken == 3;
    end
  end
  initial begin
    #22 rst_n = 1'b1;
    valid = 1'b1;
    #1000 $display("hangs");
    $finish;
  end
endmodule
"""


def run_buffer(source: Path, folder: Path) -> str:
    """What the bench prints: five tiles of one vector, one after the other without a pause."""
    bench = folder / "bench.sv"
    bench.write_text(BUFFER_BENCH)
    program = folder / "bench.vvp"
    subprocess.run(["iverilog", "-g2012", "-o", program, source, bench], check=True, timeout=1200)
    return subprocess.run(["vvp", "-n", program], capture_output=True, text=True, check=True, timeout=1200).stdout


def test_buffer_waits_for_a_vector_that_is_being_written(tmp_path: Path) -> None:
    source = ROOT / "rtl" / "tile" / "accumulation_buffer.sv"
    assert "sum 1035 after 5 vectors" in run_buffer(source, tmp_path)
    broken = tmp_path / "broken.sv"
    wait = "advance && !(write && address == address_q)"
    assert wait in source.read_text()
    broken.write_text(source.read_text().replace(wait, "advance"))
    assert "sum 1035" not in run_buffer(broken, tmp_path)


def run_layer(layer: Layer, encoding: str | None, rows: int, columns: int, depth: int, images: int) -> np.ndarray:
    """Results of a layer by the golden model: [vectors, O]."""
    chosen = load_encoding(encoding) if encoding else None
    model = EngineModel(chosen.array_table if chosen else exact_table(), rows, columns, depth)
    output = np.full((len(layer.vectors(images)), len(layer.bias)), 99, np.int8 if layer.requant else np.int32)
    for job in layer_jobs(layer, chosen, rows, columns, depth, images):
        job.place(job.results(model), output)
    assert not model.faults and not model.busy
    return output


def torch_results(layer: Layer, images: int) -> np.ndarray:
    """The same with torch's convolution in float64, which is exact here: int8 [vectors, O]."""
    top, bottom, left, right = layer.padding
    x = torch.nn.functional.pad(torch.from_numpy(layer.inputs[:images]).double(), (left, right, top, bottom))
    acc = torch.nn.functional.conv2d(
        x, torch.from_numpy(layer.weights).double(), torch.from_numpy(layer.bias).double(), layer.stride
    )
    acc = acc.permute(0, 2, 3, 1).reshape(-1, len(layer.bias)).long()
    multiplier, shift = (torch.from_numpy(v).long() for v in (layer.requant.multiplier, layer.requant.shift))
    rounded = torch.floor_divide(acc * multiplier + (1 << (shift - 1)), 1 << shift)
    return torch.clamp(rounded + layer.requant.zero_point, layer.requant.lo, layer.requant.hi).to(torch.int8).numpy()


@pytest.mark.parametrize("size", [(16, 16, 256), (7, 12, 100)])
def test_model_computes_a_layer_as_torch_does(size: tuple[int, int, int]) -> None:
    layer = load_capture().layer("layer2.0.conv1")
    assert layer.depth > size[0] and len(layer.bias) > size[1]
    assert np.array_equal(run_layer(layer, None, *size, images=1), torch_results(layer, 1))


@pytest.mark.parametrize("encoding", ["m32p", "xnor28", None])
@pytest.mark.parametrize("name", ["conv1", "linear"])
def test_model_computes_a_layer_as_the_network_does(name: str, encoding: str | None) -> None:
    layer = load_capture().layer(name)
    engine = TableEngine(load_encoding(encoding).product_table if encoding else exact_table())
    where = (layer.stride, layer.padding, layer.groups)
    node = Conv(name, "input", layer.weights, layer.bias, layer.requant, np.ones(1), 1.0, *where)
    expected = node(layer.inputs[:1], engine) if layer.requant else node.accumulate(layer.inputs[:1], engine)
    expected = expected.transpose(0, 2, 3, 1).reshape(-1, len(layer.bias))
    assert np.array_equal(run_layer(layer, encoding, 10, 6, 300, images=1), expected)


def test_bias_takes_off_what_unused_rows_add() -> None:
    class Shifted:
        array_table = exact_table() // 2 + 7
        row_constants = np.arange(256, dtype=np.int32)  # index w + 128

    layer = load_capture().layer("conv1")
    engine = TableEngine(Shifted.array_table + Shifted.row_constants)
    acc = engine(layer.inputs[:1], layer.weights, layer.stride, layer.padding)
    acc = acc.transpose(0, 2, 3, 1).reshape(-1, len(layer.bias)) + layer.bias
    assert layer.depth % 10
    model, output = EngineModel(Shifted.array_table, 10, 6, 500), np.zeros(acc.shape, np.int8)
    for part in layer_jobs(layer, Shifted, 10, 6, 500, images=1):
        part.place(part.results(model), output)
    assert np.array_equal(output, layer.requant(acc))


def test_groups_are_sets_of_columns() -> None:
    rng = np.random.default_rng(3)
    inputs, weights = (rng.integers(-128, 128, s).astype(np.int8) for s in ((1, 4, 5, 5), (6, 2, 3, 3)))
    requant = Requant(np.full(6, 1 << 30, np.int32), np.full(6, 39, np.int32))
    layer = Layer("grouped", inputs, weights, np.arange(6, dtype=np.int32), requant, groups=2)
    assert np.array_equal(run_layer(layer, None, 8, 2, 64, images=1), requant(layer.sums(1)))


def test_results_on_a_grid_are_the_engine_s_times_the_step() -> None:
    """Activations of 6 bits for the next layer: a longer shift and clamps of the coarser scale, nothing new in RTL."""
    rng = np.random.default_rng(8)
    inputs, weights = (rng.integers(-128, 128, s).astype(np.int8) for s in ((1, 4, 5, 5), (6, 4, 3, 3)))
    requant = Requant(np.full(6, 3 << 28, np.int32), np.full(6, 39, np.int32), -7, 101, 5, grid=2)
    layer = Layer("coarse", inputs, weights, np.arange(6, dtype=np.int32), requant)
    expected = requant(layer.sums(1))
    assert len(np.unique(expected)) > 10 and not (expected % 4).any()
    assert np.array_equal(run_layer(layer, None, 8, 2, 64, images=1), expected)


def job(shape: Shape, rows: int = 3, columns: int = 2) -> Job:
    """A job of ones."""
    return Job(
        shape,
        np.ones((shape.n_tiles, shape.k_tiles, rows, columns), np.int8),
        np.ones((shape.n_tiles, shape.k_tiles, shape.vectors, rows), np.int8),
        np.tile(np.array([0, 1, 1], np.int32), (shape.n_tiles, columns, 1)),
        np.tile(np.arange(columns), (shape.n_tiles, 1)),
    )


def test_sums_wrap_and_rows_are_masked() -> None:
    model = EngineModel(exact_table(), 3, 2, 8)
    wide = job(Shape(k_tiles=2, n_tiles=2, vectors=4, last_rows=1, raw=True))
    assert (wide.results(model) == 4).all()
    wide.parameters[:, :, 0] = (1 << 31) - 1
    assert (wide.results(model) == -(1 << 31) + 3).all()
    narrow = Shape(lo=-3, hi=4, zero_point=2)
    sums, parameters = np.array([[3, -3], [900, -900]]), np.tile(np.array([0, 1, 1]), (2, 1))
    assert finish(sums, parameters, narrow).tolist() == [[4, 1], [4, -3]]  # 1.5 -> 2, -1.5 -> -1: ties upwards


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"k_tiles": 0}, Fault.K_TILES),
        ({"n_tiles": 0}, Fault.N_TILES),
        ({"vectors": 9}, Fault.VECTORS),
        ({"last_rows": 4}, Fault.LAST_ROWS),
        ({"lo": 3, "hi": 2, "vectors": 0}, Fault.CLAMP | Fault.VECTORS),
    ],
)
def test_refused_sizes(changes: dict[str, int], faults: Fault) -> None:
    model = EngineModel(exact_table(), 3, 2, 8)
    shape = replace(Shape(), **changes)
    assert Shape.from_registers(shape.registers()) == shape
    assert not model.start(shape) and model.faults == faults and not model.busy
    with pytest.raises(UserError, match="refuses this layer"):
        job(Shape(vectors=9)).results(model)


def test_packets_of_the_wrong_length_are_made_right() -> None:
    model = EngineModel(exact_table(), 2, 1, 8)
    one = np.ones(2, np.int8)
    model.start(Shape(vectors=3, last_rows=2, raw=True))
    model.feed("parameters", np.array([5, 0, 1], np.int32), False)  # late: two more are dropped
    model.feed("parameters", np.array([6, 0, 1], np.int32), False)
    model.feed("parameters", np.array([7, 0, 1], np.int32), True)
    model.feed("weights", one[:1], True)  # early: the second row is zeros
    model.feed("activations", one * 9, False)
    model.feed("activations", one * 8, True)
    assert [(r.tolist(), last) for r, last in model.take_results()] == [([14], False), ([13], False), ([5], True)]
    assert model.faults == Fault.PARAMETERS_LATE | Fault.WEIGHTS_EARLY | Fault.ACTIVATIONS_EARLY
    assert not model.busy and not model.wants("weights")
    with pytest.raises(AssertionError, match="nobody asked for"):
        model.feed("weights", one[:1], True)


def test_bias_beyond_32_bits_is_refused() -> None:
    layer = load_capture().layer("conv1")
    huge = replace(layer, bias=np.full(len(layer.bias), -(1 << 31), np.int64))
    with pytest.raises(UserError, match="does not fit 32 bits"):
        next(layer_jobs(huge, None, 16, 16, 256))
    with pytest.raises(UserError, match="holds nothing"):
        next(layer_jobs(layer, None, 16, 16, 0))


BYPASS = {
    "assign s_axis_tready = !full_q;": "assign s_axis_tready = m_axis_tready;",
    "full_q || s_axis_tvalid;": "s_axis_tvalid;",
}
CONE = """
import sys
from pathlib import Path
from flows.formal.netlist import read_rtl, run_yosys
rtl = Path(sys.argv[1])
read = read_rtl("tile_engine", [rtl / "encmac_pkg.sv", *sorted((rtl / "tile").glob("*.sv"))], rtl,
                {"Rows": 2, "Cols": 1, "Depth": 2}, {})
registers = "-$dff,-$dffe,-$adff,-$adffe,-$aldff,-$mem_v2"
reached = f"w:m_axis_y_tready %coe*:{registers}"
run_yosys([read, "prep -top tile_engine -flatten", f"select -assert-any {reached} c:* %i",
           f"select -assert-none {reached} o:* %i"])
"""


@pytest.mark.parametrize("changes", [{}, BYPASS], ids=["sound", "without a skid buffer"])
def test_no_output_depends_on_the_ready_of_results(changes: dict[str, str], tmp_path: Path) -> None:
    rtl = broken_rtl(tmp_path, "tile/skid_buffer.sv", changes)
    done = subprocess.run([sys.executable, "-c", CONE, str(rtl)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ("selection is not empty" in done.stdout + done.stderr) == bool(changes), done.stdout[-500:] + done.stderr
    assert (done.returncode == 0) == (not changes), done.stdout[-500:] + done.stderr
