"""How much a channel matters: small pure functions of what a search may see, one score per channel.

Each takes (view, group). `out` members are the layers that make the group's channels, `in` those
that read them. Channels of different groups can be compared only after a normalisation, which is always
named: `scores(view, by="l2", normalise="mean")`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmark.errors import UnknownName, UserError
from benchmark.pruning.groups import Group, Member, Side

if TYPE_CHECKING:
    from benchmark.pruning.view import View

Criterion = str  # the name of one of the functions below
Score = Callable[["View", Group], Tensor]
TAYLOR = "taylor "  # prefix of its buffers' names


def l1(view: "View", group: Group) -> Tensor:
    """Mean absolute value of the weights of the filters that make the channel (Li et al. 2017)."""
    return _mean([row.abs().mean(1) for row in _rows(view, group, "out")])


def l2(view: "View", group: Group) -> Tensor:
    """Root mean square of the same weights."""
    return _mean([row.square().mean(1) for row in _rows(view, group, "out")]).sqrt()


def group_norm(view: "View", group: Group) -> Tensor:
    """Euclidean norm of everything that would go with the channel (DepGraph, Fang et al. 2023)."""
    return _sum([row.square().sum(1) for row in _rows(view, group)]).sqrt()


def scaled_square(view: "View", group: Group, depthwise: bool = True) -> Tensor:
    """Squares over the root of their number, averaged over the coupled layers (OCSPruner's saliency)."""
    sides: tuple[Side, ...] = ("out", "norm", "in", "through") if depthwise else ("out", "norm", "in")
    return _mean([row.square().sum(1) / row.shape[1] ** 0.5 for row in _rows(view, group, *sides)])


def fpgm(view: "View", group: Group) -> Tensor:
    """Sum of distances to the other filters: a filter near the geometric median is replaceable (He et al. 2019)."""
    return _mean([torch.cdist(row, row).sum(1) for row in _rows(view, group, "out")])


def bn_scale(view: "View", group: Group) -> Tensor:
    """Absolute value of the normalisation's scale (Liu et al. 2017); l2 of the filters if the group has none."""
    rows = _rows(view, group, "norm")
    return _mean([row.abs().mean(1) for row in rows]) if rows else l2(view, group)


def taylor(view: "View", group: Group) -> Tensor:
    """|Σ weight · gradient| of the channel: the change of loss to first order (Molchanov et al. 2019)."""
    gathered = {name.removeprefix(TAYLOR): tensor for name, tensor in view.buffers.items()}
    if missing := [member.path for member in group.weights() if member.path not in gathered]:
        raise UserError(f"taylor: no gradient of {missing[0]} was gathered; it needs training before the cut")
    return _sum([m.rows(gathered[m.path]).sum(1) for m in group.weights()]).abs()


def lamp(view: "View", group: Group) -> Tensor:
    """A filter's square divided by the sum of all squares not below it (Lee et al. 2021). Each group's best has 1."""
    squares = l2(view, group).square()
    order = squares.sort(stable=True)
    tail = order.values.flip(0).cumsum(0).flip(0)
    return torch.empty_like(squares).scatter_(0, order.indices, order.values / tail.clamp_min(1e-30))


def random(view: "View", group: Group) -> Tensor:
    return torch.rand(group.width, generator=view.rng)


CRITERIA: dict[str, Score] = {
    "l1": l1,
    "l2": l2,
    "group_norm": group_norm,
    "scaled_square": scaled_square,
    "fpgm": fpgm,
    "bn_scale": bn_scale,
    "taylor": taylor,
    "lamp": lamp,
    "random": random,
}


# ---- making groups comparable ------------------------------------------------------------------


NORMALISE: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda score: score,
    "mean": lambda score: score / score.mean().clamp_min(1e-30),
    "max": lambda score: score / score.max().clamp_min(1e-30),
}


def usual(by: str) -> str:
    """The normalisation that a global ranking uses for a criterion. LAMP's scores are shares already."""
    return "none" if by == "lamp" else "mean"


def share_by_then(score: Tensor, group: Group) -> Tensor:
    """For each channel, the share of the dense group that is gone once it is removed, lowest score first.

    A walk up these numbers takes the same share of every group: a local ranking.
    """
    rank = torch.empty_like(score, dtype=torch.long)
    rank[score.sort(stable=True).indices] = torch.arange(len(score), device=score.device)
    return (group.dense - group.width + 1 + rank).double() / group.dense


@torch.no_grad()
def scores(view: "View", by: str, normalise: str = "none") -> dict[str, Tensor]:
    """Every group's scores, by one criterion."""
    if by not in CRITERIA:
        raise UnknownName("criterion", by, CRITERIA)
    if normalise not in NORMALISE:
        raise UnknownName("normalisation", normalise, NORMALISE)
    return {name: NORMALISE[normalise](CRITERIA[by](view, group)) for name, group in view.groups.items()}


def _rows(view: "View", group: Group, *sides: Side) -> list[Tensor]:
    """The weights of the group's members, one row per channel."""
    return [rows_of(view.weights, member) for member in group.weights(*sides)]


def rows_of(weights: dict[str, Tensor], member: Member) -> Tensor:
    return member.rows(weights[member.path].detach())


def _sum(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean(0)
