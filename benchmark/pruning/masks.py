"""Single weights removed by masks: which tensors, which entries, and how many are zero now."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor, nn

from benchmark.plan.cell import Scope
from benchmark.pruning.groups import is_attention

Score = Callable[[str, Tensor], Tensor]


def prunable(network: nn.Module) -> dict[str, Tensor]:
    """The weights that a weight target counts: those of every convolution, the first included. In a
    transformer also those of the linear layers, all but the classifier's."""
    layers = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    linear = [name for name, m in layers.items() if isinstance(m, nn.Linear)]
    spared = linear[-1:] if any(is_attention(m) for m in network.modules()) else linear
    return {name: m.weight for name, m in layers.items() if name not in spared}


def nonzeros(network: nn.Module) -> dict[str, int]:
    weights = prunable(network)
    counts = torch.stack([w.count_nonzero() for w in weights.values()]).tolist()  # waits for a GPU once
    return dict(zip(weights, counts, strict=True))


def removed(network: nn.Module) -> float:
    """The share of prunable weights that is exactly zero."""
    return 1 - sum(nonzeros(network).values()) / sum(w.numel() for w in prunable(network).values())


def magnitude(name: str, weight: Tensor) -> Tensor:
    return weight.abs()


@torch.no_grad()
def zero_lowest(network: nn.Module, share: float, score: Score = magnitude, scope: Scope = "local") -> None:
    """Set the `share` of lowest score to zero, in every layer alike (local) or over all layers together (global).

    The count is exact. Among equal scores the first are removed.
    """
    if scope == "global":
        _zero_lowest_of_all(prunable(network), share, score)
        return
    weights = {name: w for name, w in prunable(network).items() if round(share * w.numel())}
    if not weights:
        return
    scores = [score(name, weight) for name, weight in weights.items()]
    counts = [round(share * each.numel()) for each in scores]
    look = lowest_at_once if scores[0].is_cuda else lowest_one_by_one
    for weight, mask in zip(weights.values(), look(scores, counts), strict=True):
        weight.masked_fill_(mask, 0)


def _zero_lowest_of_all(weights: dict[str, Tensor], share: float, score: Score) -> None:
    scores = torch.cat([score(name, weight).flatten() for name, weight in weights.items()])
    if not (count := round(share * len(scores))):
        return
    [mask] = (lowest_at_once if scores.is_cuda else lowest_one_by_one)([scores], [count])
    for weight, part in zip(weights.values(), mask.split([w.numel() for w in weights.values()]), strict=True):
        weight.masked_fill_(part.view(weight.shape), 0)


def lowest_one_by_one(scores: list[Tensor], counts: list[int]) -> list[Tensor]:
    return [lowest(each, count) for each, count in zip(scores, counts, strict=True)]


def lowest(scores: Tensor, count: int) -> Tensor:
    """A mask of the `count` lowest scores. Among equal scores the first are taken."""
    flat = scores.flatten()
    threshold = flat.kthvalue(count).values
    below, equal = flat < threshold, flat == threshold
    return (below | (equal & (equal.cumsum(0) <= count - below.sum()))).view(scores.shape)


def lowest_at_once(scores: list[Tensor], counts: list[int]) -> list[Tensor]:
    """The same masks, by one sort over all layers. A GPU takes as long for a small tensor as for all of them, and
    its kthvalue may return any of several equal places. Nothing here waits for the GPU."""
    sizes = [each.numel() for each in scores]
    device, total = scores[0].device, sum(sizes)
    numbers = torch.tensor([sizes, [0, *accumulate(sizes)][:-1], counts])
    size, starts, count = numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers
    layers = torch.arange(len(sizes), device=device).repeat_interleave(size, output_size=total)
    keys = (layers << 32) + _ordered(torch.cat([each.flatten() for each in scores]))  # by layer, then by score
    in_order = keys.sort().values
    threshold = in_order[starts + count - 1]
    equals = count - (torch.searchsorted(in_order, threshold) - starts)  # how many at the threshold are removed
    equal = keys == threshold[layers]
    nth = equal.cumsum(0)
    before = nth[starts] - equal[starts].long()  # those of earlier layers
    gone = (keys < threshold[layers]) | (equal & (nth - before[layers] <= equals[layers]))
    return [mask.view(each.shape) for mask, each in zip(gone.split(sizes), scores, strict=True)]


def _ordered(scores: Tensor) -> Tensor:
    """Whole numbers in the order of these floats: their bits, with the lower bits of negatives inverted."""
    bits = (scores + 0.0).view(torch.int32).long()  # -0.0 is 0.0
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@torch.no_grad()
def hold_zeros(network: nn.Module) -> None:
    """Removed weights get no gradient, so only the ranking can bring one back."""
    for weight in prunable(network).values():
        if weight.grad is not None:
            weight.grad *= weight != 0
