"""What a method's search may look at. A search changes nothing and cannot reach test images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmark.errors import UserError
from benchmark.pruning.channels import Channels
from benchmark.pruning.costs import ALL_OPERATIONS
from benchmark.pruning.cuts import Kept
from benchmark.pruning.groups import Group, Groups
from benchmark.pruning.scoring import GIB, Gone, can_be_silenced, losses
from benchmark.pruning.targets import CAP, choose


@dataclass(frozen=True)
class View:
    """The network in evaluation mode, its groups, training images, a method's buffers, seeded random numbers."""

    network: nn.Module
    draw: Callable[[int, bool], tuple[Tensor, Tensor]]
    rng: torch.Generator
    channels: Channels | None
    buffers: dict[str, Tensor]
    kind: str  # of the cell's target: macs, params or channels
    bf16: bool = False  # whether the recipe trains in bf16 and that is faster here
    spend: Callable[[int], None] = lambda macs: None

    def images(self, count: int, *, augmented: bool = False) -> tuple[Tensor, Tensor]:
        """Training images, drawn by the seed: the same at every call in a run."""
        return self.draw(count, augmented)

    def losses(
        self, candidates: Sequence[Gone], images: tuple[Tensor, Tensor], *, memory: float = 4 * GIB
    ) -> dict[Gone, float]:
        """The loss after each candidate cut, which is a group and the channels to remove from it. Nothing is cut."""
        found, macs = losses(self.network, self.groups, candidates, *images, bf16=self.bf16, memory=memory)
        self.spend(macs)
        return found

    def can_be_silenced(self, group: Group) -> bool:
        """Whether the group's channels can be scored by silencing them. They cannot if a layer norm normalises them."""
        return can_be_silenced(self.network, group)

    @property
    def groups(self) -> Groups:
        """The channel groups as they are now."""
        return self._channels().groups

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        return dict(self.network.named_parameters())

    def lowest(
        self, scores: Mapping[str, Tensor], amount: float, *, cap: float = CAP, round_to: int = 1, last: bool = True
    ) -> Kept:
        """The channels to keep so that `amount` of the dense network (in the cell's unit) is gone, lowest scores first.

        Give `last=False` for a cut that another one follows: it stops at the first channel that would overshoot.
        """
        channels = self._channels()
        return choose(channels.groups, channels.costs, scores, self.kind, amount, cap=cap, round_to=round_to, last=last)

    def counting_all(self) -> "View":
        """The same view, but MACs include biases, norms, and activation and pooling modules, as in some papers."""
        if self.kind != "macs":
            return self
        if ALL_OPERATIONS not in self._channels().costs.dense:
            raise UserError("this network joins the channels of several layers; only its MACs can be counted")
        return replace(self, kind=ALL_OPERATIONS)

    @property
    def removed(self) -> float:
        """The share that is gone already, in the cell's unit."""
        return self.removed_by({})

    def removed_by(self, kept: Kept) -> float:
        """The share of the dense network (in the cell's unit) that would be gone after this cut."""
        channels = self._channels()
        widths = channels.widths | {name: len(stay) for name, stay in kept.items()}
        return channels.costs.removed(self.kind, widths)

    def share_of_one(self, group: str) -> float:
        """The share of the dense network's MACs that removing the first channel of this group saves."""
        costs = self._channels().costs
        return costs.saved("macs", dict(costs.dense_widths), group, 1) / costs.dense["macs"]

    def macs_per_channel(self, group: str) -> float:
        """The mean cost of a channel of the group while all others stay, in MACs or as `counting_all` counts."""
        channels = self._channels()
        widths = channels.widths
        others = widths[group] - 1
        kind = ALL_OPERATIONS if self.kind == ALL_OPERATIONS else "macs"
        return channels.costs.saved(kind, widths, group, others) / others if others else 0.0

    def gradients(self, count: int) -> dict[str, Tensor]:
        """Gradients of the loss on `count` training images, in training mode. The running statistics are not changed.

        Batch norm uses all images at once, so they are one batch, which must fit into memory.
        """
        images, labels = self.images(count)
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        weights = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        self.network.train()
        try:
            with torch.enable_grad():
                loss = F.cross_entropy(functional_call(self.network, buffers, (images,)), labels)
                found = torch.autograd.grad(loss, list(weights.values()))
        finally:
            self.network.eval()
        return dict(zip(weights, found, strict=True))

    def _channels(self) -> Channels:
        if self.channels is None:
            raise UserError("this cell removes no channels, so there are no groups to look at")
        return self.channels
