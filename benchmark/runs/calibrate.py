"""What an epoch of a cell costs here, from a few timed steps on made-up images. Advice, never a result."""

import time
from functools import lru_cache
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmark.data.images import Place, data_root
from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.cell import Cell
from benchmark.training.environment import prepare
from benchmark.training.precision import autocast

# Where a data set's own facts do not say it: training images an epoch, for the estimate alone.
IMAGES = {
    "digits": 1437,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "cifar10-jpeg": 50_000,
    "caltech101": 6_982,
    "imagenet": 1_281_167,
}
STEPS, SECONDS = 3, 1.0  # so many steps, or as many as fit in that time
BATCH = {"cpu": 32, "cuda": 128}  # of 32 × 32 pixels: enough to be busy, and no more


class _Misfit(Exception):
    """The network does not take such images."""


def hours_per_epoch(
    cell: Cell, device: str = "auto", threads: int | None = None, data: Path | None = None
) -> float | None:
    facts = discovery.datasets()[cell.data.partition(":")[0]].facts
    shape = facts.get("shape") or (3, 224, 224)
    side, recipe = cell.recipe.size or shape[1], cell.recipe
    count = recipe.epoch_images or _training_images(cell.data, data_root(data)) - recipe.validation
    if count <= 0:
        return None  # nobody knows how many images there are before they are there
    image = (shape[0], side, side)
    try:
        speed = _speed(cell.model, facts.get("classes") or 100, image, recipe.precision, device, threads)
    except _Misfit as error:
        raise UserError(f"the model {cell.model} does not fit the data set {cell.data}: {error}") from error
    return count / speed / 3600


@lru_cache
def _training_images(name: str, root: Path) -> int:
    """Known, or counted where they lie; 0 where they do not. An archive is not unpacked for it."""
    kind, _, argument = name.partition(":")
    if known := IMAGES.get(argument or kind):
        return known
    there = root / {"folder": argument, "shards": f"{argument}-shards"}.get(kind, "")
    if not argument or not there.is_dir():
        return 0
    return len(discovery.load(discovery.datasets()[kind])(Place(root, argument, offline=True, stream=True)).train)


@lru_cache
def _speed(
    model: str, classes: int, image: tuple[int, int, int], precision: str, device: str, threads: int | None
) -> float:
    """Images a second, forward, backward and step. Recipes differ in more; an estimate does not."""
    where = prepare(device, threads=threads).device
    network = discovery.load(discovery.models()[model])(classes).to(where).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    some = max(2, BATCH[where.type] * 32 * 32 // image[1] ** 2)
    images = torch.rand(some, *image, device=where).to(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    labels = torch.zeros(some, dtype=torch.int64, device=where)
    _probe(network, images[:2])
    started, steps = 0.0, -1  # the first step warms up
    while steps < STEPS and (steps < 1 or time.perf_counter() - started < SECONDS):
        if steps == 0:
            started = time.perf_counter()
        with autocast(where, precision):
            loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
    return some * steps / (time.perf_counter() - started)


def _probe(network: torch.nn.Module, images: torch.Tensor) -> None:
    try:
        network(images)
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError) as error:
        raise _Misfit(str(error).partition("\n")[0]) from error
