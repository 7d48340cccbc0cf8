"""A network quantised by PT2E (torchao) and exported to ONNX by torch: `python tests/pt2e_model.py` writes pt2e.onnx.

torchao and onnxscript are no dependencies: pip install torchao==0.18.0 onnxscript==0.7.2.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import nn

STORED = Path(__file__).with_suffix(".onnx")


class Small(nn.Module):
    """Convolutions, a residual sum, pooling, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.norm, self.linear = nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.norm(self.second(x)) + x)
        return self.linear(nn.functional.avg_pool2d(x, 8).flatten(1))


def write(path: Path) -> None:
    """Quantise and export; needs torchao and onnxscript."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    torch.manual_seed(0)
    net, images = Small().eval(), torch.rand(8, 3, 8, 8)
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(net, (images[:1],)).module(), quantizer)
    prepared(images[:1])
    for image in images[1:, None]:
        prepared(image)
    torch.onnx.export(
        convert_pt2e(prepared),
        (images[:1],),
        str(path),
        dynamo=True,
        external_data=False,
        input_names=["image"],
        verbose=False,
    )
    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


if __name__ == "__main__":
    write(STORED)
