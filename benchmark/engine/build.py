"""A cell's network before any training."""

import torch
from torch import nn

from benchmark import find
from benchmark.canonical import digest
from benchmark.cell import Cell


def build(cell: Cell, classes: int) -> nn.Module:
    """The dense network, its weights drawn from the seed alone."""
    torch.manual_seed(int(digest(["weights", cell.seed])[:15], 16))
    network: nn.Module = find.load(find.pick("model", cell.model, find.models()))(classes)
    return network
