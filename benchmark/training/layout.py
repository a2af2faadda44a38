"""Which memory layout a network trains in: a fixed function of its widths, never of timing."""

import torch
from torch import nn

from benchmark.plan.cell import Recipe

BLOCK = 8  # on a CPU, kernels over the last dimension are slow for widths that are no multiple of it (docs/LOG.md)


def layout(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.memory_format:
    """Channels last if the recipe allows it and the width of every convolution suits it."""
    if not recipe.channels_last:
        return torch.contiguous_format
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    even = all(m.out_channels % BLOCK == 0 for m in convolutions)
    return torch.channels_last if even or device.type != "cpu" else torch.contiguous_format
