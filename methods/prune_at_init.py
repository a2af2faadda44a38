"""Pruning at initialisation: cut before the first step, then train what is left. The other end of every sweep.

In tables: Pruning at init
Criteria:  scaled_square (OCSPruner's saliency, here of untrained weights), snip (Lee,
           Ajanthan, Torr, ICLR 2019: how much the loss would change, summed over a channel), random.
Expected:  OCSPruner's authors, ResNet-56, CIFAR-10, -50 % MACs: 93.41 % at epoch 0 (three runs),
           0.48 points below their stable epoch. That run also weighs by cost: it is exactly
           `ocspruner` with eps = 2, sl_start = 0 and sl_end = 0.
"""

from typing import Literal

from torch import Tensor

from benchmark import NORMALISE, Group, Run, View, lowest, method


@method(removes={"macs", "params", "channels"}, version=1)
def prune_at_init(
    run: Run,
    *,
    by: Literal["scaled_square", "snip", "random"] = "scaled_square",
    normalise: Literal["none", "mean", "max"] = "mean",
    images: int = 256,
) -> None:
    run.check_reach()
    if by == "snip":
        run.cut(run.ask(snip, normalise, run.target, images))
    else:
        run.cut(run.ask(lowest, by, normalise, run.target))
    run.train()


def snip(view: View, normalise: str, target: float, images: int) -> dict[str, list[int]]:
    """|Σ weight × gradient| over everything that would be removed with a channel."""
    gradients = view.gradients(images)
    found = {name: connection(view, group, gradients) for name, group in view.groups.items()}
    return view.lowest({name: NORMALISE[normalise](score) for name, score in found.items()}, target)


def connection(view: View, group: Group, gradients: dict[str, Tensor]) -> Tensor:
    weights = view.weights
    parts = [m.rows((weights[m.path] * gradients[m.path]).detach()).sum(1) for m in group.weights()]
    return sum(parts[1:], parts[0]).abs()
