"""The cost of a network as a closed form in the widths of its groups: nothing is built, copied or run.

A layer's count is a constant times the positions left along each dimension of its weight. These are
sums over the groups in that dimension:

    macs("blocks.0.conv2") = 9·32·32 × out(conv1's group) × in(blocks.0.conv1's group)

So the cost of any choice of channels is exact integer arithmetic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from torch import nn

from benchmark.pruning.count import activations_and_pools, macs_by_layer, places_by_layer
from benchmark.pruning.cuts import tensors
from benchmark.pruning.groups import NORMS, Group, Groups, is_attention

ALL_OPERATIONS = "macs, biases, norms, activations, pools"
Widths = Mapping[str, int]
Span = tuple[int, tuple[tuple[str, int], ...]]  # positions of no group, (group, positions per channel) …


@dataclass(frozen=True)
class Term:
    each: int  # cost of one position
    spans: tuple[Span, ...]

    def at(self, widths: Widths) -> int:
        return self.each * prod(fixed + sum(places * widths[g] for g, places in parts) for fixed, parts in self.spans)


class Costs:
    """MACs (or all operations), parameters or channels of a network, dense or cut, from its groups' widths."""

    def __init__(self, network: nn.Module, groups: Groups, shape: tuple[int, int, int]) -> None:
        """Give `network` and `groups` as they are before any cut."""
        spans = _spans(network, groups)
        macs = _macs(network, spans, shape)
        terms = {
            "macs": macs,
            "params": [Term(1, tuple(spans[path])) for path, _ in network.named_parameters()],
            "channels": [Term(1, ((0, ((name, 1),)),)) for name in groups],
        }
        if (others := _other_operations(network, spans, shape)) is not None:
            terms[ALL_OPERATIONS] = [*macs, *others]
        self.dense_widths = {name: group.dense for name, group in groups.items()}
        self._touched: dict[str, dict[str, list[Term]]] = {}
        self._fixed: dict[str, int] = {}
        self._terms: dict[str, list[Term]] = {}
        for kind, all_terms in terms.items():
            moving = [term for term in all_terms if any(parts for _, parts in term.spans)]
            self._terms[kind] = moving
            self._fixed[kind] = sum(term.at({}) for term in all_terms if not any(parts for _, parts in term.spans))
            self._touched[kind] = {name: [term for term in moving if _is_in(name, term)] for name in groups}
        self.dense = {kind: self.count(kind, self.dense_widths) for kind in terms}

    def count(self, kind: str, widths: Widths) -> int:
        return self._fixed[kind] + sum(term.at(widths) for term in self._terms[kind])

    def removed(self, kind: str, widths: Widths) -> float:
        """The share of the dense network's cost that is gone."""
        return 1 - self.count(kind, widths) / self.dense[kind]

    def saved(self, kind: str, widths: dict[str, int], group: str, channels: int) -> int:
        """What cutting `channels` more out of `group` saves. Only the layers that this touches are counted."""
        terms = self._touched[kind][group]
        before = sum(term.at(widths) for term in terms)
        widths[group] -= channels
        after = sum(term.at(widths) for term in terms)
        widths[group] += channels
        return before - after


def widths_of(groups: Mapping[str, Group]) -> dict[str, int]:
    return {name: group.width for name, group in groups.items()}


def _is_in(group: str, term: Term) -> bool:
    return any(name == group for _, parts in term.spans for name, _ in parts)


def _spans(network: nn.Module, groups: Groups) -> dict[str, list[Span]]:
    """Tensor -> the groups that make up each of its dimensions."""
    parts: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for group in groups.values():
        for member in group.members:
            parts.setdefault((member.path, member.dim), []).append((group.name, len(member.places[0])))
    spans: dict[str, list[Span]] = {}
    for path, tensor in tensors(network):
        spans[path] = []
        for dim, size in enumerate(tensor.shape):
            mine = tuple(parts.get((path, dim), ()))
            spans[path].append((size - sum(places * groups[name].width for name, places in mine), mine))
    return spans


def _macs(network: nn.Module, spans: dict[str, list[Span]], shape: tuple[int, int, int]) -> list[Term]:
    """Each layer's dense count, divided by the number of positions of its weight."""
    terms = []
    sizes = {path: tensor.shape for path, tensor in tensors(network)}
    for name, macs in macs_by_layer(network, shape).items():
        path, dims = f"{name}.weight", slice(0, 2)
        if name.endswith(".products") and is_attention(network.get_submodule(name.removesuffix(".products"))):
            path, dims = f"{name.removesuffix('.products')}.proj.weight", slice(1, 2)  # they grow only with the heads
        if path not in sizes:
            terms.append(Term(macs, ((1, ()),)))  # a layer that no group can touch
            continue
        positions = prod(sizes[path][dims])
        if macs % positions:
            raise ArithmeticError(f"{name}: {macs} MACs are no multiple of the {positions} positions of its weight")
        terms.append(Term(macs // positions, tuple(spans[path][dims])))
    return terms


def _other_operations(
    network: nn.Module, spans: dict[str, list[Span]], shape: tuple[int, int, int]
) -> list[Term] | None:
    """Operations per number: one for a bias, two in a normalisation, one in an activation or pooling module.
    None where the input of such a module belongs to no single layer."""
    terms = []
    if (modules := activations_and_pools(network, shape)) is None:
        return None
    for name, places in modules:
        path = f"{name}.weight"
        terms.append(Term(places, tuple(spans[path][:1])) if path in spans else Term(places, ((1, ()),)))
    for name, places in places_by_layer(network, (*NORMS, nn.Conv2d, nn.Linear), shape).items():
        norm = isinstance(network.get_submodule(name), NORMS)
        if (path := f"{name}.weight" if norm else f"{name}.bias") in spans:
            terms.append(Term((2 if norm else 1) * places, tuple(spans[path])))
    return terms
