"""Single weights removed by masks: which tensors, which entries, and how many are zero now."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.network.groups import is_attention

Score = Callable[[str, Tensor], Tensor]


def prunable(network: nn.Module) -> dict[str, Tensor]:
    """The weights that a weight target speaks of: every convolution's, the first included; of a
    transformer its linear layers' too, all but the classifier's."""
    layers = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    linear = [name for name, m in layers.items() if isinstance(m, nn.Linear)]
    spared = linear[-1:] if any(is_attention(m) for m in network.modules()) else linear
    return {name: m.weight for name, m in layers.items() if name not in spared}


def nonzeros(network: nn.Module) -> dict[str, int]:
    return {name: int(w.count_nonzero()) for name, w in prunable(network).items()}


def removed(network: nn.Module) -> float:
    """The share of prunable weights that is exactly zero."""
    weights = prunable(network).values()
    return 1 - sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)


def magnitude(name: str, weight: Tensor) -> Tensor:
    return weight.abs()


@torch.no_grad()
def zero_lowest(network: nn.Module, share: float, score: Score = magnitude) -> None:
    """In every layer the `share` of lowest score becomes zero: local ranking, exact count, ties by index."""
    for name, weight in prunable(network).items():
        count = round(share * weight.numel())
        if count:
            weight.masked_fill_(lowest(score(name, weight), count), 0)


def lowest(scores: Tensor, count: int) -> Tensor:
    """A mask of the `count` lowest scores; among equals the first go. A GPU is never waited for."""
    flat = scores.flatten()
    # a GPU's kthvalue may give any of several equal places, so torch forbids it where bits are to repeat
    threshold = flat.sort().values[count - 1] if flat.is_cuda else flat.kthvalue(count).values
    below, equal = flat < threshold, flat == threshold
    return (below | (equal & (equal.cumsum(0) <= count - below.sum()))).view(scores.shape)


@torch.no_grad()
def hold_zeros(network: nn.Module) -> None:
    """Removed weights get no gradient, so nothing but the ranking can bring one back."""
    for weight in prunable(network).values():
        if weight.grad is not None:
            weight.grad *= weight != 0
