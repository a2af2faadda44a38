"""One selection step of LAASP, 256 images: the fast search beside the plain one. Reported, never a verdict.

Plain, as published: each candidate is a copy of the network, traced again, cut, and run in fp32.
"""

import copy
import resource
import time
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.plan import discovery
from benchmark.pruning import cuts, scoring
from benchmark.pruning.channels import Channels
from benchmark.pruning.groups import find_groups
from benchmark.pruning.view import View
from benchmark.training.precision import rounds
from methods.laasp import CRITERIA, Search, best_choice, filters, how_many, lowest

SHAPE, IMAGES = (3, 32, 32), 256
POOL = ["l1", "l2", "euclidean", "cosine"]


@pytest.mark.parametrize("name", ["resnet20", "resnet56"])
def test_one_selection_step(name: str, benchmark: Any) -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = trained_a_little(discovery.load(discovery.models()[name])(10))
    images = torch.randn(IMAGES, *SHAPE), torch.randint(0, 10, (IMAGES,))
    channels = Channels(network, SHAPE, 10, name)
    last = images[0].contiguous(memory_format=torch.channels_last), images[1]
    spent: list[int] = []
    bf16 = not rounds("cpu")  # as a run does
    view = View(
        network, lambda count, augmented: last, torch.Generator(), channels, {}, "macs", bf16=bf16, spend=spent.append
    )
    how = (0.5, Search(tuple(POOL), images=IMAGES))
    with torch.no_grad():
        best = benchmark.pedantic(best_choice, (view, *how), rounds=3, warmup_rounds=1)
        fp32 = timed(lambda: best_choice(exact(view), *how))
    counts = how_many(view, *how)
    candidates = [
        (layer, criterion, group, lowest(CRITERIA[key](rows), counts[group]))
        for group in counts
        for layer, rows in filters(view, view.groups[group])
        for criterion, key in zip(POOL, [*POOL[:3], "cosine most_similar"], strict=True)
    ]
    some = candidates[:: max(1, len(candidates) // 24)]  # the plain search of a sample: all cost alike
    started = time.perf_counter()
    losses = [plain(network, group, gone, images) for _, _, group, gone in some]
    all_of_it = (time.perf_counter() - started) / len(some) * len(candidates)
    for (layer, criterion, *_), loss in zip(some, losses, strict=True):
        assert best["losses"][layer][POOL.index(criterion)] == pytest.approx(loss, abs=0.05)
    fast = benchmark.stats.stats.median
    different = len({(group, gone) for *_, group, gone in candidates})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info |= {"plain": all_of_it, "ratio": all_of_it / fast, "ratio in fp32": all_of_it / fp32}
    print(f"\n{name}, one step: {len(candidates)} candidates, {different} different; plain {all_of_it:.1f} s, ")
    print(f"fast {fast:.2f} s: {all_of_it / fast:.1f} times (in fp32 {all_of_it / fp32:.1f} times); ")
    whole = len(candidates) * IMAGES * channels.costs.dense["macs"]
    print(f"MACs {spent[0] / whole:.2f} of the plain search's; peak memory of the process {peak:.2f} GiB")


def trained_a_little(network: nn.Module) -> nn.Module:
    """Statistics of a network in use, so that losses are of a usual size."""
    with torch.no_grad():
        network.train()
        for _ in range(20):
            network(torch.randn(64, *SHAPE))
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def exact(view: View) -> View:
    return View(view.network, view.draw, view.rng, view.channels, {}, "macs", bf16=False)


def timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@torch.no_grad()
def plain(network: nn.Module, group: str, gone: scoring.Gone, images: tuple[torch.Tensor, torch.Tensor]) -> float:
    with torch.enable_grad():  # a trace needs it
        copied = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        groups = find_groups(copied, SHAPE, 10)
    kept = [c for c in range(groups[group].width) if c not in gone]
    cuts.apply(copied, cuts.slices(copied, groups, {group: kept}))
    return F.cross_entropy(copied.eval()(images[0]), images[1]).item()
