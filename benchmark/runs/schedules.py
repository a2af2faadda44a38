"""Methods that are a schedule: the share removed is a function of progress.

A cell that removes `weights` masks after every step. A cell that removes `macs`, `params` or `channels`
cuts between epochs.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmark.errors import UnknownName, UserError
from benchmark.plan.cell import Scope
from benchmark.pruning.criteria import CRITERIA, TAYLOR, scores, share_by_then, usual
from benchmark.pruning.masks import hold_zeros, magnitude, zero_lowest
from benchmark.training.seeds import generator

if TYPE_CHECKING:
    from benchmark.pruning.view import View
    from benchmark.runs.run import Run
    from benchmark.training.training import Now

MOVING = 0.9  # how much of Taylor's running mean stays at each step


def prune_along(
    run: "Run",
    fraction: Callable[[float], float],
    *,
    by: str | None = None,
    scope: Scope = "local",
    round_to: int | None = None,
) -> None:
    """Train to the end. At each moment the target × fraction(progress) is gone.

    `by` is the ranking: for weights magnitude (the default) or random, for channels any criterion
    (default: group_norm). A `local` scope takes the same share of every layer or channel group. A `global`
    scope ranks all of them together. With `round_to` the widths left are multiples of it.
    """
    if run.kind == "weights":
        if round_to:
            raise UserError("round_to speaks of channels; this cell removes single weights")
        mask_along(run, fraction, by=by or "magnitude", scope=scope)
    else:
        cut_along(run, fraction, by=by or "group_norm", scope=scope, round_to=1 if round_to is None else round_to)


def cut_along(run: "Run", fraction: Callable[[float], float], *, by: str, scope: Scope, round_to: int) -> None:
    """Before each epoch cut what is due then. Before the last epoch cut all, so that training follows every cut."""
    if by not in CRITERIA:
        raise UnknownName("criterion", by, CRITERIA)
    run.check_reach(round_to=round_to)
    normalise = "local" if scope == "local" else usual(by)
    due, yardstick = 0.0, dict[str, float]()
    while run.epoch < run.epochs:
        last = run.epoch == run.epochs - 1
        blind = by == "taylor" and run.epoch == 0  # nothing is gathered yet
        if not blind and (now := 1.0 if last else fraction(run.epoch / run.epochs)) > due:
            due = now
            if kept := run.ask(lowest, by, normalise, run.target * due, round_to, due >= 1, yardstick):
                if due < 1 and normalise == "mean":
                    yardstick = run.ask(yardstick_after, by, kept, yardstick)
                run.cut(kept)
        run.train(1, grads=gather_taylor(run) if by == "taylor" and due < 1 else None)


def lowest(
    view: "View",
    by: str,
    normalise: str,
    amount: float,
    round_to: int = 1,
    last: bool = True,
    yardstick: Mapping[str, float] | None = None,
) -> dict[str, list[int]]:
    """The channels that stay when the lowest are removed. `normalise` is local, or one of NORMALISE: then all
    channels are ranked together, in units of each group's `yardstick` (1 if none is given)."""
    if normalise == "local":
        ranked = {name: share_by_then(score, view.groups[name]) for name, score in scores(view, by).items()}
    else:
        units = yardstick or {}
        ranked = {name: score / units.get(name, 1.0) for name, score in scores(view, by, normalise).items()}
    return view.lowest(ranked, amount, round_to=round_to, last=last)


def yardstick_after(
    view: "View", by: str, kept: dict[str, list[int]], yardstick: Mapping[str, float]
) -> dict[str, float]:
    """What the mean of the dense group would be, in units of the mean of the channels that are left.

    A cut takes a group's weakest channels, so the mean of the rest jumps up. In units of that mean the rest would look
    weak beside groups that lost nothing, and a group that was cut once would be cut again and again. The
    yardstick divides by all jumps, so it still follows the weights as they are trained.
    """
    after = dict(yardstick)
    for name, score in scores(view, by).items():
        if name in kept and (left := float(score[kept[name]].mean())) > 0:
            after[name] = after.get(name, 1.0) * float(score.mean()) / left
    return after


def gather_taylor(run: "Run") -> Callable[[nn.Module, "Now"], None]:
    """A running mean of weight × gradient, for every weight of a layer."""

    @torch.no_grad()
    def grads(network: nn.Module, now: "Now") -> None:
        for path, weight in network.named_parameters():
            if weight.grad is not None and path.endswith("weight"):
                run.buffer(TAYLOR + path, path).mul_(MOVING).add_(weight * weight.grad, alpha=1 - MOVING)

    return grads


def mask_along(run: "Run", fraction: Callable[[float], float], *, by: str, scope: Scope) -> None:
    """Ranks again at each step, so a removed weight could return before the end. With magnitudes, zeros
    without gradient rank lowest."""
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
        zero_lowest(network, run.target * fraction(now.progress), ranks[by], scope)

    run.train(grads=lambda network, now: hold_zeros(network), weights=remask)
