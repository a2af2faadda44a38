"""What an epoch of a cell costs here, from a few timed steps on made-up images. Advice, never a result."""

import time

import torch
from torch.nn import functional as F

from benchmark import find
from benchmark.cell import Cell
from benchmark.engine.build import build
from benchmark.engine.environment import prepare
from benchmark.engine.optimizers import optimizer_for
from benchmark.engine.precision import autocast

# Where a data set's own facts do not say it: training images an epoch, for the estimate alone.
IMAGES = {"digits": 1437, "cifar10": 50_000, "cifar100": 50_000, "cifar10-jpeg": 50_000, "caltech101": 6_982}
STEPS, SECONDS = 3, 2.0  # so many steps, or as many as fit in that time
PIXELS = 128 * 32 * 32  # of one timed step: a step on large images takes fewer of them


def hours_per_epoch(cell: Cell, device: str = "auto", threads: int | None = None) -> float | None:
    facts = find.datasets()[cell.data.partition(":")[0]].facts
    shape = facts.get("shape") or (3, 224, 224)
    side, recipe = cell.recipe.size or shape[1], cell.recipe
    count = recipe.epoch_images or IMAGES.get(cell.data, 0) - recipe.validation
    if count <= 0:
        return None  # nobody knows how many images there are before they are there
    where = prepare(device, threads=threads).device
    network = build(cell, facts.get("classes") or 100).to(where)
    optimizer = optimizer_for(network, recipe)
    some = max(2, min(recipe.batch, PIXELS // side**2))
    images = torch.rand(some, shape[0], side, side, device=where)
    labels = torch.zeros(some, dtype=torch.int64, device=where)
    if recipe.channels_last:
        network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started, steps = 0.0, -1  # the first step warms up
    while steps < STEPS and (steps < 1 or time.perf_counter() - started < SECONDS):
        if steps == 0:
            started = time.perf_counter()
        with autocast(where, recipe.precision):
            loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
    seconds = (time.perf_counter() - started) / steps
    return seconds / some * count / 3600
