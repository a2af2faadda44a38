"""A schedule follows its criterion: with scores that never change, it ends where one cut with these scores ends.

Nothing is trained. Each test prints the channels that every schedule leaves of each stage (`pytest -s`).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from benchmark import Run
from benchmark.plan import discovery
from benchmark.plan.cell import Scope
from benchmark.pruning import criteria, targets
from benchmark.pruning.channels import Channels
from benchmark.pruning.groups import Group, shrunk
from benchmark.pruning.view import View
from benchmark.runs.schedules import prune_along
from methods import agp, iterative, one_cycle, one_shot

SCHEDULES = {each.__name__.partition(".")[2]: each.fraction for each in (iterative, agp, one_cycle)}
LARGER = ("resnet56", "mobilenetv2_cifar", "vit_cifar")
NETWORKS = ("resnet20", *(pytest.param(name, marks=pytest.mark.slow) for name in LARGER))


class Untrained:
    """As much of a run as a schedule needs: epochs pass, channels go, no weight ever changes."""

    kind, target = "macs", 0.5

    def __init__(self, name: str, epochs: int) -> None:
        self.network = discovery.load(discovery.models()[name])(10)
        self.channels = Channels(self.network, (3, 32, 32), 10)
        self.epoch, self.epochs, self.cuts = 0, epochs, 0

    def check_reach(self, *, round_to: int) -> None:
        pass

    def ask(self, look: Callable[..., Any], *args: Any) -> Any:
        view = View(self.network, cast(Any, None), torch.Generator(), self.channels, {}, self.kind)
        return look(view, *args)

    def cut(self, kept: dict[str, list[int]]) -> None:
        self.channels.groups = shrunk(self.channels.groups, kept)
        self.cuts += 1

    def train(self, epochs: int, **callbacks: Any) -> None:
        self.epoch += epochs


def left(network: str, epochs: int, fraction: Callable[[float], float], scope: Scope) -> tuple[dict[int, float], int]:
    """Stage (the groups of one dense width) -> the share of its channels that is left; and how many cuts it took."""
    run = Untrained(network, epochs)
    prune_along(cast(Run, run), fraction, by="random", scope=scope)
    assert abs(run.channels.costs.removed("macs", run.channels.widths) - run.target) < targets.NEAR
    groups = run.channels.groups.values()
    dense, now = Counter[int](), Counter[int]()
    for group in groups:
        dense[group.dense] += group.dense
        now[group.dense] += group.width
    return {width: now[width] / dense[width] for width in dense}, run.cuts


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random scores, drawn once for each channel of the dense network."""

    def score(view: View, group: Group) -> Tensor:
        draw = torch.Generator().manual_seed(sum(group.name.encode()))
        return torch.rand(group.dense, generator=draw)[list(group.ids)]

    monkeypatch.setitem(criteria.CRITERIA, "random", score)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("network", NETWORKS)
def test_frozen_scores_leave_each_stage_what_one_cut_leaves(network: str, scope: Scope) -> None:
    once, _ = left(network, 25, one_shot.fraction, scope)
    print(f"\n{network}, {scope}: share left of each stage")
    print(f"  {'one_shot':20}" + "  ".join(f"{width}: {share:.3f}" for width, share in once.items()))
    for name, fraction in SCHEDULES.items():
        for epochs in (25, 300):
            along, cuts = left(network, epochs, fraction, scope)
            shares = "  ".join(f"{width}: {share:.3f}" for width, share in along.items())
            print(f"  {f'{name}, T = {epochs}':20}{shares}  ({cuts} cuts)")
            assert cuts >= min(epochs // 4, 3)
            for width, share in along.items():
                assert abs(share - once[width]) <= 0.01, (name, epochs, width)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("network", NETWORKS)
def test_local_takes_the_same_share_of_every_group(network: str) -> None:
    run = Untrained(network, 300)
    prune_along(cast(Run, run), one_cycle.fraction, by="random", scope="local")
    groups = run.channels.groups.values()
    most = max(1 - group.width / group.dense for group in groups)
    for group in groups:  # a whole channel (or head) less, and what the last cut took to land on its target
        assert most - (1 - group.width / group.dense) <= 0.03 + 1 / group.dense, group.name
