"""A cell's network before any training."""

import torch
from torch import nn

from benchmark.plan import discovery
from benchmark.plan.canonical import digest
from benchmark.plan.cell import Cell


def build(cell: Cell, classes: int) -> nn.Module:
    """The dense network. Its weights depend only on the seed."""
    torch.manual_seed(int(digest(["weights", cell.seed])[:15], 16))
    network: nn.Module = discovery.load(discovery.pick("model", cell.model, discovery.models()))(classes)
    return network
