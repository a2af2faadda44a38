"""Targets: met where widths allow, one clear line where they do not."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark.errors import UserError
from benchmark.pruning.channels import Channels
from benchmark.pruning.targets import check_reach, choose, least_width
from tests.pruning.common import drawn, network_of


def _resnet20() -> Channels:
    network, shape, classes = network_of("resnet20")
    return Channels(network, shape, classes, "resnet20")


RESNET = _resnet20()


@pytest.mark.parametrize(
    ("name", "within"), [("resnet20", 0.0007), ("resnet56", 0.0005), ("vgg16", 0.0005), ("mobilenetv2_cifar", 0.0005)]
)
def test_targets_are_met_to_a_twentieth_of_a_point_where_widths_allow(name: str, within: float) -> None:
    network, shape, classes = network_of(name)
    channels = Channels(network, shape, classes)
    for seed in range(4):
        for kind in ("macs", "params"):
            for amount in (0.3, 0.5, 0.7):
                kept = choose(channels.groups, channels.costs, drawn(channels.groups, seed), kind, amount)
                widths = channels.widths | {n: len(stay) for n, stay in kept.items()}
                assert abs(channels.costs.removed(kind, widths) - amount) <= within


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6), st.floats(0.1, 0.6))
def test_macs_fall_with_the_target_and_no_group_passes_its_cap(seed: int, low: float, more: float) -> None:
    channels = RESNET
    left = []
    for amount in (low, min(0.85, low + more)):
        kept = choose(channels.groups, channels.costs, drawn(channels.groups, seed), "macs", amount, cap=0.9)
        widths = channels.widths | {n: len(stay) for n, stay in kept.items()}
        left.append(channels.costs.count("macs", widths))
        assert all(widths[n] >= least_width(g, 0.9) for n, g in channels.groups.items())
    assert left[0] > left[1]


def test_ties_go_by_the_order_of_groups_and_channels() -> None:
    scores = {name: torch.zeros(group.width) for name, group in RESNET.groups.items()}
    kept = choose(RESNET.groups, RESNET.costs, scores, "channels", 0.01)
    assert kept == {"conv1": list(range(4, 16))}  # 1 % of 448 channels


def test_widths_come_in_whole_blocks_when_asked() -> None:
    kept = choose(RESNET.groups, RESNET.costs, drawn(RESNET.groups), "macs", 0.4, round_to=8)
    widths = RESNET.widths | {n: len(stay) for n, stay in kept.items()}
    assert all(width % 8 == 0 for width in widths.values())
    assert RESNET.costs.removed("macs", widths) == pytest.approx(0.4, abs=0.02)


def test_a_head_is_a_block_of_its_own() -> None:
    network, shape, classes = network_of("vit_tiny")
    channels = Channels(network, shape, classes)
    heads = {name for name, group in channels.groups.items() if group.heads}
    scores = {n: torch.arange(g.width) + (0.0 if n in heads else 100.0) for n, g in channels.groups.items()}
    kept = choose(channels.groups, channels.costs, scores, "macs", 0.3, round_to=8)
    assert heads <= kept.keys()
    assert all(len(stay) % 8 == 0 for name, stay in kept.items() if name not in heads)


def test_a_target_out_of_reach_is_one_clear_line() -> None:
    says = r"no cut removes 80 % of the macs: with at most 30 % of each group gone it ends at \d\d\.\d\d %"
    with pytest.raises(UserError, match=says):
        choose(RESNET.groups, RESNET.costs, drawn(RESNET.groups), "macs", 0.8, cap=0.3)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "no cut removes 97 % of the macs: with at most 75 % of each group gone it ends at 9"),
        ({"round_to": 8}, "with at most 75 % of each group gone in steps of 8 it ends at"),
        ({"cap": 1.5}, "cap = 1.5: the share of a group that may go"),
        ({"round_to": 0}, "round_to = 0: widths can be multiples of"),
    ],
)
def test_what_no_cut_can_reach_is_known_before_any_training(limits: Any, says: str) -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes)
    with pytest.raises(UserError, match=says):
        check_reach(channels.groups, channels.costs, "macs", 0.97, **limits)


def test_scores_that_are_no_numbers_are_refused() -> None:
    scores = drawn(RESNET.groups)
    scores["conv1"][3] = float("nan")
    with pytest.raises(UserError, match="one finite number for each channel"):
        choose(RESNET.groups, RESNET.costs, scores, "macs", 0.3)


def test_the_search_copies_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts, not times: the closed form is all there is to it."""
    import copy

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the search must not copy or run the network")

    monkeypatch.setattr(copy, "deepcopy", never)
    monkeypatch.setattr(nn.Module, "__call__", never)
    assert choose(RESNET.groups, RESNET.costs, drawn(RESNET.groups), "macs", 0.5)
