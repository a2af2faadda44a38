"""How fast one training step is here, beside the loop everybody writes first: images a second, one run, one machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark import find
from benchmark.bench import plain
from benchmark.cell import Recipe, Sgd, WarmCosine
from benchmark.data.images import CIFAR10, Images
from benchmark.engine.batches import Batches
from benchmark.engine.environment import Mode, prepare
from benchmark.engine.precision import autocast
from benchmark.engine.training import Trainer
from benchmark.network import count, cuts
from benchmark.network.channels import Channels
from benchmark.network.targets import choose

SHAPE, CLASSES, BATCH, ROUNDS = (3, 32, 32), 10, 128, 3
CUT = ", half its MACs cut"
NETWORKS = ("resnet20", "resnet56", f"resnet56{CUT}", "vgg16", "mobilenetv2_cifar", "vit_cifar")
WORKERS = (0, 2)


@dataclass(frozen=True)
class Speed:
    """Of one network; rates in images a second, ratios to the faster plain loop."""

    network: str
    plain: dict[int, float]  # by workers of its loader
    eager: float
    graph: float | None  # the step as a CUDA graph
    fast: float  # in the mode that promises no equal bits; all else is `repeatable`
    compiled: float | None
    compile_seconds: float | None
    share_of_peak: float  # of what a large matrix product reaches here in the same precision

    @property
    def engine(self) -> float:
        """What a run does here that does not ask to be compiled."""
        return self.graph or self.eager

    @property
    def ratio(self) -> float:
        return self.engine / max(self.plain.values())

    @property
    def break_even(self) -> float | None:
        """Images after which compiling has paid for itself; None if it never does."""
        if self.compiled is None or self.compile_seconds is None or self.compiled <= self.engine:
            return None
        return self.compile_seconds / (1 / self.engine - 1 / self.compiled)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "break_even_images": self.break_even}


def speed_of(name: str, device: torch.device, *, compile: bool, seconds: float = 2.0) -> Speed:
    rounds = {workers: _plain(name, workers, device, seconds) for workers in WORKERS}
    eager = trainer(name, device)
    recorded, eager.captures = eager.captures, False
    rate = best(eager, seconds)
    graph, compiled, spent = None, None, None
    if recorded:
        eager.captures = True
        graph = best(eager, seconds)
    with mode(device, "fast"):
        fast = best(trainer(name, device), seconds)
    if compile:
        other = trainer(name, device, compile=True)
        start = time.perf_counter()
        other.epoch(0)  # the first step compiles
        spent = max(0.0, time.perf_counter() - start - other.batches.steps * BATCH / rate)
        compiled = best(other, seconds)
    macs = 3 * count.macs(eager.network, SHAPE)
    return Speed(name, rounds, rate, graph, fast, compiled, spent, 2 * macs * (graph or rate) / peak(device))


@contextmanager
def mode(device: torch.device, other: Mode) -> Iterator[None]:
    prepare(device.type, other)
    try:
        yield
    finally:
        prepare(device.type, "repeatable")


def trainer(name: str, device: torch.device, *, compile: bool = False, steps: int = 4) -> Trainer:
    recipe = Recipe(
        epochs=100,
        batch=BATCH,
        optimizer=Sgd(lr=0.1, momentum=0.9, nesterov=True, decay=5e-4),
        lr=WarmCosine(shape="warm_cosine"),
        augment=("crop4", "flip"),
        precision="bf16",
        compile=compile,
    )
    return Trainer(build(name), Batches(pictures(BATCH * steps), recipe, 0, device), recipe)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = find.load(find.models()[name.removesuffix(CUT)])(CLASSES)
    if name.endswith(CUT):
        channels = Channels(network, SHAPE, CLASSES)
        draw = torch.Generator().manual_seed(0)
        scores = {name: torch.rand(group.width, generator=draw) for name, group in channels.groups.items()}
        cuts.apply(network, channels.cut(network, choose(channels.groups, channels.costs, scores, "macs", 0.5)))
    return network


@lru_cache
def pictures(n: int) -> Images:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, n)
    return Images(images, labels, images[:500], labels[:500], tuple("0123456789"), CIFAR10, "none")


def best(engine: Trainer, seconds: float) -> float:
    """The best of three rounds, after one that warms up."""
    engine.epoch(0)
    epochs = max(1, round(seconds / timed(lambda: engine.epoch(0))))
    rounds = (timed(lambda: [engine.epoch(0) for _ in range(epochs)]) for _ in range(ROUNDS))
    return BATCH * engine.batches.steps * epochs / min(rounds)


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _plain(name: str, workers: int, device: torch.device, seconds: float) -> float:
    data = pictures(BATCH * 16)
    assert isinstance(data.train, np.ndarray)
    arguments = (data.train, data.train_labels, workers)
    first = plain.images_per_second(build(name), *arguments, 2, device)
    steps = max(2, round(seconds * first / BATCH))
    return max(plain.images_per_second(build(name), *arguments, steps, device) for _ in range(ROUNDS))


@lru_cache
def peak(device: torch.device, side: int = 2048) -> float:
    """FLOPs a second of a large product of bf16 matrices, computed as a run does it here."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)

    def product() -> float:
        return (a @ a)[0, 0].item()  # reading one number waits for all of them

    with autocast(device, "bf16"):
        product()
        return 2 * side**3 / min(timed(product) for _ in range(5))
