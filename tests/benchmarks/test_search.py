"""OCSPruner's search for a sub-network, beside one that copies and rebuilds the network at every probe.

Both return the same cut; only the way there differs. Reported, never a verdict.
"""

import copy
import time
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.plan import discovery
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.groups import find_groups
from benchmark.pruning.view import View
from methods.ocspruner import by_threshold, scaled_square, softmax_of_costs, subnetwork

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def view() -> View:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = discovery.load(discovery.models()["resnet56"])(10)
    channels = Channels(network, SHAPE, 10)
    return View(network, lambda n: None, torch.Generator(), channels, {}, "macs")  # type: ignore[arg-type,return-value]


class Rebuilding:
    """A view that answers `removed_by` as the released code does: copy, trace, cut, count."""

    def __init__(self, view: View) -> None:
        self.view, self.dense, self.probes = view, count.macs(view.network, SHAPE), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def removed_by(self, kept: cuts.Kept) -> float:
        self.probes += 1
        network: nn.Module = copy.deepcopy(self.view.network)
        groups = find_groups(network, SHAPE, 10)
        cuts.apply(network, cuts.slices(network, groups, kept))
        return 1 - count.macs(network, SHAPE) / self.dense


def test_the_search_against_copy_and_rebuild(view: View, benchmark: Any) -> None:
    with torch.no_grad():
        prices = softmax_of_costs(view, "own")
        scores = {name: scaled_square(view, group) * (1 - prices[name]) for name, group in view.groups.items()}
        rebuilding = Rebuilding(view)
    started = time.perf_counter()
    slow = by_threshold(rebuilding, scores, 0.5, 0.75)  # type: ignore[arg-type]
    rebuilt = time.perf_counter() - started
    with torch.no_grad():
        benchmark.pedantic(subnetwork, (view, 0.5, 0.75, "own", True, "threshold"), rounds=20, warmup_rounds=2)
        assert subnetwork(view, 0.5, 0.75, "own", True, "threshold") == slow, "the same cut"
        walked = [_timed(view) for _ in range(20)]
    fast = benchmark.stats.stats.median if benchmark.stats else min(walked)
    walk = sorted(walked)[len(walked) // 2]
    benchmark.extra_info |= {"threshold": fast, "walk": walk, "copy and rebuild": rebuilt, "ratio": rebuilt / fast}
    print(f"\nResNet-56, one search: {1000 * fast:.1f} ms by threshold, {1000 * walk:.1f} ms by walking;")
    print(f"copy and rebuild {1000 * rebuilt:.0f} ms ({rebuilding.probes} probes): {rebuilt / fast:.0f} times")


def _timed(view: View) -> float:
    started = time.perf_counter()
    subnetwork(view, 0.5, 0.75, "own", True, "walk")
    return time.perf_counter() - started
