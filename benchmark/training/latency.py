"""How long a forward pass takes: the network as it is and the dense one, in turns in one process."""

import time
from collections.abc import Callable
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from benchmark.plan.cell import Recipe
from benchmark.training.batches import Batches
from benchmark.training.layout import layout
from benchmark.training.precision import autocast

BATCHES = (1, 128)
TURNS, SECONDS = 15, 2.0  # so many turns, or as many as fit in that time (at least three)


@torch.no_grad()
def latencies(network: nn.Module, dense: nn.Module, recipe: Recipe, batches: Batches) -> dict[str, tuple[float, float]]:
    """'1' and '128' for this network, 'dense 1' and 'dense 128' for the other: (median, quartile range) in ms."""
    found: dict[str, tuple[float, float]] = {}
    was_training = network.training
    networks = {"": network.eval(), "dense ": dense.to(batches.device).eval()}
    for size in BATCHES:
        passes = {}
        for name, each in networks.items():
            form = layout(each, recipe, batches.device)
            each.to(memory_format=form)  # type: ignore[call-overload]
            images = torch.zeros(size, batches.channels, batches.size, batches.size, device=batches.device)
            passes[f"{name}{size}"] = _forward(each, images.contiguous(memory_format=form), recipe)
        found |= _turn_by_turn(passes, batches.device)
    network.train(was_training)
    return found


def _forward(network: nn.Module, images: Tensor, recipe: Recipe) -> Callable[[], None]:
    def forward() -> None:
        with autocast(images.device, recipe.precision):
            network(images)

    return forward


def _turn_by_turn(passes: dict[str, Callable[[], None]], device: torch.device) -> dict[str, tuple[float, float]]:
    """In turns, so that a disturbance of the machine affects both. The first pass of each is a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in passes}
    for forward in passes.values():
        forward()
    begun = time.perf_counter()
    for turn in range(TURNS):
        if turn >= 3 and time.perf_counter() - begun > SECONDS:
            break
        for name, forward in passes.items():
            _synchronize(device)
            start = time.perf_counter()
            forward()
            _synchronize(device)
            times[name].append(1000 * (time.perf_counter() - start))
    quarters = {name: quantiles(values, n=4) for name, values in times.items()}
    return {name: (round(median(v), 4), round(quarters[name][2] - quarters[name][0], 4)) for name, v in times.items()}


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
