"""From scores to a cut that meets its target: rank all channels and walk up the ranking.

The last cut of a run skips channels that overshoot, so that it lands on its target. An earlier cut stops at
the first one and leaves the rest of its budget to the next. The budget of one of many epochs is smaller than one
channel of an expensive group, so skipping would remove cheap channels whatever their score.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.pruning.costs import Costs, widths_of
from benchmark.pruning.cuts import Kept
from benchmark.pruning.groups import Group, Groups

CAP = 0.75  # the share of a group that may be removed, unless a method sets another
NEAR = 0.005  # half a point: how near to its target a cut must end


@dataclass
class Walk:
    """Removes channels one after the other, each only if it does not overshoot the target."""

    costs: Costs
    kind: str
    budget: int  # what may still be saved
    widths: dict[str, int]
    least: Mapping[str, int]
    blocks: Mapping[str, int]  # channels that are removed together
    gone: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)

    def offer(self, group: str, channel: int) -> bool:
        """Whether the budget allowed it. With blocks of 8, channels wait until eight (or as many as make the width a
        multiple) can be removed together."""
        waiting = self.waiting.setdefault(group, [])
        waiting.append(channel)
        wanted = self.widths[group] % self.blocks[group] or self.blocks[group]
        if len(waiting) < wanted:
            return True
        self.waiting[group] = []
        if self.widths[group] - wanted < self.least[group]:
            return True
        saved = self.costs.saved(self.kind, self.widths, group, wanted)
        if saved > self.budget:
            return False
        self._take(group, waiting, saved)
        return True

    def land(self, order: list[tuple[str, int]]) -> None:
        """At the end remove one channel more, if overshooting by it comes nearer than stopping short."""
        best: tuple[int, str, int] | None = None
        for group, channel in order:
            if self.blocks[group] > 1 or channel in self.gone.get(group, ()) or self.widths[group] <= self.least[group]:
                continue
            off = abs(self.costs.saved(self.kind, self.widths, group, 1) - self.budget)
            if off < (best[0] if best else self.budget):
                best = off, group, channel
        if best:
            _, group, channel = best
            self._take(group, [channel], self.costs.saved(self.kind, self.widths, group, 1))

    def _take(self, group: str, channels: list[int], saved: int) -> None:
        self.budget -= saved
        self.widths[group] -= len(channels)
        self.gone.setdefault(group, []).extend(channels)


def choose(
    groups: Groups,
    costs: Costs,
    scores: Mapping[str, Tensor],
    kind: str,
    amount: float,
    *,
    cap: float = CAP,
    round_to: int = 1,
    last: bool = True,
) -> Kept:
    """The channels to keep so that `amount` of the dense network's `kind` is gone, lowest scores first.

    The `last` cut comes as near to the amount as it can. Any other ends below it, at the first channel in the
    ranking that would overshoot.

    Ties are broken by the order of the groups, then of the channels. No group loses more than `cap` of its
    dense width. With `round_to`, widths are multiples of it (heads are not affected). The answer holds only
    groups that lose something.
    """
    now = widths_of(groups)
    blocks, least = _limits(groups, cap, round_to)
    goal = round(amount * costs.dense[kind])
    walk = Walk(costs, kind, goal - (costs.dense[kind] - costs.count(kind, now)), now, least, blocks)
    order = ranking(groups, scores)
    for name, channel in order:
        if not walk.offer(name, channel) and not last:
            break
    if last:
        walk.land(order)
    reached = costs.removed(kind, walk.widths)
    if amount - reached > NEAR and all(walk.widths[name] - blocks[name] < least[name] for name in groups):
        raise _out_of_reach(kind, amount, reached, cap, round_to)
    return {name: sorted(set(range(groups[name].width)) - set(gone)) for name, gone in walk.gone.items()}


def check_reach(groups: Groups, costs: Costs, kind: str, amount: float, *, cap: float = CAP, round_to: int = 1) -> None:
    """Refuse, before any training, a target that no cut within these limits can come near."""
    _, least = _limits(groups, cap, round_to)
    if amount - (most := costs.removed(kind, least)) > NEAR:
        raise _out_of_reach(kind, amount, most, cap, round_to)


def _limits(groups: Groups, cap: float, round_to: int) -> tuple[dict[str, int], dict[str, int]]:
    """For each group: how many channels are removed together, and how many must stay."""
    if not 0 <= cap <= 1:
        raise UserError(f"cap = {cap:g}: the share of a group that may go, between 0 and 1")
    if round_to < 1:
        raise UserError(f"round_to = {round_to}: widths can be multiples of 1, 2, 3, …")
    blocks = {name: 1 if group.heads else round_to for name, group in groups.items()}
    return blocks, {name: least_width(group, cap, blocks[name]) for name, group in groups.items()}


def _out_of_reach(kind: str, amount: float, reached: float, cap: float, round_to: int) -> UserError:
    limits = f"at most {100 * cap:g} % of each group gone" + (f" in steps of {round_to}" if round_to > 1 else "")
    return UserError(f"no cut removes {100 * amount:g} % of the {kind}: with {limits} it ends at {100 * reached:.2f} %")


def ranking(groups: Groups, scores: Mapping[str, Tensor]) -> list[tuple[str, int]]:
    """(group, channel) from the lowest score up."""
    places = [(name, channel) for name in groups for channel in range(groups[name].width)]
    flat = torch.cat([scores[name].detach().double().cpu() for name in groups])
    if len(flat) != len(places) or not bool(flat.isfinite().all()):
        raise UserError("scores must be one finite number for each channel of each group")
    return [places[i] for i in flat.sort(stable=True).indices.tolist()]


def least_width(group: Group, cap: float, round_to: int = 1) -> int:
    """How many channels of a group must stay: by the cap, rounded up to whole blocks, and at least one."""
    stay = max(1, group.dense - int(cap * group.dense + 1e-9))
    return min(group.dense, -(-stay // round_to) * round_to)
