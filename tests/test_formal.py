"""Proofs: sound designs are proven, every broken one is refuted, and nothing else counts as proven."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from flows.formal.__main__ import select
from flows.formal.induction import judge
from flows.formal.linear import Identity, Rewriter, prove
from flows.formal.mapped import mapped_proofs, verdict
from flows.formal.netlist import Netlist, NotProven, Operation, counting_patterns, evaluate, is_full_adder
from flows.formal.proofs import all_proofs, sum_width
from flows.formal.worker import Result
from flows.formal.worker import prove as prove_in_process
from flows.platform import PLATFORMS
from models.encoding import Encoding, Gate

ROOT = Path(__file__).resolve().parent.parent
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_library = pytest.mark.skipif(not OSU018.is_file(), reason="the OSU 0.18 um library is not installed (make setup)")
ENCODINGS = ["exact64", "m28p", "and36"]
SOUND = (
    "full_adder/3",
    "bit_counter/5+count",
    "bit_counter/64",
    "compressor_tree/empty_places",
    "enc_mult/exact64",
    "enc_mult/m28p",
    "position_decoder/exact64/counted",
    "position_decoder/m28p/next_group",
    "enc_column/m28p",
    "enc_column/and36+shadow",
    "stream_control/2",
    "stream_control/3+shadow",
    "delay_triangle/4falling",
    "packet_framer/3 bits",
    "tile_counter/16 bits",
    "accumulation_buffer/3 vectors",
    "skid_buffer/2 bits",
    "axil_registers/5 rows",
    "requantiser/small",
)

# proof, file of the RTL, text in it, what it becomes
MUTANTS = {
    "gate_of_another_type": (
        "enc_mult/exact64",
        "mult/enc_mult.sv",
        "gen_and\n        assign y = gen_wire[X].y & gen_wire[Y].y",
        "gen_and\n        assign y = gen_wire[X].y | gen_wire[Y].y",
    ),
    "gate_code": ("enc_mult/exact64", "encodings/exact64_pkg.sv", "32'h00000008", "32'h20000008"),
    "wires_swapped": ("enc_mult/exact64", "encodings/exact64_pkg.sv", "16'h0011, 16'h0010", "16'h0010, 16'h0011"),
    "adder_carry": ("full_adder/1", "accum/full_adder.sv", "| (z_i & (x_i ^ y_i))", "| (z_i & x_i & y_i)"),
    "carry_dropped": (
        "compressor_tree/product",
        "accum/compressor_tree.sv",
        "heap[CarryTo+:Full] = carry;",
        "heap[CarryTo+:Full] = '0;",
    ),
    "carry_of_a_half_adder": ("bit_counter/5+count", "accum/compressor_tree.sv", "= x & y;", "= x | y;"),
    "carry_one_place_too_low": ("bit_counter/64", "accum/bit_counter.sv", "row0 + row1", "row0 | row1"),
    "weight_negated": ("position_decoder/exact64/counted", "encodings/exact64_pkg.sv", "32'h003f000e", "32'h003f800e"),
    "weight_of_another_bit": (
        "position_decoder/exact64/merged",
        "encodings/exact64_pkg.sv",
        "32'h003f000e",
        "32'h003e000e",
    ),
    "complement_forgotten": (
        "position_decoder/m28p/next_group",
        "accum/position_decoder.sv",
        " ^ {SomeLanes{Negative}}",
        "",
    ),
    "constant_for_too_few_rows": (
        "position_decoder/m28p/first_group",
        "accum/position_decoder.sv",
        "Width'(ConstantLanes)",
        "Width'(Lanes)",
    ),
    "count_bits_reversed": (
        "position_decoder/exact64/counted",
        "accum/position_decoder.sv",
        "(Bit*CountWidth+j)*Lanes+:SomeLanes",
        "(Bit*CountWidth+CountWidth-1-j)*Lanes+:SomeLanes",
    ),
    "group_skipped": (
        "enc_column/m28p",
        "array/enc_column.sv",
        "assign state_in = gen_group[g-1].state;",
        "assign state_in = '0;",
    ),
    "activations_of_another_group": (
        "enc_column/m28p",
        "array/enc_column.sv",
        "a_i[g*GroupBits+:GroupBits]",
        "a_i[0+:GroupBits]",
    ),
    "weights_pass_groups_by": (
        "enc_column/m28p",
        "array/enc_column.sv",
        "w_chain[(g+1)*WPorts+:WPorts]",
        "w_chain[Groups*WPorts+:WPorts]",
    ),
    "sum_moves_under_stall": (
        "enc_column/m28p",
        "array/enc_column.sv",
        "if (advance_i) state <= state_out;",
        "state <= state_out;",
    ),
    "result_one_cycle_early": (
        "enc_column/m28p",
        "array/enc_column.sv",
        "g + 1 < Groups || SumRegister",
        "g + 1 < Groups",
    ),
    "count_lost_between_groups": ("enc_column/and36", "array/enc_group.sv", ".Accumulate(!First)", ".Accumulate(1'b0)"),
    "valid_lost_under_stall": ("stream_control/2", "array/stream_control.sv", "if (advance_o)", "if (1'b1)"),
    "valid_never_rises": ("stream_control/2", "array/stream_control.sv", "({valid_q, a_beat})", "({valid_q, 1'b0})"),
    "tlast_dropped": (
        "stream_control/2",
        "array/stream_control.sv",
        "({last_q, a_beat && s_axis_a_tlast})",
        "({last_q, 1'b0})",
    ),
    "one_step_short": (
        "stream_control/2",
        "array/stream_control.sv",
        "m_axis_y_tvalid = valid_q[Latency-1]",
        "m_axis_y_tvalid = valid_q[Latency-2]",
    ),
    "weights_while_results_wait": (
        "stream_control/2",
        "array/stream_control.sv",
        "s_axis_w_tready = state_q == LOAD",
        "s_axis_w_tready = state_q != COMPUTE",
    ),
    "activations_under_stall": (
        "stream_control/2",
        "array/stream_control.sv",
        "state_q == COMPUTE && advance_o",
        "state_q == COMPUTE",
    ),
    "next_tile_too_early": ("stream_control/2", "array/stream_control.sv", "if (valid_q == '0)", "if (1'b1)"),
    "swap_at_every_activation": ("stream_control/2+shadow", "array/stream_control.sv", "a_beat && !open_q", "a_beat"),
    "weights_overwritten": (
        "stream_control/3+shadow",
        "array/stream_control.sv",
        "!loaded_q && swapping_q == '0",
        "swapping_q == '0",
    ),
    "weights_before_the_swap_is_through": (
        "stream_control/3+shadow",
        "array/stream_control.sv",
        "!loaded_q && swapping_q == '0",
        "!loaded_q",
    ),
    "delay_under_stall": ("delay_triangle/4rising", "array/delay_triangle.sv", "if (advance_i)", "if (1'b1)"),
    "delay_one_too_many": (
        "delay_triangle/4falling",
        "array/delay_triangle.sv",
        "Falling ? Lanes - 1 - l",
        "Falling ? Lanes - l",
    ),
    "filled_with_data": (
        "packet_framer/3 bits",
        "tile/packet_framer.sv",
        "state_q == FILL ? '0 : s_axis_tdata",
        "s_axis_tdata",
    ),
    "dropped_beat_is_kept": (
        "packet_framer/3 bits",
        "tile/packet_framer.sv",
        "if (late_o) state_d = DROP",
        "if (late_o) state_d = PASS",
    ),
    "abort_leaves_a_packet": ("packet_framer/3 bits", "tile/packet_framer.sv", "if (done_o || abort_i)", "if (done_o)"),
    "tiles_in_15_bits": (
        "tile_counter/16 bits",
        "tile/tile_counter.sv",
        "== k_tiles_i - 1'b1",
        "== 16'(k_tiles_i[14:0]) - 1'b1",
    ),
    "walk_never_ends": (
        "tile_counter/16 bits",
        "tile/tile_counter.sv",
        "- 1'b1) active_o <= 1'b0",
        "- 1'b1) active_o <= 1'b1",
    ),
    "sum_saturates": (
        "accumulation_buffer/3 vectors",
        "tile/accumulation_buffer.sv",
        "assign sum[c*32+:32] = base[c*32+:32] + vector_q[c*32+:32];",
        "assign sum[c*32+:32] = (&base[c*32+:31]) && vector_q[c*32] ? base[c*32+:32] : "
        "base[c*32+:32] + vector_q[c*32+:32];",
    ),
    "entry_written_by_the_last_tile": (
        "accumulation_buffer/3 vectors",
        "tile/accumulation_buffer.sv",
        "assign write         = valid_q && !final_q",
        "assign write         = valid_q",
    ),
    "bias_of_the_bank_that_comes": (
        "accumulation_buffer/3 vectors",
        "tile/accumulation_buffer.sv",
        "(bank_o ? bias_i",
        "(bank_i ? bias_i",
    ),
    "vector_left_by_an_abort": (
        "accumulation_buffer/3 vectors",
        "tile/accumulation_buffer.sv",
        "    end else if (abort_i) begin\n      valid_q <= 1'b0;",
        "    end else if (abort_i) begin",
    ),
    "skid_takes_two": ("skid_buffer/2 bits", "tile/skid_buffer.sv", "s_axis_tready = !full_q", "s_axis_tready = 1'b1"),
    "answer_not_held": (
        "axil_registers/5 rows",
        "tile/axil_registers.sv",
        "if (s_axil_bvalid && s_axil_bready)",
        "if (s_axil_bvalid)",
    ),
    "address_overwritten": (
        "axil_registers/5 rows",
        "tile/axil_registers.sv",
        "s_axil_awready = !aw_valid_q",
        "s_axil_awready = 1'b1",
    ),
    "sizes_move_while_busy": (
        "axil_registers/5 rows",
        "tile/axil_registers.sv",
        "(write_word == ERRORS || !busy_i)",
        "(write_word != CONTROL || !busy_i)",
    ),
    "start_without_sizes": ("axil_registers/5 rows", "tile/axil_registers.sv", "start && config_errors == '0", "start"),
    "rounded_down": ("requantiser/small", "tile/requantiser.sv", "(raw_i ? 64'sd0 : half)", "64'sd0"),
    "clamp_without_sign": ("requantiser/small", "tile/requantiser.sv", "64'($signed(min_i))", "64'(min_i)"),
}


def run(name: str, rtl: Path, folder: Path, time_limit: float = 1200) -> Result:
    return prove_in_process(all_proofs(ENCODINGS)[name], ENCODINGS, None, rtl, folder, time_limit)


def run_mapped(name: str, platform: str, folder: Path) -> Result:
    return prove_in_process(mapped_proofs(["m12p"], platform)[name], ["m12p"], platform, ROOT / "rtl", folder, 1200)


def broken(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the RTL with one text replaced, the first if there are several."""
    return broken_rtl(folder, file, {old: new}, once=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "flows.formal", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=1200)


@pytest.mark.parametrize("name", SOUND)
def test_sound_rtl_is_proven(tmp_path: Path, name: str) -> None:
    result = run(name, ROOT / "rtl", tmp_path)
    assert result.result == "proven", result.detail


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_is_refuted(tmp_path: Path, mutant: str) -> None:
    name, file, old, new = MUTANTS[mutant]
    result = run(name, broken(tmp_path, file, old, new), tmp_path)
    assert result.result == "refuted", result.detail
    assert result.detail


def test_proof_over_an_unreachable_state_is_void(tmp_path: Path) -> None:
    rtl = broken(tmp_path, "formal/stream_control_props.sv", "assume (started_q || !rst_ni)", "assume (!rst_ni)")
    result = run("stream_control/1", rtl, tmp_path)
    assert result.result == "error"
    assert "not reached" in result.detail


def test_no_sum_is_proven_with_adders_that_do_not_add(tmp_path: Path) -> None:
    rtl = broken(tmp_path, "accum/full_adder.sv", "(x_i & y_i) |", "(x_i & y_i) ^ z_i |")
    result = run("bit_counter/64", rtl, tmp_path)
    assert result.result == "error"
    assert "is no full adder" in result.detail


def test_rtl_that_does_not_elaborate_is_an_error(tmp_path: Path) -> None:
    result = run("full_adder/1", broken(tmp_path, "accum/full_adder.sv", "assign", "assing"), tmp_path)
    assert result.result == "error"
    assert "full_adder.sv" in result.detail


def test_timeout_fails_the_command(tmp_path: Path) -> None:
    assert command("--proof", "full_adder/1", "--out", str(tmp_path)).returncode == 0
    done = command("--proof", "stream_control/8", "--time-limit", "0.5", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "NOT proven: stream_control/8" in done.stdout
    records = json.loads((tmp_path / "reports" / "formal.json").read_text())
    assert [r["result"] for r in records["proofs"]] == ["proven", "timeout"]
    assert (records["proven"], records["total"]) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--proof", "enc_mul"], "unknown proof 'enc_mul'; did you mean enc_mult? known: "),
        (["--encoding", "m7"], "unknown encoding 'm7'"),
        (["--rtl", "models"], "holds no encmac_pkg.sv"),
        (["--jobs", "0"], "--jobs 0: must be at least 1"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


def test_own_encoding_file(tmp_path: Path) -> None:
    """One that holds a function of the weight, and sums bits of activation and weight outside the column."""
    gates = (Gate("xor", 9, 10), Gate("and", 7, 16), Gate("nor", 3, 4))
    own = Encoding("mine", gates, (17, 0), (-96, 5), 7, stored=(16,), shared=((18, 3), (1, -2), (16, 11)))
    assert own.operands == ((0, 7), (16,))
    own.save(tmp_path / "mine.json")
    done = command("--encoding", str(tmp_path / "mine.json"), "--proof", "enc_mult", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "enc_mult/mine" in done.stdout


def test_own_encoding_of_the_activation_alone(tmp_path: Path) -> None:
    """No bit of the weight is held in a row: of fewer ports, proven all the same, merged and counted."""
    gates = (Gate("xor", 7, 6), Gate("and", 5, 4), Gate("nor", 3, 4))
    files = []
    for name, weights in (("powers", (-64, 4, 64, 1)), ("counts", (-96, 5, 64, 1))):
        own = Encoding(name, gates, (16, 17, 18, 2), weights, 7)
        assert not own.operands[1]
        files.append(str(tmp_path / f"{name}.json"))
        own.save(Path(files[-1]))
    wanted = "enc_mult,position_decoder,enc_column"
    done = command("--encoding", ",".join(files), "--proof", wanted, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 proven" in done.stdout


def test_selection() -> None:
    proofs = all_proofs(["exact64"])
    assert [p.name for p in select(proofs, "enc_mult,full_adder/1")] == ["enc_mult/exact64", "full_adder/1"]
    assert len(select(proofs, "position_decoder/exact64")) == 4
    assert len(select(proofs, None)) == len(proofs)


# x + y + z = s + 2 c, and a half adder whose bits are read twice
ADDER = Operation("adder", (2, 3, 4), (5, 6))
HALF = (Operation("xor", (2, 3), (5,)), Operation("and", (3, 2), (6,)))


def netlist(*operations: Operation) -> Netlist:
    return Netlist({"x": [2, 3, 4]}, {"y": [5, 6]}, operations)


def identity(low: int, high: int, x: int = 1, width: int = 4, bits: int = 3) -> Identity:
    return Identity({("y", 0): low, ("y", 1): high}, {("x", i): x for i in range(bits)}, 0, width)


def test_rewriting_knows_adders() -> None:
    assert prove(netlist(ADDER), identity(1, 2)) == ""
    assert prove(netlist(*HALF), identity(1, 2, bits=2)) == ""
    assert prove(netlist(*HALF), identity(-1, -2, -1, bits=2)) == ""
    # modulo 2 the carry counts nothing
    assert prove(netlist(ADDER), identity(1, 0, width=1)) == ""


def test_rewriting_knows_the_same_sum_twice() -> None:
    twice = (*HALF, Operation("xor", (2, 3), (7,)), Operation("and", (2, 3), (8,)))
    ports = {"y": [5, 6], "z": [7, 8]}
    left = {("y", 0): 4, ("z", 1): 2, ("z", 0): 1, ("y", 1): 8}
    claim = Identity(left, {("x", 0): 5, ("x", 1): 5}, 0, 8)
    assert prove(Netlist({"x": [2, 3, 4]}, ports, twice), claim) == ""


def test_rewriting_refutes_with_values() -> None:
    assert "in place of" in prove(netlist(ADDER), identity(1, 2, bits=2))
    assert "in place of" in prove(netlist(*HALF), identity(1, 4, bits=2))
    assert "in place of" in prove(netlist(ADDER), identity(1, 0, width=2))


def test_rewriting_does_not_guess() -> None:
    """(x or y) + (x and y) = x + y is true, but no identity it knows: no proof, and no refutation either."""
    either = (Operation("or", (2, 3), (5,)), Operation("and", (2, 3), (6,)))
    with pytest.raises(NotProven, match="no counterexample found"):
        prove(netlist(*either), identity(1, 1, bits=2))
    with pytest.raises(NotProven):
        Rewriter(netlist(*either)).rewrite(identity(1, 1, bits=2))


def test_evaluation() -> None:
    x = counting_patterns(3)
    assert [sum((v >> k & 1) << i for i, v in enumerate(x)) for k in range(8)] == list(range(8))
    addition = Netlist({"x": [2, 3, 4, 5]}, {"y": [6, 7]}, (Operation("add", (2, 3, 4, 5), (6, 7)),))
    low, high = evaluate(addition, {"x": counting_patterns(4)}, 16)["y"]
    assert all((low >> k & 1) + 2 * (high >> k & 1) == (k % 4 + k // 4) % 4 for k in range(16))


def test_full_adder_lanes_must_not_mix() -> None:
    ports = {"x_i": [2, 3], "y_i": [4, 5], "z_i": [6, 7]}
    lanes = (Operation("adder", (2, 4, 6), (8, 9)), Operation("adder", (3, 5, 7), (10, 11)))
    assert is_full_adder(Netlist(ports, {"sum_o": [8, 10], "carry_o": [9, 11]}, lanes))
    assert not is_full_adder(Netlist(ports, {"sum_o": [10, 8], "carry_o": [11, 9]}, lanes))


def test_width_of_a_sum() -> None:
    assert [sum_width(1, -128, 127), sum_width(1, -129, 0), sum_width(64, -16256, 16384)] == [8, 9, 22]
    assert [sum_width(1, 0, 0), sum_width(4, 0, 1), sum_width(1, -1, 0)] == [1, 4, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "did not come to its end"),
        ("begin induction\n", "did not come to its end"),
        ("begin induction\nERROR: timeout\nbegin end\n", "no proof by induction"),
        ("begin induction\nInduction step proven: SUCCESS!\nbegin end\n", "0 assertions are written"),
        (
            "select -list t:$assert\np/a\np/b\nbegin induction\n"
            "Import proof for assert: x\nInduction step proven: SUCCESS!\nbegin end\n",
            "2 assertions are written, 1 were proven",
        ),
    ],
)
def test_words_that_are_no_proof(text: str, message: str) -> None:
    with pytest.raises(NotProven, match=message):
        judge(text, 0)


@needs_library
@pytest.mark.parametrize("name", ["full_adder/3", "compressor_tree/empty_places", "enc_mult/m12p"])
def test_mapped_modules_are_the_rtl(name: str, tmp_path: Path) -> None:
    found = run_mapped(f"mapped/{name}", "osu018", tmp_path)
    assert (found.result, found.detail) == ("proven", "all inputs, 3 netlists")
    assert len(list(tmp_path.rglob("netlist.v"))) == 3


@needs_library
def test_a_platform_whose_adder_has_its_outputs_exchanged_is_refuted(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PLATFORMS / "osu018", tmp_path / "mine"))
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(
        text.replace('sum = "YS"', 'sum = "YC"').replace('carry = "YC"', 'carry = "YS"')
    )
    found = run_mapped("mapped/bit_counter/8", f"{folder}/", tmp_path)
    assert found.result == "refuted" and "differs at bits_i = " in found.detail
    assert run_mapped("mapped/enc_mult/m12p", f"{folder}/", tmp_path).result == "proven"  # has no adder


def test_a_solver_without_an_end_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "sat.txt").write_text("Interrupted SAT solver: TIMEOUT!\n")
    for report in (tmp_path / "sat.txt", tmp_path / "none.txt"):
        with pytest.raises(NotProven, match="came to no end"):
            verdict([report])
