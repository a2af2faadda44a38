"""One shape for every method that is a schedule: the share removed as a function of progress."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmark.engine.batches import generator
from benchmark.network.masks import hold_zeros, magnitude, zero_lowest

if TYPE_CHECKING:
    from benchmark.engine.training import Now
    from benchmark.run import Run


def prune_along(run: "Run", fraction: Callable[[float], float], *, by: str = "magnitude") -> None:
    """Train to the end; after every step the target × fraction(progress) of each layer is zero.

    The ranking is made anew at each step (`by`: magnitude, or random scores fixed by the seed), so
    before the end a removed weight could return; with magnitudes, zeros without gradient rank last.
    """
    scores: dict[str, Tensor] = {}

    def random(name: str, weight: Tensor) -> Tensor:
        if name not in scores:
            draw = generator("random scores", run.seed, name)
            scores[name] = torch.rand(weight.shape, generator=draw).to(weight.device)
        return scores[name]

    score = {"magnitude": magnitude, "random": random}[by]

    def remask(network: nn.Module, now: "Now") -> None:
        zero_lowest(network, run.target * fraction(now.progress), score)

    run.train(grads=lambda network, now: hold_zeros(network), weights=remask)
