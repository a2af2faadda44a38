"""The engine's training step against the plain loop, in one run. Ratios are printed, never a verdict."""

from typing import Any

import pytest
import torch

from benchmark.commands.bench.step import NETWORKS, ROUNDS, best, speed_of, timed, trainer
from benchmark.pruning.masks import hold_zeros, zero_lowest
from benchmark.training.environment import prepare

CPU = torch.device("cpu")


@pytest.mark.parametrize("network", NETWORKS)
def test_engine_against_the_plain_loop(network: str, benchmark: Any) -> None:
    torch.set_num_threads(2)
    here = prepare("cpu", "repeatable", 2)
    speed = benchmark.pedantic(lambda: speed_of(network, here, compile=False), rounds=1)
    benchmark.extra_info |= speed.as_json()
    print(f"\n{network}: engine {speed.eager:.0f} images/s; plain loop {speed.plain}; ratio {speed.ratio:.2f}")


@pytest.mark.parametrize("model", ["resnet20", "vgg16_quarter"])
def test_what_masking_every_step_costs(model: str, benchmark: Any) -> None:
    torch.set_num_threads(2)
    engine = trainer(model, CPU, steps=10)
    best(engine, 0.5)
    bare = min(timed(lambda: engine.epoch(0)) for _ in range(ROUNDS))
    zero_lowest(engine.network, 0.9)
    benchmark.pedantic(
        lambda: engine.epoch(0, grads=lambda n, now: hold_zeros(n), weights=lambda n, now: zero_lowest(n, 0.9)),
        rounds=ROUNDS,
    )
    share = benchmark.stats.stats.min / bare - 1
    benchmark.extra_info["share"] = share
    print(f"\n{model}: masking at every step costs {100 * share:.0f} % of the step")
