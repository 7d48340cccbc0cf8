"""Position weights retrained for the operands of a network."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

import models.search.refit
from common.errors import UserError
from models.emulate import exact_table
from models.encoding import load_encoding
from models.search.refit import refit
from models.search.target import Target


def skewed() -> Target:
    """Operands like a network's: activations not negative and mostly small, weights around 0."""
    values = np.arange(-128, 128)
    p_a = np.where(values >= 0, np.exp(-values / 12.0), 0) + 1e-4
    joint = np.outer(p_a, np.exp(-np.abs(values) / 25.0))
    return Target(joint / joint.sum())


def test_exact_bits_give_the_exact_product_back():
    found = refit(load_encoding("exact64"), skewed(), "again")
    left = found.product_table - exact_table()
    assert not (left - left[128]).any()  # nothing left but constants of the weight


@pytest.mark.parametrize("name", ["xnor21f", "and36f"])
def test_retrained_weights_suit_other_operands(name):
    encoding, target = load_encoding(name), skewed()
    found = refit(encoding, target, "mine")
    assert target.noise(found.product_table) < 0.95 * target.noise(encoding.product_table)
    assert found.bits == encoding.bits and found.gates == encoding.gates and 0 not in found.weights


def test_command_writes_an_encoding(tmp_path, monkeypatch, capsys):
    path = tmp_path / "hist.npz"
    np.savez(path, joint=skewed().joint)
    words = ["--encoding", "xnor21f", "--hist", path, "--name", "mine", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", ["refit", *map(str, words)])
    models.search.refit.main()
    found = load_encoding(str(tmp_path / "mine.json"))
    assert "--name mine" in found.provenance["command"] and found.figures["column_area_um2"] > 0
    before, after = map(float, re.findall(r"([0-9.]+) (?:before|after)", capsys.readouterr().out))
    assert after < before and after == pytest.approx(found.figures["noise"], rel=1e-3)
    monkeypatch.setattr(sys, "argv", ["refit", "--encoding", "xnor21f"])
    with pytest.raises(UserError, match="give --net or --hist"):
        models.search.refit.main()


def test_without_a_name_it_has_one_of_encoding_and_network(tmp_path, monkeypatch):
    kept = tmp_path / "resnet20_cifar10-1a2b3c4d.npz"
    np.savez(kept, joint=skewed().joint)
    monkeypatch.setattr(models.search.refit, "measured_target", lambda *_: kept)
    words = ["refit", "--encoding", "xnor21f", "--net", "resnet20_cifar10", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    models.search.refit.main()
    assert (tmp_path / "xnor21f_resnet20_cifar10.json").is_file()
