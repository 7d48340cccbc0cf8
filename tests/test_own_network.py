"""Networks of a file of one's own: mine.py:function wherever a network is built."""

from __future__ import annotations

import pytest

from common.errors import UserError
from models.networks import NetworkSpec, network_name, network_spec

FILE = """
from torch import nn
from models.networks import NetworkSpec

def mine():
    return NetworkSpec(lambda: nn.Linear(3, 2), "cifar10", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

def wrong():
    return nn.Linear(3, 2)
"""


def test_a_function_of_a_file_is_a_network(tmp_path):
    (tmp_path / "nets.py").write_text(FILE)
    spec = network_spec(f"{tmp_path}/nets.py:mine")
    assert isinstance(spec, NetworkSpec) and spec.build().out_features == 2
    assert network_name(f"{tmp_path}/nets.py:mine") == "mine" and network_name("resnet20_cifar10") == "resnet20_cifar10"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nets.py:other", "nets.py defines no function 'other'"),
        ("nets.py:wrong", r"wrong\(\) returns Linear, not a models.networks.NetworkSpec"),
        ("none.py:mine", "no file .*none.py; it should define mine"),
    ],
)
def test_mistakes_are_one_line(name, fault, tmp_path):
    (tmp_path / "nets.py").write_text(FILE)
    with pytest.raises(UserError, match=fault):
        network_spec(f"{tmp_path}/{name}")


def test_unknown_name_tells_of_files():
    with pytest.raises(UserError, match=r"or a file of yours: mine\.py:function"):
        network_spec("resnet21")
