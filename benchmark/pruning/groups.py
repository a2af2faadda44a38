"""Channel groups: which channels of which tensors can only go together.

Removing one output channel of a convolution removes its batch-norm entries, an input slice of every
layer that reads it and, across residual connections, the same channel of other convolutions.
Torch-Pruning's dependency graph finds which are coupled. What leaves this file is plain data,
so that the library can be replaced:

    Group("blocks.0.conv1", width 16)
        blocks.0.conv1.weight, dim 0, channel c at c          made here ("out")
        blocks.0.bn1.weight, dim 0, ...                       passed through ("norm")
        blocks.0.conv2.weight, dim 1, ...                     read there ("in")

Three things are protected: the classifier's outputs (linear or convolutional: no layer reads them),
groups whose channels no layer makes (the image's), and groups that would have gaps or overlaps
(padding shortcuts, layers that this file cannot slice).
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, Literal

import torch
from torch import Tensor, nn

Side = Literal["out", "through", "norm", "in"]
Places = tuple[tuple[int, ...], ...]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)


@dataclass(frozen=True)
class Member:
    """Where the channels of a group are along one dimension of one tensor."""

    layer: str
    tensor: str  # of the layer: weight, bias, running_mean, ...
    dim: int
    places: Places  # channel -> its positions along `dim`; a flattened image has many for each
    side: Side

    @property
    def path(self) -> str:
        return f"{self.layer}.{self.tensor}" if self.layer else self.tensor

    @cached_property
    def index(self) -> Tensor | None:
        """Positions, channel after channel; None if channel c is at c."""
        flat = [place for places in self.places for place in places]
        return None if flat == list(range(len(self.places))) else torch.tensor(flat)

    def rows(self, tensor: Tensor) -> Tensor:
        """The tensor with one row per channel, which holds all that belongs to it."""
        front = tensor.movedim(self.dim, 0)
        if self.index is not None:
            front = front[self.index.to(tensor.device)]
        return front.reshape(len(self.places), -1)

    def spread(self, values: Tensor, like: Tensor) -> Tensor:
        """One value per channel, laid out along `dim` to multiply `like`; 1 at positions outside the group."""
        along = torch.ones(like.shape[self.dim], dtype=values.dtype, device=values.device)
        places = torch.arange(len(values), device=values.device) if self.index is None else self.index.to(values.device)
        along[places] = values.repeat_interleave(len(self.places[0]))
        return along.view([-1 if d == self.dim else 1 for d in range(like.dim())])


@dataclass(frozen=True)
class Group:
    name: str  # the first layer that makes its channels
    members: tuple[Member, ...]
    ids: tuple[int, ...]  # the channels that are left, by their number in the dense network
    dense: int  # how many there were in the dense network
    rank: int = 0  # its place in the trace, which goes from the output back
    heads: bool = False  # its channels are attention heads, of many rows each

    @property
    def width(self) -> int:
        return len(self.ids)

    def weights(self, *sides: Side) -> list[Member]:
        """The members that are weights, of the sides asked for (all, if none)."""
        return [m for m in self.members if m.tensor.endswith("weight") and (not sides or m.side in sides)]


Groups = dict[str, Group]


def find_groups(network: nn.Module, shape: tuple[int, int, int], classes: int) -> Groups:
    """The groups of a dense network, in the order of their layers. The network is not changed."""
    modules = dict(network.named_modules())
    found: list[Group] = []
    for rank, items in enumerate(_traced(network, shape)):
        members = [member for item in items for member in _members(network, modules, *item)]
        made = {m.layer for m in members if m.side == "out"}
        if any(isinstance(modules[name], nn.Linear) and modules[name].out_features == classes for name in made):
            continue
        if not made or not any(m.side == "in" for m in members):
            continue
        name = next(name for name in modules if name in made)
        width = len(members[0].places)
        found.append(Group(name, tuple(members), tuple(range(width)), width, rank))
    found += [_heads(name, module, len(found)) for name, module in modules.items() if is_attention(module)]
    order = list(modules)
    whole = _without_conflicts(network, [_aligned(group, modules) for group in found])
    return {group.name: group for group in sorted(whole, key=lambda g: order.index(g.name))}


def shrunk(groups: Groups, kept: dict[str, list[int]]) -> Groups:
    """The groups after a cut: the same members, with their places renumbered."""
    gone = positions_gone(groups, kept)
    return {
        name: replace(
            group,
            ids=tuple(group.ids[c] for c in kept.get(name, range(group.width))),
            members=tuple(_closed_up(m, kept.get(name), gone[m.path, m.dim]) for m in group.members),
        )
        for name, group in groups.items()
    }


def positions_gone(groups: Groups, kept: dict[str, list[int]]) -> dict[tuple[str, int], set[int]]:
    """(tensor, dimension) -> the positions that a cut removes."""
    gone: dict[tuple[str, int], set[int]] = defaultdict(set)
    for name, channels in kept.items():
        out = set(range(groups[name].width)) - set(channels)
        for member in groups[name].members:
            gone[member.path, member.dim].update(place for c in out for place in member.places[c])
    return gone


def _closed_up(member: Member, kept: list[int] | None, gone: set[int]) -> Member:
    if not gone:
        return member
    chosen = member.places if kept is None else [member.places[c] for c in kept]
    last = max(place for places in chosen for place in places)
    new, at = {}, 0
    for place in range(last + 1):
        if place not in gone:
            new[place] = at
            at += 1
    return replace(member, places=tuple(tuple(new[place] for place in places) for places in chosen))


# ---- the adapter: everything that knows Torch-Pruning -----------------------------------------

Item = tuple[str, bool, Places]  # layer or parameter, are its outputs meant?, places of each channel


def _traced(network: nn.Module, shape: tuple[int, int, int]) -> Iterable[list[Item]]:
    import torch_pruning as tp

    class Whole(tp.BasePruningFunc):  # type: ignore[misc]
        """Attention as one layer, as wide as the embedding on both sides. Its heads are a group of their own."""

        def prune_out_channels(self, layer: nn.Module, idxs: list[int]) -> nn.Module:
            raise NotImplementedError("cuts are made in cuts.py")

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.qkv.in_features)

        get_in_channels = get_out_channels

    modes = {module: module.training for module in network.modules()}
    attention = {type(m): Whole() for m in network.modules() if is_attention(m)}
    graph = tp.DependencyGraph()
    example = torch.zeros(2, *shape, device=next(network.parameters()).device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph.build_dependency(network, example, customized_pruners=attention, verbose=False)
        names = {module: name for name, module in network.named_modules()}
        names |= {parameter: name for name, parameter in network.named_parameters()}
        for group in graph.get_all_groups():
            width = len(group[0].idxs)
            yield [
                (
                    names[item.dep.target.module],
                    graph.is_out_channel_pruning_fn(item.dep.handler),
                    _places(item.idxs, item.root_idxs, width),
                )
                for item in group
                if item.dep.target.module in names
            ]
    finally:
        for module, mode in modes.items():
            module.training = mode


def _places(positions: list[int], channels: list[int], width: int) -> Places:
    of: list[list[int]] = [[] for _ in range(width)]
    for position, channel in zip(positions, channels, strict=True):
        of[channel].append(position)
    return tuple(tuple(sorted(places)) for places in of)


# ---- what a layer's channels mean for its tensors ----------------------------------------------


def _members(network: nn.Module, modules: dict[str, nn.Module], name: str, out: bool, places: Places) -> list[Member]:
    """One item of a group, tensor by tensor."""
    module = modules.get(name)

    def at(tensor: str, dim: int, side: Side, where: Places = places, layer: str = name) -> Member:
        return Member(layer, tensor, dim, where, side)

    if module is None:  # a parameter alone: a token, a position embedding; its last dimension is the embedding
        layer, _, tensor = name.rpartition(".")
        return [at(tensor, network.get_parameter(name).dim() - 1, "norm", layer=layer)]
    if isinstance(module, NORMS):
        return [at(tensor, 0, "norm") for tensor, value in _tensors(module).items() if value.dim() == 1]
    if is_attention(module):
        reads = [at("weight", 1, "in", layer=f"{name}.qkv")]
        return reads + [at(tensor, 0, "out", layer=f"{name}.proj") for tensor in _tensors(module.proj)]  # type: ignore[arg-type]
    if isinstance(module, nn.Conv2d) and is_depthwise(module):
        return [at(tensor, 0, "through") for tensor in _tensors(module)]
    if isinstance(module, nn.Conv2d | nn.Linear):
        if out:
            return [at(tensor, 0, "out") for tensor in _tensors(module)]
        slices = module.in_channels // module.groups if isinstance(module, nn.Conv2d) else module.in_features
        return [at("weight", 1, "in", tuple(tuple(p % slices for p in mine) for mine in places))]
    return [at("?", 0, "norm")]  # this file cannot slice it


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))


def is_attention(module: nn.Module) -> bool:
    """Whether it is timm's attention: queries, keys and values in one linear layer."""
    usual = all(hasattr(module, name) for name in ("qkv", "proj", "num_heads", "head_dim"))
    return usual and getattr(module, "gate", None) is None and isinstance(getattr(module, "norm", None), nn.Identity)


def _heads(name: str, module: Any, rank: int) -> Group:
    """Whole heads: their rows of queries, keys and values, and their columns of the projection."""
    heads, size = module.num_heads, module.head_dim
    read = tuple(tuple(range(h * size, (h + 1) * size)) for h in range(heads))
    made = tuple(tuple(part * heads * size + p for part in range(3) for p in places) for places in read)
    members = [Member(f"{name}.qkv", tensor, 0, made, "out") for tensor in _tensors(module.qkv)]
    members.append(Member(f"{name}.proj", "weight", 1, read, "in"))
    return Group(f"{name}.qkv", tuple(members), tuple(range(heads)), heads, rank, heads=True)


def _aligned(group: Group, modules: dict[str, nn.Module]) -> Group:
    """Next to a grouped convolution, channels are removed together: one from each of the convolution's groups."""
    layers = [modules.get(member.layer) for member in group.members]
    parts = lcm(*(m.groups for m in layers if isinstance(m, nn.Conv2d) and not is_depthwise(m)))
    if parts == 1:
        return group
    width = group.width // parts

    def merged(places: Places) -> Places:
        return tuple(tuple(sorted({p for k in range(parts) for p in places[k * width + c]})) for c in range(width))

    members = tuple(replace(member, places=merged(member.places)) for member in group.members)
    return Group(group.name, members, tuple(range(width)), width, group.rank)


def is_depthwise(module: nn.Conv2d) -> bool:
    """Whether each channel has a filter of its own and passes through."""
    return module.groups == module.in_channels == module.out_channels


def _without_conflicts(network: nn.Module, groups: list[Group]) -> list[Group]:
    """Leave out groups that overlap on a tensor or leave gaps: the trace did not understand the layers between."""
    sizes = {path: tensor.shape for path, tensor in network.state_dict().items()}
    covered: dict[tuple[str, int], list[int]] = defaultdict(list)
    for group in groups:
        for member in group.members:
            covered[member.path, member.dim] += [place for places in member.places for place in places]

    def sound(member: Member) -> bool:
        if member.path not in sizes:
            return False
        return sorted(covered[member.path, member.dim]) == list(range(sizes[member.path][member.dim]))

    return [group for group in groups if all(sound(member) for member in group.members)]
