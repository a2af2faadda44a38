"""How fast one training step is on this machine, beside the plain loop: images a second, one run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.commands.bench import plain
from benchmark.data.images import CIFAR10, Images
from benchmark.plan import discovery
from benchmark.plan.cell import Recipe, Sgd, WarmCosine
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.masks import hold_zeros, zero_lowest
from benchmark.pruning.targets import choose
from benchmark.training.batches import Batches
from benchmark.training.environment import Environment, Mode, prepare
from benchmark.training.precision import autocast
from benchmark.training.training import Trainer

CLASSES, BATCH, ROUNDS = 10, 128, 3
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
    fast: float  # in mode `fast`, which promises no equal bits; the others are in `repeatable`
    masked: float  # nine tenths of the weights held at zero after every step, by a new ranking: One-Cycle's callbacks
    plain_layout: float | None  # on a GPU: eager, not channels last
    compiled: float | None
    compile_seconds: float | None
    share_of_peak: float  # of what a large matrix product reaches here in the same precision
    peak_memory: int  # bytes, eager and as a graph; on a CPU of the whole process

    @property
    def engine(self) -> float:
        """The rate of a run here that is not compiled."""
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


def speed_of(name: str, here: Environment, *, compile: bool, seconds: float = 2.0) -> Speed:
    device = here.device
    steps = 39 if device.type == "cuda" else 4  # an epoch ends by waiting for the device
    rounds = {workers: _plain(name, workers, device, seconds) for workers in WORKERS}
    here.forget_peak_memory()
    eager = trainer(name, device, steps=steps)
    recorded, eager.captures = eager.captures, False
    rate = best(eager, seconds)
    graph, nchw, compiled, spent = None, None, None, None
    if recorded:
        eager.captures = True
        graph = best(eager, seconds)
    memory = here.peak_memory()
    masked = best(eager, seconds, masks=True)
    if recorded:
        other = trainer(name, device, channels_last=False, steps=steps)
        other.captures = False
        nchw = best(other, seconds)
    with mode(device, "fast"):
        fast = best(trainer(name, device, steps=steps), seconds)
    if compile:
        other = trainer(name, device, compile=True, steps=steps)
        start = time.perf_counter()
        other.epoch(0)  # the first step compiles
        spent = max(0.0, time.perf_counter() - start - other.batches.steps * BATCH / rate)
        compiled = best(other, seconds)
    flops = 6 * count.macs(eager.network, shape_of(name))
    share = flops * (graph or rate) / peak(device)
    return Speed(name, rounds, rate, graph, fast, masked, nchw, compiled, spent, share, memory)


@contextmanager
def mode(device: torch.device, other: Mode) -> Iterator[None]:
    prepare(device.type, other)
    try:
        yield
    finally:
        prepare(device.type, "repeatable")


def trainer(
    name: str, device: torch.device, *, compile: bool = False, channels_last: bool = True, steps: int = 4
) -> Trainer:
    recipe = Recipe(
        epochs=100,
        batch=BATCH,
        optimizer=Sgd(lr=0.1, momentum=0.9, nesterov=True, decay=5e-4),
        lr=WarmCosine(shape="warm_cosine"),
        augment=("crop4", "flip"),
        precision="bf16",
        compile=compile,
        channels_last=channels_last,
    )
    return Trainer(build(name), Batches(pictures(BATCH * steps, shape_of(name)), recipe, 0, device), recipe)


def shape_of(name: str) -> tuple[int, int, int]:
    shape: tuple[int, int, int] = discovery.models()[name.removesuffix(CUT)].facts["input"]
    return shape


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = discovery.load(discovery.models()[name.removesuffix(CUT)])(CLASSES)
    if name.endswith(CUT):
        cuts.apply(network, half_of(name, network))
    return network


def half_of(name: str, network: nn.Module) -> list[cuts.Slices]:
    """A cut of half of its MACs, with channels drawn at random."""
    channels = Channels(network, shape_of(name), CLASSES)
    draw = torch.Generator().manual_seed(0)
    scores = {name: torch.rand(group.width, generator=draw) for name, group in channels.groups.items()}
    return channels.cut(network, choose(channels.groups, channels.costs, scores, "macs", 0.5))


@lru_cache
def pictures(n: int, shape: tuple[int, int, int]) -> Images:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, n)
    return Images(images, labels, images[:500], labels[:500], tuple("0123456789"), CIFAR10, "none")


def best(engine: Trainer, seconds: float, *, masks: bool = False) -> float:
    """The best of three rounds, after one that warms up. `masks`: what One-Cycle Pruning does at every step."""
    epoch = partial(engine.epoch, 0)
    if masks:
        epoch = partial(epoch, grads=lambda n, now: hold_zeros(n), weights=lambda n, now: zero_lowest(n, 0.9))
    epoch()
    epochs = max(1, round(seconds / timed(epoch)))
    rounds = (timed(lambda: [epoch() for _ in range(epochs)]) for _ in range(ROUNDS))
    return BATCH * engine.batches.steps * epochs / min(rounds)


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _plain(name: str, workers: int, device: torch.device, seconds: float) -> float:
    data = pictures(BATCH * 16, shape_of(name))
    assert isinstance(data.train, np.ndarray)
    arguments = (data.train, data.train_labels, workers)
    first = plain.images_per_second(build(name), *arguments, 2, device)
    steps = max(2, round(seconds * first / BATCH))
    return max(plain.images_per_second(build(name), *arguments, steps, device) for _ in range(ROUNDS))


@lru_cache
def peak(device: torch.device) -> float:
    """FLOPs a second of large products of bf16 matrices, computed here as a run computes them."""
    side, times = (8192, 10) if device.type == "cuda" else (2048, 1)  # so long that waiting does not matter
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)

    def products() -> float:
        return [a @ a for _ in range(times)][-1][0, 0].item()  # reading one number waits for all of them

    with autocast(device, "bf16"):
        products()
        return 2 * side**3 * times / min(timed(products) for _ in range(5))
