"""One shape for every method that is a schedule: the share removed as a function of progress.

A cell that removes `weights` masks, after every step and in every layer alike; one that removes
`macs`, `params` or `channels` cuts, between epochs and over all groups together.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmark.engine.batches import generator
from benchmark.errors import UnknownName, UserError
from benchmark.network.criteria import CRITERIA, TAYLOR, scores, usual
from benchmark.network.masks import hold_zeros, magnitude, zero_lowest

if TYPE_CHECKING:
    from benchmark.engine.training import Now
    from benchmark.run import Run
    from benchmark.view import View

MOVING = 0.9  # how much of Taylor's running mean stays at each step


def prune_along(
    run: "Run", fraction: Callable[[float], float], *, by: str | None = None, round_to: int | None = None
) -> None:
    """Train to the end; at each moment the target × fraction(progress) is gone.

    `by` is what ranks: for weights magnitude (the default) or random, for channels any criterion
    (default: group_norm). With `round_to` the widths left are multiples of it.
    """
    if run.kind == "weights":
        if round_to:
            raise UserError("round_to speaks of channels; this cell removes single weights")
        mask_along(run, fraction, by=by or "magnitude")
    else:
        cut_along(run, fraction, by=by or "group_norm", round_to=1 if round_to is None else round_to)


def cut_along(run: "Run", fraction: Callable[[float], float], *, by: str, round_to: int) -> None:
    """Before each epoch cut what is due by then; before the last one all, so that nothing is cut untrained."""
    if by not in CRITERIA:
        raise UnknownName("criterion", by, CRITERIA)
    run.check_reach(round_to=round_to)
    due = 0.0
    while run.epoch < run.epochs:
        last = run.epoch == run.epochs - 1
        blind = by == "taylor" and run.epoch == 0  # nothing is gathered yet
        if not blind and (now := 1.0 if last else fraction(run.epoch / run.epochs)) > due:
            due = now
            if kept := run.ask(lowest, by, usual(by), run.target * due, round_to):
                run.cut(kept)
        run.train(1, grads=gather_taylor(run) if by == "taylor" and due < 1 else None)


def lowest(view: "View", by: str, normalise: str, amount: float, round_to: int = 1) -> dict[str, list[int]]:
    return view.lowest(scores(view, by, normalise), amount, round_to=round_to)


def gather_taylor(run: "Run") -> Callable[[nn.Module, "Now"], None]:
    """A running mean of weight × gradient, for every weight of a layer."""

    @torch.no_grad()
    def grads(network: nn.Module, now: "Now") -> None:
        for path, weight in network.named_parameters():
            if weight.grad is not None and path.endswith("weight"):
                run.buffer(TAYLOR + path, path).mul_(MOVING).add_(weight * weight.grad, alpha=1 - MOVING)

    return grads


def mask_along(run: "Run", fraction: Callable[[float], float], *, by: str) -> None:
    """The ranking is made anew at each step, so before the end a removed weight could return; with
    magnitudes, zeros without gradient rank last."""
    scored: dict[str, Tensor] = {}

    def random(name: str, weight: Tensor) -> Tensor:
        if name not in scored:
            draw = generator("random scores", run.seed, name)
            scored[name] = torch.rand(weight.shape, generator=draw).to(weight.device)
        return scored[name]

    ranks: dict[str, Any] = {"magnitude": magnitude, "random": random}
    if by not in ranks:
        raise UnknownName("criterion for single weights", by, ranks)

    def remask(network: nn.Module, now: "Now") -> None:
        zero_lowest(network, run.target * fraction(now.progress), ranks[by])

    run.train(grads=lambda network, now: hold_zeros(network), weights=remask)
