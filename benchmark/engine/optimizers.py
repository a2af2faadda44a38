"""The recipe's optimizer over a network's parameters; every parameter decays alike, as in the papers."""

import torch
from torch import nn

from benchmark.cell import Recipe, Sgd
from benchmark.engine.rates import momentum, rate


def optimizer_for(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    asked = recipe.optimizer
    if isinstance(asked, Sgd):
        return torch.optim.SGD(
            network.parameters(),
            lr=asked.lr,
            momentum=asked.momentum,
            nesterov=asked.nesterov,
            weight_decay=asked.decay,
        )
    kind = torch.optim.AdamW if asked.kind == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=asked.lr, betas=asked.betas, weight_decay=asked.decay)


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: float) -> float:
    """Put the optimizer at its place in the schedule; the learning rate comes back."""
    lr, moving = rate(recipe, epoch), momentum(recipe, epoch)
    for group in optimizer.param_groups:
        group["lr"] = lr
        if moving is not None:
            if "betas" in group:
                group["betas"] = (moving, group["betas"][1])
            else:
                group["momentum"] = moving
    return lr
