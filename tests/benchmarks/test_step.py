"""The engine's training step against the plain loop, in one run. Ratios are printed, never a verdict."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import find
from benchmark.cell import Recipe, Sgd, WarmCosine
from benchmark.data.images import CIFAR10, Images
from benchmark.engine.batches import Batches
from benchmark.engine.training import Trainer
from benchmark.network.masks import hold_zeros, zero_lowest
from tests.benchmarks.plain import images_per_second

STEPS = {"resnet20": 20, "resnet56": 10}
ROUNDS = 3


def pictures(count: int) -> Images:
    draw = np.random.default_rng(0)
    train = draw.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = draw.integers(0, 10, count)
    return Images(train, labels, train[:500], labels[:500], tuple("0123456789"), CIFAR10, "none")


def trainer(model: str, data: Images) -> Trainer:
    recipe = Recipe(
        epochs=100,
        batch=128,
        optimizer=Sgd(lr=0.1, momentum=0.9, nesterov=True, decay=5e-4),
        lr=WarmCosine(shape="warm_cosine"),
        augment=("crop4", "flip"),
        precision="bf16",
    )
    torch.manual_seed(0)
    return Trainer(find.load(find.models()[model])(10), Batches(data, recipe, 0, torch.device("cpu")), recipe)


@pytest.mark.parametrize("model", STEPS)
def test_engine_against_the_plain_loop(model: str, benchmark: Any) -> None:
    torch.set_num_threads(2)
    steps = STEPS[model]
    data = pictures(128 * (steps + 3))
    plain = {
        workers: max(
            images_per_second(find.load(find.models()[model])(10), data.train, data.train_labels, workers, steps)
            for _ in range(ROUNDS)
        )
        for workers in (0, 2)
    }
    engine = trainer(model, data)
    engine.epoch(0)
    benchmark.pedantic(lambda: engine.epoch(0), rounds=ROUNDS)
    ours = 128 * engine.batches.steps / benchmark.stats.stats.min
    benchmark.extra_info |= {"plain": plain, "ours": ours, "ratio": ours / max(plain.values())}
    print(
        f"\n{model}: engine {ours:.0f} images/s; plain loop {plain[0]:.0f} (0 workers), {plain[2]:.0f} (2 workers); "
        f"ratio to the faster {ours / max(plain.values()):.2f}"
    )


@pytest.mark.parametrize("model", ["resnet20", "vgg16_quarter"])
def test_what_masking_every_step_costs(model: str, benchmark: Any) -> None:
    torch.set_num_threads(2)
    engine = trainer(model, pictures(128 * 10))
    engine.epoch(0)
    bare = min(timed(lambda: engine.epoch(0)) for _ in range(ROUNDS))
    zero_lowest(engine.network, 0.9)
    benchmark.pedantic(
        lambda: engine.epoch(0, grads=lambda n, now: hold_zeros(n), weights=lambda n, now: zero_lowest(n, 0.9)),
        rounds=ROUNDS,
    )
    share = benchmark.stats.stats.min / bare - 1
    benchmark.extra_info["share"] = share
    print(f"\n{model}: masking at every step costs {100 * share:.0f} % of the step")


def timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
