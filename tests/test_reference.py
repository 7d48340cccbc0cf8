"""Genomes and encodings as EncodingNet's public code saves them: the same layout, from classes of the same names."""

from __future__ import annotations

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch

import models.importers.__main__
from common.errors import UserError
from models.emulate import exact_table
from models.encoding import GATES, load_encoding
from models.importers.reference import encoding_name, read_reference

PRIMITIVES = ("NAND2", "NOR2", "XNOR2", "AND2", "OR2", "XOR2", "NOT", "Identity")
RNG = np.random.default_rng(3)


@pytest.fixture
def cgp(monkeypatch):
    """A module with the classes that their pickles name."""
    module = types.ModuleType("cgp")
    for name in (*PRIMITIVES, "Genome", "Primitives", "Individual"):
        setattr(module, name, type(name, (), {"__module__": "cgp"}))
    monkeypatch.setitem(sys.modules, "cgp", module)
    return module


def running_info(cgp, rows: int, columns: int, outputs: int, valid: list[int], hidden: list[list[int]]) -> dict:
    """What their search pickles: genes of three a node, -1 for inputs, -2 for outputs, -3 for none."""
    genome, individual = cgp.Genome(), cgp.Individual()
    genome._n_inputs, genome._n_outputs, genome._n_columns, genome._n_rows = 16, outputs, columns, rows
    genome._primitives = cgp.Primitives()
    genome._primitives._primitives = tuple(getattr(cgp, name) for name in PRIMITIVES)
    ends = [[-2, 16 + k, -3] for k in range(outputs)]
    genome._dna = [g for region in ([[-1, -3, -3]] * 16 + hidden + ends) for g in region]
    individual.genome, individual.custom_attr_valid_output_bits = genome, valid
    return {"pop.champion": individual, "pop.generation": 7, "pop.parents": [individual], "history": {}}


def their_products(hidden: list[list[int]], valid: list[int]) -> np.ndarray:
    """Values of the product bits by their own numbering: input k is bit 7 - k of x, or 15 - k of w."""
    x, w = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")
    bits = [(v >> k) & 1 for v in (x, w) for k in range(7, -1, -1)]
    names = ["nand", "nor", "xnor", "and", "or", "xor", "not", "buf"]
    for kind, a, b in hidden:
        bits.append(GATES[names[kind]](bits[a], bits[b]))
    return np.stack([bits[16 + k].ravel() for k in valid])


def exact_genome() -> list[list[int]]:
    return [[3, i, 8 + j] for i in range(8) for j in range(8)]


def save(tmp_path, value: object, name: str = "champion.pickle"):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))
    return path


def test_exact_genome_of_their_search(cgp, tmp_path):
    info = running_info(cgp, 64, 1, 64, [*range(64), 64], exact_genome())
    path = save(tmp_path, info)
    sys.modules.pop("cgp")  # nobody has their code installed
    found = read_reference(path, "champion")
    assert found.m == 64 and len(found.gates) == 64 and found.offset == 0
    assert np.array_equal(found.product_table, exact_table())
    assert found.provenance["imported"]["generation"] == 7


def test_random_genome_of_two_levels(cgp, tmp_path):
    """Position weights are the rounded least squares of their bits; unary gates and repeated outputs are fine."""
    hidden = [[int(v) for v in RNG.integers(0, [8, 16, 16])] for _ in range(24)]
    hidden += [[int(RNG.integers(8)), *map(int, RNG.integers(0, 40, 2))] for _ in range(24)]
    valid = [*range(20, 48), 48]
    found = read_reference(save(tmp_path, running_info(cgp, 24, 2, 48, valid, hidden)), "random")
    code = np.vstack([their_products(hidden, valid[:-1]), np.ones((1, 65536))])
    distinct = np.unique(code, axis=0)
    best = np.linalg.lstsq(distinct @ distinct.T, distinct @ exact_table().ravel(), rcond=None)[0] @ distinct
    assert np.abs(found.product_table.ravel() - best).max() <= len(distinct) / 2 + 1
    assert found.m <= 28


@pytest.mark.parametrize("kind", ["pickle", "pt"])
@pytest.mark.parametrize("gates", [False, True])
def test_searched_info(tmp_path, kind, gates):
    hidden = [[3, i, 8 + j] for i in range(4) for j in range(4)] + [[5, 0, 8], [6, 9, 9]]
    code = torch.from_numpy(their_products(hidden, list(range(18))).astype(bool))
    code = torch.cat([code, torch.ones(1, 65536, dtype=torch.bool)])
    weights = torch.tensor([[*range(-9, 0), *range(1, 10), 5]]).float()
    formula = {3: "torch.logical_and(x_0, x_1)", 5: "torch.logical_xor(x_0, x_1)", 6: "torch.logical_not(x_0)"}
    info = {"output code of product": code, "digit-weight of product code": weights / 16384}
    if gates:
        info["OP_info"] = [{"i": a, "j": b, "f_str": formula[k]} for k, a, b in hidden]
        info["OP_info"] += [{"i": None, "j": None, "f_str": "torch.ones"}]
    path = tmp_path / f"info.{kind}"
    torch.save([info], path) if kind == "pt" else path.write_bytes(pickle.dumps([info]))
    found = read_reference(path, "info")
    assert np.array_equal(found.product_table.ravel(), (weights.numpy() @ code.numpy()).ravel().astype(int))
    assert found.m == 18 and found.offset == 5


class Evil:
    """Runs a command when it is unpickled by pickle itself."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in ({"pop.champion": Evil()}, [Evil()], Evil()):
        with pytest.raises(UserError, match="neither a champion"):
            read_reference(save(tmp_path, value), "evil")
    torch.save({"pop.champion": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="holds more than genomes and tensors"):
        read_reference(tmp_path / "evil.pt", "evil")
    assert not (tmp_path / "executed").exists()


def test_bad_files_are_one_line(cgp, tmp_path):
    info = running_info(cgp, 64, 1, 64, [0], exact_genome())
    info["pop.champion"].genome._dna[16 * 3 + 1] = 99
    cases = {
        "reads .99, 8.; nodes before": pickle.dumps(info),
        "damaged, or holds more": b"\x80\x05nonsense",
        "holds neither": pickle.dumps({"history": []}),
        "has 2 product bits and 3": pickle.dumps(
            {"output code of product": np.zeros((2, 65536)), "digit-weight of product code": np.ones(3)}
        ),
        "is no genome or encoding": pickle.dumps({"pop.champion": cgp.Individual(), "output code of product": 3}),
    }
    for message, content in cases.items():
        path = tmp_path / "bad.pickle"
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as stop:
            read_reference(path, "bad")
        assert "\n" not in str(stop.value)
    with pytest.raises(UserError, match="no such file"):
        read_reference(tmp_path / "none.pickle", "none")


def test_command_writes_an_encoding(cgp, tmp_path, monkeypatch, capsys):
    path = save(tmp_path, running_info(cgp, 64, 1, 64, list(range(64)), exact_genome()), "data-64bit.pickle")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["command", str(path)])
    models.importers.__main__.main()
    name = encoding_name("data-64bit")
    assert f"{name}: 64 product bits, 64 gates; error 0.00 on average, 0 at most" in capsys.readouterr().out
    assert load_encoding(f"build/imported/{name}.json").m == 64
