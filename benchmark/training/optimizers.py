"""The recipe's optimizer for a network's parameters. All parameters decay alike unless the recipe says otherwise."""

from typing import Any

import torch
from torch import nn

from benchmark.plan.cell import Adam, Recipe, Sgd
from benchmark.training.rates import momentum, rate


def optimizer_for(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    asked = recipe.optimizer
    parameters = _parameters(network, asked)
    if isinstance(asked, Sgd):
        return torch.optim.SGD(
            parameters,
            lr=asked.lr,
            momentum=asked.momentum,
            nesterov=asked.nesterov,
            weight_decay=asked.decay,
        )
    kind = torch.optim.AdamW if asked.kind == "adamw" else torch.optim.Adam
    return kind(parameters, lr=asked.lr, betas=asked.betas, eps=asked.eps, weight_decay=asked.decay)


def _parameters(network: nn.Module, asked: Sgd | Adam) -> list[Any]:
    """One group, or two if only the weights of layers decay."""
    if asked.decay_all:
        return list(network.parameters())
    layers = {id(m.weight) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    decaying = [p for p in network.parameters() if id(p) in layers]
    others = [p for p in network.parameters() if id(p) not in layers]
    return [{"params": decaying}, {"params": others, "weight_decay": 0.0}]


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: float) -> float:
    """Set the optimizer's rates for this place in the schedule. Returns the learning rate."""
    lr, moving = rate(recipe, epoch), momentum(recipe, epoch)
    for group in optimizer.param_groups:
        group["lr"] = lr
        if moving is not None:
            if "betas" in group:
                group["betas"] = (moving, group["betas"][1])
            else:
                group["momentum"] = moving
    return lr
