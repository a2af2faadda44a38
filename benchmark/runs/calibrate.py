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

# Training images per epoch where the data set's own facts do not say it. Used only for the estimate.
IMAGES = {
    "digits": 1437,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "cifar10-jpeg": 50_000,
    "caltech101": 6_982,
    "imagenet": 1_281_167,
}
STEPS, SECONDS = 3, 1.0  # so many steps, or as many as fit in that time
BATCH = {"cpu": 32, "cuda": 128}  # of 32 × 32 pixels: just enough to keep the device busy


class _Misfit(Exception):
    """The network does not accept such images."""


def hours_per_epoch(
    cell: Cell, device: str = "auto", threads: int | None = None, data: Path | None = None
) -> float | None:
    facts = discovery.datasets()[cell.data.partition(":")[0]].facts
    shape = facts.get("shape") or (3, 224, 224)
    side, recipe = cell.recipe.size or shape[1], cell.recipe
    count = recipe.epoch_images or _training_images(cell.data, data_root(data)) - recipe.validation
    if count <= 0:
        return None  # the number of images is not known before they are there
    image = (shape[0], side, side)
    try:
        speed = _speed(cell.model, facts.get("classes") or 100, image, recipe.precision, device, threads)
    except _Misfit as error:
        raise UserError(f"the model {cell.model} does not fit the data set {cell.data}: {error}") from error
    return count / speed / 3600


@lru_cache
def _training_images(name: str, root: Path) -> int:
    """The number if known, else counted on disk; 0 if they are not there. Archives are not unpacked for this."""
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
    """Images per second of forward, backward and step. An estimate ignores all other differences of recipes."""
    where = prepare(device, threads=threads).device
    network = discovery.load(discovery.models()[model])(classes).to(where).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    some = max(2, BATCH[where.type] * 32 * 32 // image[1] ** 2)
    images = torch.rand(some, *image, device=where).to(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    labels = torch.zeros(some, dtype=torch.int64, device=where)
    _probe(network, images[:2])
    started, steps = 0.0, -1  # the first step is a warm-up
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
