"""Train a float network: `python -m models.train --net resnet20_cifar10`.

SGD with Nesterov momentum, one-cycle learning rate, random crop and flip, an exponential moving
average of the weights that is the network delivered. Every epoch writes a checkpoint (temporary
file, then rename); the same command goes on from it. The result is a function of the seed, the
number of threads and the library versions.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from models.datasets import load_cifar
from models.errors import UserError, run_cli
from models.networks import NetworkSpec, network_spec

CROP_PADDING = 4


def normalise(images: Tensor, spec: NetworkSpec) -> Tensor:
    """uint8 images [N, 3, H, W] -> float32, zero mean and unit variance by the network's constants."""
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def augment(padded: Tensor, index: Tensor, rng: torch.Generator) -> Tensor:
    """Random 32x32 crops of `padded` images [N, 3, 40, 40] at `index`, half of them mirrored."""
    count, span = len(index), 2 * CROP_PADDING + 1
    windows = padded.unfold(2, 32, 1).unfold(3, 32, 1)
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


def save_atomically(state: dict, path: Path) -> None:
    """torch.save to a temporary file in the same folder, then rename."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def train(args: argparse.Namespace) -> dict:
    """Train to the end (or go on from a checkpoint); return the record written beside the weights."""
    spec = network_spec(args.net)
    out = Path(args.out or f"build/train/{args.net}")
    out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    rng = torch.Generator().manual_seed(args.seed)

    data, test = (load_cifar(spec.dataset, split, args.data) for split in ("train", "test"))
    labels = torch.from_numpy(data.labels)
    pad = ((0, 0), (0, 0), (CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING))
    padded = torch.from_numpy(np.pad(data.images, pad, mode="reflect"))

    model = spec.build().to(device, memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999), use_buffers=True
    )
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": args.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=args.lr, momentum=0.9, nesterov=True)
    steps = math.ceil(len(labels) / args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.lr, total_steps=args.epochs * steps, pct_start=0.2, cycle_momentum=False
    )

    checkpoint, log, first = out / "checkpoint.pt", [], 0
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    if checkpoint.exists():
        try:
            state = torch.load(checkpoint, weights_only=True)
            if state["settings"] != settings(args):
                raise UserError(f"{checkpoint} was made with {state['settings']}; give another --out or delete it")
            for name, part in parts.items():
                part.load_state_dict(state[name])
            rng.set_state(state["rng"])
            log, first = state["log"], state["epoch"]
        except (RuntimeError, KeyError, EOFError, OSError) as error:
            raise UserError(f"{checkpoint} is damaged ({error}); delete it to start again") from error

    test_images, test_labels = torch.from_numpy(test.images), torch.from_numpy(test.labels)
    for epoch in range(first, args.epochs):
        model.train()
        order = torch.randperm(len(labels), generator=rng)
        started, loss_sum = time.perf_counter(), 0.0
        for index in tqdm(order.split(args.batch), desc=f"epoch {epoch + 1}/{args.epochs}", disable=args.quiet or None):
            images = normalise(augment(padded, index, rng).to(device), spec)
            images = images.to(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
                loss = F.cross_entropy(model(images), labels[index].to(device), label_smoothing=args.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            loss_sum += loss.item() * len(index)
        entry = {"epoch": epoch + 1, "loss": round(loss_sum / len(labels), 4)}
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


def settings(args: argparse.Namespace) -> dict:
    """What the result depends on, kept in every checkpoint."""
    names = ("epochs", "batch", "lr", "weight_decay", "smoothing", "seed", "bf16")
    return {n: getattr(args, n) for n in names}


def main() -> None:
    """Command line of the trainer."""
    parser = argparse.ArgumentParser(prog="models.train", description=__doc__.splitlines()[0])
    parser.add_argument("--net", required=True)
    parser.add_argument("--data", help="folder with the data set (default: see models/datasets)")
    parser.add_argument("--out", help="folder of checkpoints (default: build/train/<net>)")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--smoothing", type=float, default=0.0, help="label smoothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 mixed precision")
    parser.add_argument("--evaluate-every", type=int, default=5, metavar="EPOCHS")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    record = train(args)
    print(f"{args.net}: top-1 {record['top1']:.4f} on {record['images']} test images")


if __name__ == "__main__":
    run_cli(main)
