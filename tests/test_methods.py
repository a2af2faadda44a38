"""The schedules, against the table worked out from the papers; the masks, entry by entry."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmark.network.masks import (
    hold_zeros,
    lowest,
    lowest_at_once,
    lowest_one_by_one,
    nonzeros,
    prunable,
    removed,
    zero_lowest,
)
from methods import agp, iterative, one_cycle, one_shot

T = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
BETA_5 = [".00669", ".0266", ".09976", ".31006", ".64574", ".88091", ".96782", ".99196", ".9981", ".99962", "1"]
BETA_6 = [".00247", ".00996", ".03918", ".1419", ".40145", ".7313", ".91713", ".97845", ".99485", ".99898", "1"]
AGP_0 = ["0", ".271", ".488", ".657", ".784", ".875", ".936", ".973", ".992", ".999", "1"]
AGP_2 = ["0", "0", "0", ".3301", ".5781", ".7559", ".875", ".9473", ".9844", ".998", "1"]
ITERATIVE = ["0", "0", "0", ".333", ".333", ".667", ".667", ".667", "1", "1", "1"]


@pytest.mark.parametrize(
    ("fraction", "printed"),
    [
        (lambda t: one_cycle.fraction(t), BETA_5),
        (lambda t: one_cycle.fraction(t, beta=6.0), BETA_6),
        (lambda t: agp.fraction(t, start=0.0), AGP_0),
        (lambda t: agp.fraction(t), AGP_2),
        (lambda t: iterative.fraction(t), ITERATIVE),
    ],
)
def test_schedules_equal_the_printed_table(fraction, printed) -> None:  # type: ignore[no-untyped-def]
    for t, text in zip(T, printed, strict=True):
        digits = len(text.partition(".")[2])
        assert f"{fraction(t):.{digits}f}".lstrip("0") == text.lstrip("0"), f"at t = {t}"


def test_one_shot_happens_once() -> None:
    assert [one_shot.fraction(t) for t in (0.0, 0.39, 0.4, 1.0)] == [0, 0, 1, 1]


def test_the_blogs_sparsities_come_out() -> None:
    """Sparsity at the end of each of ten epochs, as the author's notebook printed them."""
    printed = [2.53, 9.48, 29.46, 61.34, 83.69, 91.94, 94.24, 94.82, 94.96, 95.00]
    ours = [95 * one_cycle.fraction((epoch + 1) / 10) for epoch in range(10)]
    assert ours == pytest.approx(printed, abs=0.02)


@given(st.integers(1, 400), st.integers(0, 2**31), st.sampled_from([1, 2, 5, 1000]))
def test_exactly_so_many_go_and_they_are_the_lowest(size: int, seed: int, levels: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (size,), generator=draw).float()
    count = int(torch.randint(1, size + 1, (), generator=draw))
    gone = lowest(scores, count)
    assert int(gone.sum()) == count
    if count < size:
        assert scores[gone].max() <= scores[~gone].min()
    if levels == 1:
        assert gone[:count].all(), "among equals the first go"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 2**31), st.sampled_from([1, 2, 5, 1000]))
def test_all_layers_at_once_lose_what_each_would_lose_alone(sizes: list[int], seed: int, levels: int) -> None:
    """What a GPU does against what a CPU does, ties, negative scores and both zeros included."""
    draw = torch.Generator().manual_seed(seed)
    scores = [torch.randint(levels, (size, 2), generator=draw) / 7 for size in sizes]
    scores = [each * torch.randn(each.shape, generator=draw).sign() for each in scores]
    counts = [int(torch.randint(1, each.numel() + 1, (), generator=draw)) for each in scores]
    for at_once, alone in zip(lowest_at_once(scores, counts), lowest_one_by_one(scores, counts), strict=True):
        assert torch.equal(at_once, alone)


def test_every_convolution_loses_the_same_share_and_nothing_else_changes() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    before = {name: t.clone() for name, t in network.state_dict().items()}
    zero_lowest(network, 0.5)
    assert nonzeros(network) == {"0": 108, "2": 288}
    assert removed(network) == 0.5
    for name, tensor in network.state_dict().items():
        kept = tensor != 0 if name in ("0.weight", "2.weight") else torch.ones_like(tensor, dtype=torch.bool)
        assert torch.equal(tensor[kept], before[name][kept])


def test_the_smallest_go_in_channels_last_too() -> None:
    plain = nn.Conv2d(4, 6, 3)
    other = nn.Conv2d(4, 6, 3)
    other.load_state_dict(plain.state_dict())
    other = other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for each in (plain, other):
        zero_lowest(each, 0.7)
    assert torch.equal(plain.weight, other.weight)
    assert math.isclose(removed(plain), 0.7, abs_tol=1 / plain.weight.numel())


def test_a_removed_weight_gets_no_gradient() -> None:
    network = nn.Conv2d(2, 2, 1, bias=False)
    zero_lowest(network, 0.5)
    network(torch.ones(1, 2, 1, 1)).sum().backward()
    hold_zeros(network)
    weight = prunable(network)[""]
    assert weight.grad is not None
    assert torch.equal(weight.grad != 0, weight != 0)
