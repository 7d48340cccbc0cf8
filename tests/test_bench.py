"""The benchmark: records what it says, and does not pass when a result is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench import emulate, netlist, paper, reference, roofline, search, timing, train
from bench.timing import Effort, Row, calls_per_second
from common.errors import UserError
from models.emulate import modules
from models.encoding import load_encoding
from models.search.paper import random_genome
from tests.test_power import needs_library

TINY = Effort(1, 0.0)
PEER, LIMIT = "torch conv2d float32", "limit of its instruction"


def run(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_command_writes_the_report(tmp_path):
    done = run("--bench", "search,emulate", "--rounds", "1", "--seconds", "0", "--size", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "reports" / "bench.json").read_text())
    assert report["format"] == "encmac-bench/1"
    assert {row["benchmark"] for row in report["benchmarks"]} == {"search", "emulate"}
    for row in report["benchmarks"]:
        assert row["agrees"] and row["ours"] > 0 and row["peer"] > 0 and row["unit"] and row["machine"]
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=1e-3)
    assert set(report["tools"]) >= {"python", "numpy", "torch"}


@pytest.mark.parametrize("arguments", [("--bench", "speed"), ("--rounds", "0"), ("--size", "0"), ("--seconds", "-1")])
def test_bad_arguments_are_one_line(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_a_wrong_table_sum_is_seen(monkeypatch):
    right = emulate.TableEngine.__call__
    monkeypatch.setattr(emulate.TableEngine, "__call__", lambda *args, **geometry: right(*args, **geometry) + 1)
    rows = emulate.measure(emulate.Shape("tiny", 3, 4, 2), np.zeros((256, 256), np.int32), TINY, 1)
    assert rows and not any(row.agrees for row in rows)


def test_a_wrong_objective_is_seen(monkeypatch):
    right = search.reference_objective
    monkeypatch.setattr(search, "reference_objective", lambda *args: (right(*args)[0] * (1 + 1e-5), None))
    monkeypatch.setattr(search, "until_as_good", lambda _effort, _size: [])
    rows = [row for row in search.run(TINY, 1) if "objective" in row.case]
    assert rows and not any(row.agrees for row in rows)


def test_an_annealing_of_another_result_is_seen(monkeypatch):
    right = search.anneal
    monkeypatch.setattr(search, "STEPS", 2000)
    assert all(row.agrees for row in search.annealing(TINY))
    monkeypatch.setattr(search, "anneal", lambda *args: replace(right(*args), error=float(args[-1])))
    assert not any(row.agrees for row in search.annealing(TINY))


@needs_library
def test_transitions_or_sums_of_a_netlist_that_differ_are_seen(monkeypatch):
    def agrees() -> list[bool]:
        return [row.agrees for row in netlist.measure("enc m14p merged", TINY, 4)]

    assert agrees() == [True, True, True]
    monkeypatch.setattr(netlist, "DIFFERENCE", -1.0)
    right = netlist.GateEngine.golden
    monkeypatch.setattr(
        netlist.GateEngine, "golden", lambda *args: (lambda sums, f_sums: (sums + 1, f_sums))(*right(*args))
    )
    assert agrees() == [False, False, False]


def test_quality_is_reached_or_said_not_to_be(monkeypatch):
    monkeypatch.setattr(search, "NUMPY", 3)
    monkeypatch.setattr(search, "COMPILED", 300)
    rows = search.until_as_good(TINY, 1)
    assert [row.peer_name for row in rows] == ["preset paper in NumPy", "preset paper"]
    assert all(row.agrees and row.ours > 0 and row.peer > 0 and "NOT" not in row.note for row in rows)
    monkeypatch.setattr(search, "FEWEST", (2,))
    assert "NOT all are as good" in search.until_as_good(TINY, 1)[1].note
    monkeypatch.setattr(search, "confirmed", lambda _encoding: False)
    assert not any(row.agrees for row in search.until_as_good(TINY, 1))


def test_training_is_compared_first(monkeypatch):
    rows = train.run(TINY, 2)
    assert len(rows) == 2 * len(train.ENCODINGS)
    assert all(row.agrees and row.ours > 0 and row.peer > 0 for row in rows)
    right = modules.TableEngine.__call__
    monkeypatch.setattr(modules.TableEngine, "__call__", lambda *args, **rest: right(*args, **rest) + 1)
    assert not any(row.agrees for row in train.run(TINY, 2) if "m14p" in row.case)


def test_a_wrong_gradient_is_seen(monkeypatch):
    monkeypatch.setattr(modules.TrainingTable, "slopes", lambda _table, codes, _of: codes // 2)
    assert not any(row.agrees for row in train.run(TINY, 2))


@pytest.mark.parametrize(("groups", "stride", "kernel"), [(1, 1, 3), (4, 1, 3), (2, 2, 1)])
def test_macs_are_counted(groups, stride, kernel):
    shape = emulate.Shape("tiny", 4, 6, 8, kernel, stride, groups)
    x, weights = np.ones((2, 4, 6, 6), np.int8), np.ones((8, 4 // groups, kernel, kernel), np.int8)
    assert shape.macs(2) == emulate.int64_sums(x, weights, shape, np.ones((256, 256), int)).sum()


def test_rounds_are_interleaved():
    calls = []
    calls_per_second({name: lambda name=name: calls.append(name) for name in "ab"}, Effort(3, 0.0))
    assert "".join(calls) == "aabb" + "ab" * 3


def test_paper_rows_are_confirmed_and_of_equal_evaluations(monkeypatch):
    monkeypatch.setattr(paper, "SIZES", (3,))
    monkeypatch.setattr(paper, "SEEDS", 2)
    rows = paper.run(TINY, 100)
    assert [row.unit for row in rows] == list(paper.MEASURES.values()) * len(paper.PRESETS)
    for row in rows:
        assert row.agrees and row.ours > 0 and row.peer > 0 and "M = 3" in row.case
        assert ("NOT win" in row.note) == (row.ours >= row.peer)
    assert "count as one evaluation each" in rows[0].note


def test_a_measure_that_is_lost_says_so():
    trials = [paper.Trial((1.0, 3.0, 1.0, 1.0), (2.0, 2.0, 2.0, 2.0), 10, True)] * 2
    rows = paper.summary(8, "anneal", [*trials, paper.Trial((1.0, 1.0, 1.0, 1.0), (2.0, 2.0, 2.0, 2.0), 10, False)])
    assert ["NOT win" in row.note for row in rows] == [False, True, False, False]
    assert "1 of 3 seeds" in rows[1].note
    assert not any(row.agrees for row in rows)


def test_a_wrong_figure_is_seen(monkeypatch):
    encoding = load_encoding("and36")
    assert paper.confirmed(encoding)
    right = paper.max_error
    monkeypatch.setattr(paper, "max_error", lambda *args: right(*args) + 1)
    assert not paper.confirmed(encoding)


CHECKOUT = {
    "Code_1_CGP_search.py": """
import argparse
import pandas, torch
from kuai_log import get_logger
import encode_tools as tools
argparse.ArgumentParser().parse_args()
print("loaded")

def get_total_area(addresses, graph, nodes):
    for at in addresses:
        if at >= 16:
            name, x, y = graph.gate(at - 16)
            nodes[at] = {"NOT": 2 / 3, "Identity": 0}.get(name, 1 if name[0] == "N" else 2 if name[0] == "X" else 4 / 3)
            get_total_area([x] if name in ("NOT", "Identity") else [x, y], graph, nodes)
    return nodes

def objective(individual):
    bits = torch.stack([*individual.to_func()(*inputs), constant_ones]).float()
    s = tools.solve_position_weight(bits, value, alpha=0.1)
    kept = s.abs().view(-1).argsort(descending=True)[:target_bit_width]
    error = tools.solve_max_re_rmse(s.round()[:, kept], bits[kept], value)[1]
    individual.custom_attr_maximal_relative_error, individual.custom_attr_area = error.item(), 0.0
    return individual
""",
    "encode_tools.py": """
import torch

def gen_inputs_value(bit, signed, norm_to_one):
    v = torch.arange(-128, 128)
    a, w = v.repeat_interleave(256), v.repeat(256)
    bits = [(x >> i & 1).bool() for x in (a, w) for i in range(7, -1, -1)]
    return (a * w).float()[None], bits, torch.ones(65536, dtype=torch.bool)

def solve_position_weight(bits, value, alpha):
    gram = bits @ bits.T + alpha * torch.eye(len(bits), dtype=bits.dtype)
    return torch.linalg.solve(gram, bits @ value.T).T

def solve_max_re_rmse(s, bits, value):
    error = (s @ bits - value).abs()
    return None, SCALE * error.max() / 16384, None
""",
    "cgp.py": """
import torch
NAMES = "NAND2 NOR2 XNOR2 AND2 OR2 XOR2 NOT Identity".split()
for name in NAMES:
    globals()[name] = type(name, (), {})

class Genome:
    def __init__(self, inputs, outputs, columns, rows, primitives, levels_back):
        self.gates, self.primitives = columns * rows, [p.__name__ for p in primitives]

class CartesianGraph:
    def __init__(self, genome):
        self.genes = [genome.dna[i:i + 3] for i in range(48, len(genome.dna), 3)]
        self.names, self.count = genome.primitives, genome.gates
        self.output_nodes = [type("Node", (), {"addresses": g[1:2]}) for g in self.genes[self.count:]]

    def gate(self, at):
        op, x, y = self.genes[at]
        return self.names[op], x, y

class IndividualSingleGenome:
    def __init__(self, genome):
        self.genome = genome

    def reset_fitness(self):
        pass

    def to_func(self):
        def function(*wires):
            graph, wires = CartesianGraph(self.genome), list(wires)
            for at in range(graph.count):
                name, x, y = graph.gate(at)
                x, y = wires[x], wires[y]
                out = {"X": x ^ y, "A": x & y, "O": x | y, "I": x}[name.lstrip("N")[0] if name != "NOT" else "I"]
                out = x & y if name == "NAND2" else x | y if name == "NOR2" else x ^ y if name == "XNOR2" else out
                wires.append(~out if name[0] == "N" or name == "XNOR2" else out)
            return [wires[node.addresses[0]] for node in graph.output_nodes]
        return function
""",
}


LAYERS = """
import torch
import torch.nn.functional as F
from .model_tools import AverageMeter

class QuantConv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1, weights=None, **settings):
        print("made")
        assert settings["mode"] == "Approx-INT" and settings["mini_batch_size"] > 0
        self.weights, self.stride, self.padding, self.groups = weights, stride, padding, groups
        self.table, self.meter = settings["approx_product_value"], AverageMeter("x", ":6.2f")

    def __call__(self, x):
        x = F.pad(self.act_quant(x, self.alpha_act), self.padding * 2)
        w = (self.wgt_quant(self.weights, self.alpha_wgt) * 127).to(torch.int32) + 128
        k, each = w.shape[2], len(w) // self.groups
        windows = x.unfold(2, k, self.stride).unfold(3, k, self.stride).chunk(self.groups, 1)
        codes = [(g * 127).to(torch.int32) + 128 for g in windows]
        sums = [self.table[codes[o // each], w[o][:, None, None]].sum((1, 4, 5)) for o in range(len(w))]
        return SCALE * torch.stack(sums, 1)
"""


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
def test_layers_of_a_checkout_are_run_and_a_difference_is_seen(tmp_path, scale, groups, capfd):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "my_quant_layer.py").write_text(LAYERS.replace("SCALE", str(scale)))
    before = set(sys.modules)
    table = np.random.default_rng(1).integers(-1000, 1000, (256, 256))
    shape = emulate.Shape("tiny", 4, 6, 8, stride=2, groups=groups)
    rows = emulate.measure(shape, table, TINY, 2, tmp_path)
    assert [row.agrees for row in rows if row.peer_name == "EncodingNet"] == [scale == 1]
    assert all(row.agrees for row in rows if row.peer_name != "EncodingNet")
    assert not {name for name in set(sys.modules) - before if name.startswith("encodingnet")}
    assert capfd.readouterr() == ("", "")


def test_wrong_layers_are_one_line(tmp_path):
    x = np.zeros((1, 1, 1, 1), np.int8)
    with pytest.raises(UserError, match="no models/my_quant_layer.py there; give a clone of"):
        reference.Convolution(tmp_path, x, x, np.zeros((256, 256), int))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "my_quant_layer.py").write_text("import no_such_module")
    with pytest.raises(UserError, match="does not load .ModuleNotFoundError"):
        reference.Convolution(tmp_path, x, x, np.zeros((256, 256), int))


def test_memory_of_a_call():
    found = [timing.peak_growth(lambda: np.ones(50_000_000, np.uint8)) for _ in range(3)]  # pages may be reclaimed
    grown = None if None in found else max(found)
    assert grown is None or 45_000_000 < grown < 100_000_000


def checkout(folder, scale: float):
    """A tiny stand-in for a clone of EncodingNet, written for this test; its errors are `scale` times the truth."""
    for name, text in CHECKOUT.items():
        (folder / name).write_text(text.replace("SCALE", str(scale)))
    return folder


@pytest.mark.parametrize("scale", [1.0, 1.00001])
def test_checkout_is_run_beside_ours_and_a_difference_is_seen(tmp_path, scale, capfd):
    genomes = [random_genome(np.random.default_rng(seed)) for seed in (1, 2)]
    before = set(sys.modules)
    row = search.beside_checkout(TINY, genomes, checkout(tmp_path, scale))
    assert row.agrees == (scale == 1.0)
    assert row.ours > 0 and row.peer > 0 and "float32 as it runs, on 2 genomes" in row.note
    assert not {"cgp", "kuai_log", "encode_tools"} & (set(sys.modules) - before)
    assert capfd.readouterr() == ("", "")


def test_wrong_checkout_is_one_line(tmp_path):
    with pytest.raises(UserError, match="give a clone of"):
        reference.Reference(tmp_path, 36)
    (tmp_path / reference.SCRIPT).write_text("import cgp")
    with pytest.raises(UserError, match="does not load .ModuleNotFoundError"):
        reference.Reference(tmp_path, 36)
    done = run("--bench", "search", "--ref", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert run("--bench", "paper", "--ref", str(tmp_path)).returncode == 2


def test_roofline_has_every_path_and_its_limit(tmp_path):
    cases = {("a, vnni", PEER): (60, 40), ("a, vnni", LIMIT): (60, 130), ("a, portable", PEER): (4, 40)}
    cases |= {("a, m14p signed, auto", PEER): (999, 999)}
    rows = [Row("emulate", case, peer, *rates, "GMAC/s", True) for (case, peer), rates in cases.items()]
    roofline.plot(rows, "a processor", tmp_path / "rates.svg")
    text = (tmp_path / "rates.svg").read_text()
    assert all(f"<!-- {name} -->" in text for name in ("a", "vnni", "portable", PEER, "a processor"))
    assert "signed" not in text and text.count("stroke-dasharray") == 1  # the portable path has none
