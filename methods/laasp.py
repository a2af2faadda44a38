"""LAASP: in each step remove the filters whose absence hurts the loss least, by any of several criteria.

In tables: LAASP
Paper:     Ghimire, Lee, Kim, "Loss-Aware Automatic Selection of Structured Pruning Criteria for Deep
           Neural Network Acceleration", Image and Vision Computing 136 (2023) 104745; arXiv 2506.20152.
Claim:     choosing among criteria by the loss beats any single one; ResNet-56/110 lose half their
           MACs for 0.12 / 0.24 points of accuracy (CIFAR-10), ResNet-50 42 % for 0.33 points of top-5.
Removes:   filters of one layer at a time, with all that is coupled to them.
Expected:  ResNet-56 -52.6 %: 93.45 % from a dense 93.61 (three published logs; the repository's table
           says 93.04). ResNet-32 -53.3 %: 92.59, ResNet-110 -52.5 %: 94.17, VGG-16 -34.6 %: 93.90.
Choices:   most_similar: cosine removes the filters most like the others, as the newer code and
           the Euclidean criterion do; least_similar is the older code's sign, the one behind the
           published logs (docs/decisions/010). Subset without augmentation. Recoveries take their
           epochs out of the schedule, so that every row of a table has the same budget.
Variants:  `official` is what the released code does: least_similar, an augmented subset, recoveries on
           top of the schedule (28 to 55 % more epochs, which the paper does not count), momentum lost
           at each cut, one epoch of recovery after every step at the rate of the start epoch, and
             overshoot  the last step may pass the target.
             cap_rule   "before a step": a layer below its cap takes a whole step, which may end
                        above the cap. Without it a step stops at the cap.
             layers     "convolutions": a linear layer is no candidate, except in a transformer, which
                        has no others. Without it a hidden linear layer is a candidate.
           tests/methods/test_laasp_logs.py replays the published logs step by step.
Not here:  layers of a group that a layer norm normalises together (a transformer's embedding).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import NEAR, Epochs, Group, Run, UserError, View, method


@method(
    removes={"macs", "params", "channels"},
    version=1,
    variants={
        "official": {
            "cosine": "least_similar",
            "augmented": True,
            "within": False,
            "momentum": "reset",
            "overshoot": True,
            "every": 0.0,
            "cap_rule": "before a step",
            "layers": "convolutions",
        }
    },
)
def laasp(
    run: Run,
    *,
    start: Epochs = 50,
    pool: tuple[Literal["l1", "l2", "euclidean", "cosine"], ...] = ("l1", "l2", "euclidean", "cosine"),
    cosine: Literal["most_similar", "least_similar"] = "most_similar",
    step: float = 0.01,  # share of the dense network's MACs, or of a layer's filters, to remove at a time
    step_of: Literal["macs", "filters"] = "macs",
    cap: float = 0.75,
    images: int = 10_000,
    augmented: bool = False,
    every: float = 0.02,  # share, in the target's unit, between two recoveries
    recover: Epochs = 1,
    within: bool = True,
    momentum: Literal["keep", "reset"] = "keep",
    overshoot: bool = False,
    memory: float = 4.0,  # GiB for the search and its images
    cap_rule: Literal["before a step"] | None = None,
    layers: Literal["convolutions"] | None = None,
) -> None:
    if not pool:
        raise UserError("laasp: the pool is empty; name one or more of l1, l2, euclidean, cosine")
    if not 0 < images <= run.training_images:
        raise UserError(
            f"laasp: a subset of {images} images was asked for; there are {run.training_images} to train on"
        )
    rarest = max(every, step) if step_of == "macs" else every or step  # a share of a layer is a small share of all MACs
    recoveries = 0 if every >= run.target else int(run.target / rarest)
    if start + (recover * recoveries if within else 0) >= run.epochs:
        room = f"{start} epochs and about {recoveries} recoveries of {recover}"
        raise UserError(f"laasp: {room} fill all {run.epochs} epochs; give it fewer, or within = false")
    how = Search(pool, cosine, step, step_of, cap, images, augmented, overshoot, memory, cap_rule, layers)
    run.train(start)
    recovered = run.removed
    while run.removed < run.target - (0.0 if overshoot else NEAR):
        best = run.ask(best_choice, run.target, how)
        run.cut({best["group"]: best["keep"]}, momentum=momentum)
        run.note(chosen=best["criterion"], loss=best["loss"])
        if run.removed - recovered >= every:
            run.recover(recover, at=start, instead=within)
            recovered = run.removed
    run.train()


class Search(NamedTuple):
    """The options of `laasp` that a search follows."""

    pool: tuple[str, ...]
    cosine: str = "most_similar"
    step: float = 0.01
    step_of: str = "macs"
    cap: float = 0.75
    images: int = 10_000
    augmented: bool = False
    overshoot: bool = False
    memory: float = 4.0
    cap_rule: str | None = None
    layers: str | None = None


def best_choice(view: View, target: float, how: Search) -> dict[str, Any]:
    """The layer, criterion and filters of least loss, and the loss of every candidate."""
    subset = view.images(how.images, augmented=how.augmented)
    if not any(filters(view, group, how.layers) for group in view.groups.values() if view.can_be_silenced(group)):
        how = how._replace(layers=None)  # a transformer
    counts = how_many(view, target, how)
    named = {name: CRITERIA[f"cosine {how.cosine}" if name == "cosine" else name] for name in how.pool}
    candidates = {
        (layer, criterion): (name, lowest(score(rows), counts[name]))
        for name in counts
        for layer, rows in filters(view, view.groups[name], how.layers)
        for criterion, score in named.items()
    }
    if not candidates:
        raise UserError(f"all layers at their cap at {100 * view.removed:.2f} % of {100 * target:g} %")
    found = view.losses(list(candidates.values()), subset, memory=how.memory * 2**30)
    layer, criterion = min(candidates, key=lambda which: found[candidates[which]])
    name, gone = candidates[layer, criterion]
    every: dict[str, list[float]] = {}
    for (each, _), candidate in candidates.items():
        every.setdefault(each, []).append(round(found[candidate], 6))
    keep = [c for c in range(view.groups[name].width) if c not in gone]
    choice = {"layer": layer, "criterion": criterion, "group": name, "keep": keep}
    return choice | {"loss": found[name, gone], "losses": every}


def how_many(view: View, target: float, how: Search) -> dict[str, int]:
    """Filters to take from each group: one step, as far as the cap and the target allow."""
    found: dict[str, int] = {}
    passing: list[str] = []  # groups in which even one filter would pass the target
    for name, group in view.groups.items():
        if not view.can_be_silenced(group) or not filters(view, group, how.layers):
            continue
        worth = how.step / view.share_of_one(name) if how.step_of == "macs" else how.step * group.width
        count = min(max(1, int(worth + 0.5)), room(group, how.cap, how.cap_rule))
        if count < 1:
            continue
        while count and not how.overshoot and after(view, name, group, count) > target + NEAR:
            count -= 1
        if count:
            found[name] = count
        else:
            passing.append(name)
    if passing and not found:
        return {min(passing, key=lambda name: after(view, name, view.groups[name], 1)): 1}
    return found


def room(group: Group, cap: float, cap_rule: str | None) -> int:
    """How many filters of a group one step may take; one always stays."""
    if cap_rule == "before a step":
        return group.width - 1 if 1 - group.width / group.dense < cap else 0
    return group.width - max(1, group.dense - int(cap * group.dense + 1e-9))


def after(view: View, name: str, group: Group, count: int) -> float:
    return view.removed_by({name: list(range(group.width - count))})


def filters(view: View, group: Group, layers: str | None = None) -> list[tuple[str, Tensor]]:
    """Every layer (or convolution) that makes channels of this group, with its weights in one row per channel."""
    return [
        (m.layer, m.rows(view.weights[m.path].detach()).float())
        for m in group.weights("out", "through")
        if layers is None or isinstance(view.network.get_submodule(m.layer), nn.Conv2d)
    ]


# ---- criteria: a number per filter; the smallest are removed -------------------------------------

CRITERIA: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda rows: rows.abs().sum(1),
    "l2": lambda rows: rows.norm(dim=1),
    "euclidean": lambda rows: torch.cdist(rows, rows).sum(1),
    "cosine most_similar": lambda rows: (1 - alike(rows)).sum(1),
    "cosine least_similar": lambda rows: alike(rows).sum(1),
}


def alike(rows: Tensor) -> Tensor:
    unit = F.normalize(rows, dim=1)
    return unit @ unit.T


def lowest(scores: Tensor, count: int) -> tuple[int, ...]:
    return tuple(sorted(scores.sort(stable=True).indices[:count].tolist()))
