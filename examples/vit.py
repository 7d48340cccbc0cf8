"""A small vision transformer for CIFAR: two strided convolutions make 64 tokens, three blocks of attention and MLP.

    make train NET=examples/vit.py:vit EPOCHS=10 LR=0.08 AVERAGE=0.99 BF16=1
    .venv/bin/python -m models.quant --net examples/vit.py:vit

Projections and MLP are MatMul layers, whose products an array computes; attention's products of two activations,
softmax, GELU and layer norms stay exact. Dosovitskiy et al., arXiv 2010.11929; stem of convolutions: Xiao et al.,
arXiv 2106.14881.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.networks import NetworkSpec

WIDTH, HEADS, DEPTH, TOKENS = 64, 2, 3, 64


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm and added to its input [N, TOKENS, WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        shape = (-1, TOKENS, HEADS, WIDTH // HEADS)
        q, k, v = (layer(y).reshape(shape).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5, dim=3)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(-1, TOKENS, WIDTH))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Input [N, 3, 32, 32], output [N, classes]."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH // 2, 3, 2, 1), nn.ReLU(), nn.Conv2d(WIDTH // 2, WIDTH, 3, 2, 1))
        self.position = nn.Parameter(0.02 * torch.randn(1, TOKENS, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))


def vit() -> NetworkSpec:
    """The network on CIFAR-10."""
    return NetworkSpec(VisionTransformer, "cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
