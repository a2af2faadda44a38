"""The processes that train one cell together, each on its share of every batch. A single process sends nothing.

All of them run the method. The leader makes the decisions of `ask` for all. Batch norm
uses a process's own share, so the number of processes is part of what was asked.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from benchmark.errors import UserError

PATIENCE = timedelta(hours=12)  # the others wait while the leader searches; torchrun notices at once when one dies


@dataclass(frozen=True)
class Ranks:
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the leader. Only the leader writes anything."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """The places of a batch that belong to this process."""
        each, left = divmod(batch, self.size)
        if left:
            raise UserError(f"a batch of {batch} cannot be shared by {self.size} processes")
        return slice(self.rank * each, (self.rank + 1) * each)

    def agreed(self, work: Callable[[], Any]) -> Any:
        """The leader's result, sent to all."""
        if self.size == 1:
            return work()
        found = [work() if self.leads else None]
        distributed.broadcast_object_list(found, src=0)
        return found[0]

    def check_equal(self, what: str, value: str) -> None:
        """Fail unless all have the same value. Otherwise they would train different networks."""
        if self.size == 1:
            return
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        if len(set(found)) > 1:
            raise RuntimeError(f"the processes differ in {what}: {', '.join(found)}")

    def total(self, value: Tensor) -> Tensor:
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def lost_one(self, error: Exception) -> bool:
        """Whether this error only means that another process is gone. Gloo has no error type of its own for it."""
        return self.size > 1 and (isinstance(error, distributed.DistError) or "gloo/transport" in str(error))

    def spread(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network that each process calls in training. Its gradients are the mean over all shares."""
        if self.size == 1:
            return network
        devices = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


ALONE = Ranks()


def join(device: str) -> Ranks:
    """Take the rank that torchrun has given this process."""
    backend = "nccl" if device.startswith("cuda") else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(backend, timeout=PATIENCE)
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def leave() -> None:
    distributed.destroy_process_group()
