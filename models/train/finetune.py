"""Train an int8 network with encoded products: `python -m models.train.finetune --net NET --encoding ENCODING`.

Starts from a network of the zoo made ready for the encoding (models/quant/prepare.py); the forward pass
has the encoding's products (models/train/integer.py), and the network with exact products is the teacher:
loss = distil * KL(teacher, network) + (1 - distil) * cross entropy. Adam, cosine learning rate. The same
command goes on from its checkpoint. The last step's network is scored on the whole test set and written with its
provenance; no choice is made on test images. `--encoding exact64` is the control: the same with exact products.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from common.errors import UserError, run_cli
from common.files import alone, write_text
from models.datasets import Arrays, Cifar, ImageNet, images_sha256, load_dataset
from models.emulate import exact_table
from models.emulate.modules import TrainingTable
from models.multiplier import Products, load_products
from models.predictions import check_labels
from models.quant.checkpoint import FINETUNED, fingerprint, load_network, save_network
from models.quant.correct import encoding_engine, offset_network
from models.quant.graph import QuantNetwork
from models.quant.histogram import calibration_sample, measure
from models.quant.prepare import WAYS, prepare
from models.train.__main__ import CROP_PADDING, augment, save_atomically
from models.train.integer import TrainableNetwork
from models.train.team import Team
from tools.options import parse

FORMAT = "encmac-finetune/3"
TEMPERATURE = 2.0
WARMUP = 0.1  # of the steps
SEEN = 64  # images
LR = 0.3  # int8 codes a step
SETTINGS = ("steps", "batch", "lr", "distil", "gradient", "samples", "seed", "choose")


def start_network(
    network: QuantNetwork, encoding: Products, args: argparse.Namespace, label: str = ""
) -> tuple[QuantNetwork, str]:
    """(`network` made ready for `encoding` on training images, without the weights' constants in its biases; how)."""
    samples = calibration_sample(network.dataset, args.samples, args.seed, args.data)
    found = prepare(network, encoding, *samples, WAYS if args.choose == "1" else WAYS[:1], label=label)
    return offset_network(found.network, encoding, -1), found.way


def activations(network: QuantNetwork, encoding: Products, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """What each layer sees with the encoding's products, on a few training images: counts [256] by a + 128."""
    images = calibration_sample(network.dataset, min(args.samples, SEEN), args.seed, args.data)[0]
    found = measure(offset_network(network, encoding), images, encoding_engine(encoding, args.threads))
    return {name: taps.sum(0) for name, taps in found.inputs.items()}


def groups_of(model: TrainableNetwork, lr: float | None) -> list[dict]:
    """Parameters with their rates: weights move `lr` int8 codes a step, or what suits the levels of their layer.

    Biases, in output codes, move a fifth of it, logarithms of gains a hundredth.
    """
    groups = []
    for layer in model.layers.values():
        step = min(LR, layer.levels.spacing / 50) if lr is None else lr
        parts = ((layer.weight, step), (layer.bias, step / 5), (layer.gain, step / 100))
        groups += [{"params": [p], "lr": rate} for p, rate in parts if p.requires_grad]
    return groups


def rate(step: int, steps: int) -> float:
    """Factor of the learning rate: a linear start, then half a cosine."""
    warm = max(1, round(WARMUP * steps))
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def loss_of(scores: Tensor, teacher: Tensor, labels: Tensor, distil: float) -> Tensor:
    """Distillation (at TEMPERATURE) and cross entropy, weighted."""
    hard = F.cross_entropy(scores, labels)
    soft = F.kl_div(
        F.log_softmax(scores / TEMPERATURE, 1), F.softmax(teacher / TEMPERATURE, 1), reduction="batchmean"
    ) * (TEMPERATURE**2)
    return distil * soft + (1 - distil) * hard


def folder_of(args: argparse.Namespace) -> Path:
    """Where checkpoint, log and curves go."""
    return Path(args.folder or f"build/finetune/{load_network(args.net).name}-{load_products(args.encoding).name}")


def with_margin(images: np.ndarray) -> Tensor:
    """uint8 `images` [N, C, H, W] with CROP_PADDING mirrored pixels around them, for `augment`."""
    margin = ((0, 0), (0, 0), (CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING))
    return torch.from_numpy(np.pad(images, margin, mode="reflect"))


def finetune(args: argparse.Namespace) -> tuple[QuantNetwork, dict]:
    """Train to the end, or go on from a checkpoint; returns the network and the record of the run."""
    base, encoding = base_network(args), load_products(args.encoding)
    out = folder_of(args)
    out.mkdir(parents=True, exist_ok=True)
    team = Team()
    team.batch(args.batch)
    data = training_data(base, args)
    labels = torch.from_numpy(data.labels)
    padded = with_margin(data.images)
    teacher = TrainableNetwork(base, TrainingTable(exact_table(), threads=args.threads)).to(team.device)
    start, way = start_network(base, encoding, args, "" if args.quiet else encoding.name)
    table = TrainingTable(encoding.product_table, args.gradient, args.threads)
    model = TrainableNetwork(start, table, activations(start, encoding, args)).to(team.device)
    optimiser = torch.optim.Adam(groups_of(model, args.lr), betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, args.steps))
    rng = torch.Generator().manual_seed(args.seed)
    log, first, checkpoint = [], 0, out / "checkpoint.pt"
    identity = identity_of(base, encoding, args) | {"data_sha256": images_sha256(data), "start": fingerprint(start)}
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    if checkpoint.exists():
        state = read_checkpoint(checkpoint, identity)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        rng.set_state(state["rng"])
        log, first = state["log"], state["step"]

    parallel = team.wrap(model)
    quiet = True if args.quiet or not team.leads else None
    bar = tqdm(total=args.steps, initial=first, desc=encoding.name, disable=quiet)
    for step in range(first, args.steps):
        started = time.perf_counter()
        whole = torch.randint(len(labels), (args.batch,), generator=rng)
        mine = team.share(len(whole))
        crops = augment(padded, whole, rng)[mine]
        codes = torch.from_numpy(base.quantise_input(crops.numpy())).to(team.device)
        target = labels[whole[mine]].to(team.device)
        with torch.no_grad():
            wanted = teacher(codes)
        scores = parallel(codes)
        loss = loss_of(scores, wanted, target, args.distil)
        if not torch.isfinite(loss):
            raise UserError(f"loss is {loss.item()} at step {step + 1}; lower --lr")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        agree = (scores.argmax(1) == wanted.argmax(1)).float().mean().item()
        entry = {"step": step + 1, "loss": round(loss.item(), 4), "agreement": round(agree, 4)}
        log.append(entry | {"seconds": round(time.perf_counter() - started, 2)})
        bar.set_postfix(loss=entry["loss"], refresh=False)
        bar.update()
        if not all(torch.isfinite(p).all() for p in model.parameters()):
            raise UserError(f"weights are no numbers any more after step {step + 1}; lower --lr")
        if team.leads and ((step + 1) % args.save_every == 0 or step + 1 == args.steps):
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"rng": rng.get_state(), "log": log, "step": step + 1, "identity": identity}
            save_atomically(state, checkpoint)
            print(json.dumps(mean_entry(log[-args.save_every :])), flush=True)
    bar.close()
    record = {"network": base.name, "encoding": encoding.name, **identity, "log": log}
    if not team.leads:
        team.close()
        return start, record
    network = finished(model.export(), base, encoding, args, record | {"start": way, "processes": team.size})
    record |= {name: network.provenance["finetuned"][name] for name in ("top1", "images")}
    write_text(out / "log.json", json.dumps(record, indent=1) + "\n")
    curves(log, f"{base.name}, {encoding.name}", out / "loss.svg")
    team.close()
    return network, record


def training_data(base: QuantNetwork, args: argparse.Namespace) -> Cifar | ImageNet | Arrays:
    """Training images and their labels; UserError if they are not of the network's classes, or fewer than a step's."""
    data = load_dataset(base.dataset, "train", args.data)
    check_labels(base, data.images, data.labels)
    if args.batch > len(data.labels):
        raise UserError(f"--batch {args.batch}: there are {len(data.labels)} training images")
    return data


def base_network(args: argparse.Namespace) -> QuantNetwork:
    """The network to start from; UserError if it was trained or chosen already, or if the options do not fit."""
    base = load_network(args.net)
    if fine := base.provenance.get("finetuned"):
        raise UserError(f"{args.net} is fine-tuned for {fine['encoding']} already; start from its base network")
    if made := base.provenance.get("prepared"):
        raise UserError(
            f"{args.net} has weights for {made['encoding']} already; start from its base network {made['base']}"
        )
    if args.steps < 1 or args.batch < 1 or not (args.lr is None or args.lr > 0) or not 0 <= args.distil <= 1:
        raise UserError("steps and batch are at least 1, lr is positive, distil in 0..1")
    if args.out and args.out.exists() and not load_network(args.out).provenance.get("finetuned"):
        raise UserError(f"--out {args.out} holds a network that is not fine-tuned; give another file")
    return base


def identity_of(base: QuantNetwork, encoding: Products, args: argparse.Namespace) -> dict:
    """What a checkpoint must have been made with to go on from it."""
    identity = {"format": FORMAT} | {n: getattr(args, n) for n in SETTINGS}
    return identity | {"base_sha256": base.sha256, "encoding_sha256": encoding.sha256}


def finished(
    network: QuantNetwork, base: QuantNetwork, encoding: Products, args: argparse.Namespace, run: dict
) -> QuantNetwork:
    """The network with its accuracy on the test images and where it comes from."""
    test = load_dataset(base.dataset, "test", args.data)
    deployed = offset_network(network, encoding)
    top1 = deployed.top1(test.images, test.labels, encoding_engine(encoding, threads=1), "" if args.quiet else "test")
    made = {
        "encoding": encoding.name,
        "encoding_sha256": encoding.sha256,
        "base": base.name,
        "base_sha256": base.sha256,
        "command": command_line(args),
        **{n: getattr(args, n) for n in SETTINGS},
        "start": run["start"],
        "processes": run["processes"],
        "top1": top1,
        "images": len(test.labels),
    }
    return replace(network, provenance=base.provenance | {"finetuned": made})


def read_checkpoint(path: Path, identity: dict) -> dict:
    """The state saved in `path`; UserError if it is damaged or was made with other settings."""
    try:
        state = torch.load(path, weights_only=True)
        made = state["identity"]
        _ = state["model"], state["optimiser"], state["schedule"], state["rng"], state["log"], state["step"]
    except Exception as error:  # a damaged pickle can raise almost anything
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]}); delete it to start again") from error
    if made != identity:
        other = sorted(k for k in identity if made.get(k) != identity[k])
        raise UserError(f"{path} was made with another {', '.join(other)}; give another --folder or delete it")
    return state


def mean_entry(log: list[dict]) -> dict:
    """Step of the last entry and means of all."""
    means = {k: round(sum(e[k] for e in log) / len(log), 4) for k in ("loss", "agreement", "seconds")}
    return {"step": log[-1]["step"]} | means


def curves(log: list[dict], title: str, path: Path) -> None:
    """Loss and agreement with the teacher over the steps, running means of 20, as SVG and PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    steps = [e["step"] for e in log]
    for place, key, name in ((121, "loss", "loss"), (122, "agreement", "same class as exact products")):
        axes = figure.add_subplot(place)
        values = np.array([e[key] for e in log])
        window = min(20, len(values))
        axes.plot(steps, values, color="0.8", linewidth=0.8)
        axes.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), color="C0")
        axes.set(xlabel="step", ylabel=name)
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=120)


def command_line(args: argparse.Namespace) -> str:
    """The command that makes this run again."""
    given = {n: getattr(args, n) for n in ("net", "encoding", *SETTINGS, "data")}
    words = [word for n, v in given.items() if v is not None for word in (f"--{n}", str(v))]
    return shlex.join(["python", "-m", "models.train.finetune", *words])


def main() -> None:
    """Command line of fine-tuning."""
    args = parse("models.train.finetune")
    torch.set_num_threads(args.threads)
    with alone(folder_of(args) / "train.lock"):
        network, record = finetune(args)
    if "top1" not in record:
        return
    out = Path(args.out or FINETUNED / f"{record['network']}-{record['encoding']}.npz")
    sha256 = save_network(network, out)
    print(
        f"{record['network']} with {record['encoding']}: top-1 {record['top1']:.4f} on {record['images']} test images"
    )
    print(f"{os.path.relpath(out)}: sha256 {sha256[:16]}")


if __name__ == "__main__":
    run_cli(main)
