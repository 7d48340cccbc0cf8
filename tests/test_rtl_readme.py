"""The page about the hardware follows from the sources."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from common.errors import UserError
from common.provenance import ROOT
from tools import rtl_readme
from tools.rtl_readme import STREAMS

INPUTS = {"s_axis_w": ("tvalid", "tlast"), "s_axis_a": ("tvalid", "tlast"), "m_axis_y": ("tready",)}
OUTPUTS = ("s_axis_w_tready", "s_axis_a_tready", "m_axis_y_tvalid", "m_axis_y_tlast")
BENCH = """module bench;
  logic clk_i = 1'b0, rst_ni = 1'b1;
  {declared}
  stream_control #(.Rows(2), .Latency(2)) dut (.clk_i(clk_i), .rst_ni(rst_ni), {connected},
                                               .advance_o(), .w_shift_o(), .w_swap_o());
  {waves}
  initial begin
    {idle}
    #5 rst_ni = 1'b0;
    #5 rst_ni = 1'b1;
    for (int t = {cycles} - 1; t >= 0; t--) begin
      #1 {driven}
      #4 $display("%b %b %b %b", {printed});
      #5 clk_i = 1'b1;
      #5 clk_i = 1'b0;
    end
    $finish;
  end
endmodule
"""


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


def simulated(waves: dict[str, str], folder: Path) -> dict[str, str]:
    """What the outputs of an array's handshakes do, cycle by cycle, when its inputs follow a diagram."""
    inputs = [f"{stream}_{signal}" for stream, signals in INPUTS.items() for signal in signals]
    cycles = len(waves[inputs[0]])
    text = BENCH.format(
        declared=f"logic {', '.join([*inputs, *OUTPUTS])};",
        connected=", ".join(f".{name}({name})" for name in [*inputs, *OUTPUTS]),
        waves="\n  ".join(f"logic [{cycles - 1}:0] {name}_wave = {cycles}'b{waves[name]};" for name in inputs),
        idle=" ".join(f"{name} = 1'b0;" for name in inputs),
        driven=" ".join(f"{name} = {name}_wave[t];" for name in inputs),
        printed=", ".join(OUTPUTS),
        cycles=cycles,
    )
    (folder / "bench.sv").write_text(text)
    command = ["iverilog", "-g2012", "-o", folder / "a.vvp", "rtl/array/stream_control.sv", folder / "bench.sv"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    done = subprocess.run(["vvp", "-n", folder / "a.vvp"], check=True, capture_output=True, text=True, timeout=300)
    rows = [line.split() for line in done.stdout.splitlines() if set(line) <= set("01xz ")]
    return dict(zip(OUTPUTS, ("".join(column) for column in zip(*rows, strict=True)), strict=True))


@pytest.mark.skipif(not shutil.which("iverilog"), reason="needs Icarus Verilog (make setup)")
def test_timing_diagram_is_what_the_array_does(tmp_path: Path) -> None:
    groups = [group[1:] for group in json.loads(STREAMS.read_text())["signal"] if isinstance(group, list)]
    waves = {}
    for signal in (signal for group in groups for signal in group if not signal["name"].endswith("tdata")):
        level = ""
        for symbol in signal["wave"]:
            level += level[-1] if symbol == "." else symbol
        waves[signal["name"]] = level
    found = simulated(waves, tmp_path)
    assert len(found["m_axis_y_tvalid"]) == len(waves["m_axis_y_tvalid"]) > 8
    assert found == {name: waves[name] for name in OUTPUTS}
