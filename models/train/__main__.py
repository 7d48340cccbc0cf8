"""Train a float network: `python -m models.train --net resnet20_cifar10`.

SGD with Nesterov momentum, one-cycle learning rate, random crop and flip, an exponential moving
average of the weights that is the network delivered. `--sizes 16x10,24x8` shows the first epochs
smaller images, which cost less. Every epoch writes a checkpoint (temporary file, then rename); the
same command goes on from it. The result is a function of the seed, the number of threads and the
library versions. Several processes, each with a GPU of its own where there are any:
`torchrun --nproc-per-node 2 -m models.train --net resnet20_cifar10`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from common.errors import UserError, run_cli
from common.files import alone, first_line
from models.datasets import DATASETS, Cifar, load_cifar
from models.networks import NetworkSpec, network_name, network_spec
from models.train.team import Team
from tools.options import parse

CROP_PADDING = 4


def normalise(images: Tensor, spec: NetworkSpec) -> Tensor:
    """uint8 images [N, 3, H, W] -> float32, zero mean and unit variance by the network's constants."""
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def augment(padded: Tensor, index: Tensor, rng: torch.Generator) -> Tensor:
    """Random crops of `padded` images [N, 3, H + 8, W + 8] at `index`, of H x W pixels, half of them mirrored."""
    count, span = len(index), 2 * CROP_PADDING + 1
    height, width = (side - 2 * CROP_PADDING for side in padded.shape[2:])
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = torch.randint(span, (2, count), generator=rng)
    crops = windows[index, :, top, left]
    mirror = torch.rand(count, generator=rng) < 0.5
    return torch.where(mirror.view(-1, 1, 1, 1), crops.flip(3), crops)


@torch.no_grad()
def top1(model: nn.Module, images: Tensor, labels: Tensor, spec: NetworkSpec, batch: int = 500) -> float:
    """Fraction of uint8 `images` [N, 3, H, W] classified as `labels` [N]."""
    model.eval()
    device = next(model.parameters()).device
    hits = 0
    for i in range(0, len(images), batch):
        scores = model(normalise(images[i : i + batch].to(device), spec))
        hits += int((scores.argmax(1).cpu() == labels[i : i + batch]).sum())
    return hits / len(images)


def parse_sizes(text: str, epochs: int) -> list[int]:
    """Image size of each epoch: "16x10,24x8" is 10 epochs of 16x16 pixels, 8 of 24x24, the rest of 32x32."""
    sizes: list[int] = []
    try:
        for part in filter(None, text.split(",")):
            pixels, count = map(int, part.split("x"))
            if not 8 <= pixels <= 32 or count < 1:
                raise ValueError
            sizes += [pixels] * count
    except ValueError as error:
        raise UserError(f"--sizes {text}: expected e.g. 16x10,24x8 (pixels 8..32, epochs)") from error
    if len(sizes) >= epochs:
        raise UserError(f"--sizes {text} takes {len(sizes)} of {epochs} epochs; leave at least one for 32x32")
    return sizes + [32] * (epochs - len(sizes))


def resized(images: Tensor, pixels: int) -> Tensor:
    """float images [N, 3, 32, 32] as [N, 3, pixels, pixels]."""
    if pixels == images.shape[-1]:
        return images
    return F.interpolate(images, size=(pixels, pixels), mode="bilinear", antialias=True)


def keep_strided_depthwise_in_float32(model: nn.Module) -> None:
    """Leave depthwise convolutions with a stride out of mixed precision.

    On CPUs oneDNN 3.12 has no fast bfloat16 gradient for them: 120 ms in place of 3.4 for one layer.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.stride) > 1:

            def forward(x: Tensor, module: nn.Conv2d = module) -> Tensor:
                with torch.autocast(x.device.type, enabled=False):
                    return module._conv_forward(x.float(), module.weight, module.bias)

            module.forward = forward


def save_atomically(state: dict, path: Path) -> None:
    """torch.save to a temporary file in the same folder, then rename; UserError if there is no room for it."""
    temporary = path.with_suffix(".tmp")
    try:
        torch.save(state, temporary)
    except RuntimeError as error:  # what torch makes of a write that fell short
        temporary.unlink(missing_ok=True)
        again = "is the disk full? What was finished is kept, mend it and run the same command again"
        raise UserError(f"{path} cannot be written ({first_line(error)}); {again}") from error
    temporary.replace(path)


def folder_of(args: argparse.Namespace) -> Path:
    """Where checkpoint and weights go."""
    return Path(args.out or f"build/train/{network_name(args.net)}")


def both_splits(args: argparse.Namespace, spec: NetworkSpec) -> tuple[Cifar, Cifar]:
    """Training and test images of a network; UserError if it is not for CIFAR, or a step takes more than there are."""
    if spec.dataset not in DATASETS:
        raise UserError(f"{args.net} is for {spec.dataset}; make train takes networks for {' and '.join(DATASETS)}")
    data, test = (load_cifar(spec.dataset, split, args.data) for split in ("train", "test"))
    if args.batch > len(data.labels):
        raise UserError(f"--batch {args.batch}: there are {len(data.labels)} training images")
    return data, test


def train(args: argparse.Namespace) -> dict:
    """Train to the end (or go on from a checkpoint); return the record written beside the weights."""
    spec = network_spec(args.net)
    data, test = both_splits(args, spec)
    out = folder_of(args)
    out.mkdir(parents=True, exist_ok=True)
    team = Team()
    device = team.device
    torch.manual_seed(args.seed)
    rng = torch.Generator().manual_seed(args.seed)
    sizes = parse_sizes(args.sizes, args.epochs)

    labels = torch.from_numpy(data.labels)
    pad = ((0, 0), (0, 0), (CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING))
    padded = torch.from_numpy(np.pad(data.images, pad, mode="reflect"))

    model = spec.build().to(device, memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(args.average), use_buffers=True
    )
    if device.type == "cpu":
        keep_strided_depthwise_in_float32(model)
    optimiser = optimiser_of(model, args)
    team.batch(args.batch)
    steps = math.ceil(len(labels) / args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.lr, total_steps=args.epochs * steps, pct_start=0.2, cycle_momentum=False
    )

    checkpoint, log, first = out / "checkpoint.pt", [], 0
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    if checkpoint.exists():
        log, first = resume(checkpoint, parts, rng, settings(args))

    parallel = team.wrap(model)
    test_images, test_labels = torch.from_numpy(test.images), torch.from_numpy(test.labels)
    for epoch in range(first, args.epochs):
        model.train()
        order = torch.randperm(len(labels), generator=rng)
        started, loss_sum = time.perf_counter(), 0.0
        quiet = True if args.quiet or not team.leads else None
        for whole in tqdm(order.split(args.batch), desc=f"epoch {epoch + 1}/{args.epochs}", disable=quiet):
            crops = augment(padded, whole, rng)
            mine = team.share(len(whole))
            index = whole[mine]
            images = resized(normalise(crops[mine].to(device), spec), sizes[epoch])
            images = images.to(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
                loss = F.cross_entropy(parallel(images), labels[index].to(device), label_smoothing=args.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            loss_sum += loss.item() * len(index)
        entry = {"epoch": epoch + 1, "loss": round(loss_sum / len(labels), 4)}
        if not team.leads:
            continue
        if (epoch + 1) % args.evaluate_every == 0 or epoch + 1 == args.epochs:
            entry["test_top1"] = top1(average.module, test_images, test_labels, spec)
        entry["seconds"] = round(time.perf_counter() - started, 1)
        log.append(entry)
        print(json.dumps(entry), flush=True)
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"rng": rng.get_state(), "log": log, "epoch": epoch + 1, "settings": settings(args)}
        save_atomically(state, checkpoint)

    record = {"net": args.net, **settings(args), "top1": log[-1]["test_top1"], "images": len(test_labels), "log": log}
    save_atomically({"weights": average.module.state_dict(), "record": record}, out / "float.pt")
    return record


def optimiser_of(model: torch.nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum; weight decay for weights alone, not for biases and normalisation."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": args.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=args.lr, momentum=0.9, nesterov=True)


def resume(checkpoint: Path, parts: dict[str, Any], rng: torch.Generator, wanted: dict) -> tuple[list[dict], int]:
    """Bring parts and generator to where a checkpoint left them; its log and the epoch to go on with.

    UserError if the file is damaged or was made with other settings.
    """
    try:
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] != wanted:
            raise UserError(f"{checkpoint} was made with {state['settings']}; give another --out or delete it")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        rng.set_state(state["rng"])
        return state["log"], state["epoch"]
    except (RuntimeError, KeyError, EOFError, OSError) as error:
        raise UserError(f"{checkpoint} is damaged ({error}); delete it to start again") from error


def settings(args: argparse.Namespace) -> dict:
    """What the result depends on, kept in every checkpoint."""
    names = ("epochs", "sizes", "batch", "lr", "weight_decay", "smoothing", "average", "seed", "bf16")
    return {n: getattr(args, n) for n in names}


def main() -> None:
    """Command line of the trainer."""
    args = parse("models.train")
    torch.set_num_threads(args.threads)
    with alone(folder_of(args) / "train.lock"):
        record = train(args)
    print(f"{args.net}: top-1 {record['top1']:.4f} on {record['images']} test images")


if __name__ == "__main__":
    run_cli(main)
