"""A cut: the channels that stay in each group, as plain lists. Applied to a network in place.

Every tensor is sliced once, for all groups together. The layers' own numbers (out_channels, heads, …)
are then set from their tensors. Nothing is changed before the whole cut is known to be possible.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import UnknownName, UserError
from benchmark.pruning.groups import NORMS, Groups, is_attention, positions_gone

Kept = dict[str, list[int]]  # group -> the channels that stay, in order


@dataclass(frozen=True)
class Slices:
    """The positions of one tensor that stay, dimension by dimension."""

    path: str
    keep: dict[int, Tensor]

    def of(self, tensor: Tensor) -> Tensor:
        for dim, positions in self.keep.items():
            tensor = tensor.index_select(dim, positions.to(tensor.device))
        return tensor.contiguous()


def check(groups: Groups, kept: Kept, model: str = "the network") -> None:
    """Refuse a cut that does not fit, with one line."""
    for name, channels in kept.items():
        if name not in groups:
            raise UnknownName(f"channel group of {model}", name, groups)
        width = groups[name].width
        if not channels:
            raise UserError(f"cut of {model}: {name} would have no channel left")
        if any(type(c) is not int for c in channels) or channels != sorted(set(channels)):
            raise UserError(f"cut of {model}: the channels of {name} must be different whole numbers, in order")
        if channels[0] < 0 or channels[-1] >= width:
            raise UserError(f"cut of {model}: {name} has channels 0 to {width - 1}; {channels[-1]} is none of them")


def slices(network: nn.Module, groups: Groups, kept: Kept) -> list[Slices]:
    """What the cut leaves of each tensor that it touches."""
    by_tensor: dict[str, dict[int, Tensor]] = {}
    sizes = {path: tensor.shape for path, tensor in tensors(network)}
    for (path, dim), gone in positions_gone(groups, kept).items():
        if gone:
            stay = torch.tensor([place for place in range(sizes[path][dim]) if place not in gone])
            by_tensor.setdefault(path, {})[dim] = stay
    return [Slices(path, keep) for path, keep in by_tensor.items()]


def apply(network: nn.Module, cut: Iterable[Slices]) -> dict[nn.Parameter, nn.Parameter]:
    """Slice the tensors and correct the layers' numbers. Returns old parameter -> new parameter."""
    replaced: dict[nn.Parameter, nn.Parameter] = {}
    for part in cut:
        layer, _, name = part.path.rpartition(".")
        module = network.get_submodule(layer)
        old = getattr(module, name)
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(part.of(old.detach()), old.requires_grad)
            setattr(module, name, new)
            replaced[old] = new
        else:
            setattr(module, name, part.of(old))
    for module in network.modules():
        _renumber(module)
    return replaced


def _renumber(module: Any) -> None:
    """Set a layer's numbers from its tensors."""
    if isinstance(module, nn.Conv2d):
        out, slices = module.weight.shape[:2]
        if module.groups == module.in_channels == module.out_channels:
            module.groups = out
        module.out_channels, module.in_channels = out, slices * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, NORMS) and module.weight is not None:
        if isinstance(module, nn.LayerNorm):
            module.normalized_shape = tuple(module.weight.shape)
        else:
            module.num_features = len(module.weight)
    elif is_attention(module):  # whole heads go: their size and the scale stay
        module.num_heads = module.qkv.weight.shape[0] // (3 * module.head_dim)
        module.attn_dim = module.num_heads * module.head_dim


def tensors(network: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()
