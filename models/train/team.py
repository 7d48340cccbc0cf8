"""One process or several (torchrun): who am I, on which device, what is my share of a batch."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import nn

from common.errors import UserError


class Team:
    """The processes that torchrun started, or this one alone.

    Process `rank` of `size` works on the share [rank::size] of every batch; gradients are averaged
    (DistributedDataParallel: NCCL on GPUs, gloo without). All draw the same random numbers, so a team
    sees the same batches as one process does; batch statistics are those of a share.
    """

    def __init__(self) -> None:
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        gpu = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(self.device)
        if self.size > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if gpu else "gloo")

    @property
    def leads(self) -> bool:
        """True in the one process that evaluates, prints and writes files."""
        return self.rank == 0

    def batch(self, whole: int) -> int:
        """Images of a batch of `whole` for each process; UserError if they cannot be shared out evenly."""
        if whole % self.size:
            raise UserError(f"--batch {whole} is no multiple of {self.size} processes")
        return whole // self.size

    def share(self, count: int) -> slice:
        """Which of `count` images are this process's; all get as many, left-over ones are not used."""
        return slice(self.rank, count - count % self.size, self.size)

    def wrap(self, model: nn.Module) -> nn.Module:
        """`model` whose gradients are averaged over the team."""
        return nn.parallel.DistributedDataParallel(model) if self.size > 1 else model

    def close(self) -> None:
        """Wait for the others, then leave."""
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()
