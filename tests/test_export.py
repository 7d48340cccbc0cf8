"""Torch networks beyond plain layers: through ONNX to integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.errors import UserError
from models.emulate import ExactEngine
from models.networks import NetworkSpec
from models.quant.checkpoint import fingerprint, load_network, save_network
from models.quant.export import convert_through_onnx

torch.set_num_threads(1)
IMAGES = np.random.default_rng(1).integers(0, 256, (24, 3, 16, 16)).astype(np.uint8)


class Modern(nn.Module):
    """One of everything that plain tracing does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding="same", dilation=2), nn.Hardswish(), nn.AvgPool2d(2))
        self.leaky, self.drop, self.norm = nn.LeakyReLU(0.1), nn.Dropout(0.5), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up, self.down, self.last = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.leaky(self.stem(x))).flatten(2).transpose(1, 2)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.down(nn.functional.silu(nn.functional.gelu(self.up(self.norm(x)))))
        return self.last(x.mean(1))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(3)
    return Modern().eval()


@pytest.mark.parametrize("rule", ["max", "percentile", "mse"])
def test_modern_network(model, rule, tmp_path):
    spec = NetworkSpec(Modern, "cifar10", (0.5,) * 3, (0.25,) * 3)
    network = convert_through_onnx(model, spec, "modern", IMAGES, rule, quiet=True)
    about = network.provenance["imported"]
    assert len(network.mac_nodes) >= 5 and not about["differs"]
    assert all("both operands are activations" in reason for reason in about["runtime"])
    save_network(network, tmp_path / "modern.npz")
    scores = load_network(tmp_path / "modern.npz").run(IMAGES, ExactEngine())
    with torch.inference_mode():
        real = model((torch.from_numpy(IMAGES).float() / 255 - 0.5) / 0.25).numpy()
    assert np.corrcoef(scores.astype(float).ravel(), real.ravel())[0, 1] > 0.9


def test_images_that_fill_no_last_batch(model):
    """The quantiser stacks what it sees of each batch: all must be of one size."""
    spec = NetworkSpec(Modern, "cifar10", (0.5,) * 3, (0.25,) * 3)
    more = np.concatenate([IMAGES[:16], IMAGES[:3]])
    found, expected = (convert_through_onnx(model, spec, "modern", x, "mse", quiet=True) for x in (more, more[:16]))
    assert fingerprint(found) == fingerprint(expected)


def test_what_cannot_be_exported_is_one_line():
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no such path\nat all")

    spec = NetworkSpec(Odd, "cifar10", (0.5,) * 3, (0.25,) * 3)
    with pytest.raises(UserError, match="network odd cannot be exported to ONNX and quantised .no such path"):
        convert_through_onnx(Odd(), spec, "odd", IMAGES[:2], quiet=True)
