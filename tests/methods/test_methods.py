"""The schedules, against the table worked out from the papers; the masks, entry by entry."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmark.errors import UserError
from benchmark.plan.canonical import digest
from benchmark.pruning.channels import Channels
from benchmark.pruning.masks import (
    hold_zeros,
    lowest,
    lowest_at_once,
    lowest_one_by_one,
    nonzeros,
    prunable,
    removed,
    zero_lowest,
)
from benchmark.pruning.view import View
from benchmark.runs.execute import Context, execute
from benchmark.training.build import build
from benchmark.training.training import Trainer
from methods import agp, iterative, one_cycle, one_shot
from methods.group_sparse import strengths
from methods.prune_at_init import snip
from tests.conftest import finish, planned, recipe, tiny

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


def uneven() -> View:
    """Three channels whose groups' norms are 1, 2 and 3: all in what makes them."""
    network = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.Flatten(), nn.Linear(3, 10, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0])[:, None, None, None])  # type: ignore[operator]
        network[2].weight.zero_()  # type: ignore[operator]
    images, labels = torch.ones(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64)
    channels = Channels(network, (1, 1, 1), 10)
    return View(network, lambda n, a: (images, labels), torch.Generator(), channels, {}, "macs")


def test_group_sparse_pushes_the_weakest_hardest() -> None:
    assert strengths(uneven(), 4.0) == {"0": [16.0, 4.0, 1.0]}


def test_snip_keeps_what_the_loss_would_miss() -> None:
    """A channel that nobody listens to changes no loss, however large its weights."""
    view = uneven()
    with torch.no_grad():
        view.network[2].weight[:, 0] = torch.linspace(-1, 1, 10)  # type: ignore[index]
    kept = snip(view, "none", 0.34, 4)
    assert kept["0"][0] == 0
    assert len(kept["0"]) == 2


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


@pytest.mark.parametrize("name", ["agp", "one_cycle", "one_shot", "iterative", "finetune_iterative", "group_sparse"])
def test_a_target_out_of_reach_is_named_before_anything_is_trained_for_it(
    context: Context, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cell, parents = planned(name, kind="macs", amount=0.97, recipe=recipe(epochs=6))
    for parent in parents:
        execute(parent, context)
    monkeypatch.setattr(Trainer, "epoch", None)
    with pytest.raises(UserError, match="no cut removes 97 % of the macs: with at most 75 % of each group gone"):
        execute(cell, context)


def test_a_schedule_leaves_widths_in_whole_blocks_when_asked(context: Context) -> None:
    stored = finish("one_shot", context, kind="macs", config={"round_to": 4})
    widths = [len(kept) for kept in context.store.side(stored)["kept"].values()]
    assert all(width % 4 == 0 for width in widths)
    with pytest.raises(UserError, match="round_to speaks of channels"):
        finish("one_shot", context, config={"round_to": 4})


def test_lamp_ranks_by_its_shares_and_not_by_their_means(context: Context) -> None:
    """Others are divided by their group's mean; the journal tells what was asked by its hash."""
    for by, normalise in (("lamp", "none"), ("l2", "mean")):
        journal = context.store.side(finish("one_shot", context, kind="macs", config={"by": by, "scope": "global"}))[
            "journal"
        ]
        asked = [entry["args"] for entry in journal if entry["call"] == "ask lowest"]
        assert asked == [digest([by, normalise, 0.4, 1, True, {}])]


def test_a_global_scope_zeroes_the_lowest_of_all_layers_together() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 3))
    with torch.no_grad():
        network[1].weight *= 0.05  # the weakest layer
    every = torch.cat([w.detach().abs().flatten() for w in prunable(network).values()])
    zero_lowest(network, 0.5, scope="global")
    threshold = every.sort().values[round(0.5 * len(every)) - 1]
    left = torch.cat([w.detach().flatten() for w in prunable(network).values()])
    assert torch.equal(left == 0, every <= threshold)
    assert nonzeros(network)["1"] < 8 * 8 * 9 // 8, "most of the weak layer is gone"


@pytest.mark.parametrize("name", ["one_shot", "agp", "one_cycle", "iterative"])
def test_a_scope_reaches_the_run(context: Context, name: str) -> None:
    """Local leaves every layer the same share, global does not."""
    counts = {}
    for scope in ("local", "global"):
        stored = finish(name, context, kind="weights", amount=0.8, config={"scope": scope})
        last = context.store.side(stored)["curves"][-1]["nonzeros"]
        sizes = [w.numel() for w in prunable(build(stored.record.cell, 10)).values()]
        counts[scope] = [left / size for left, size in zip(last, sizes, strict=True)]
    assert all(abs(share - 0.2) < 0.02 for share in counts["local"])
    assert max(abs(share - 0.2) for share in counts["global"]) > 0.1


def test_an_option_at_the_value_it_had_before_it_existed_is_not_written() -> None:
    """So that cells of before keep their ids: masks were local, one cut of channels was global."""
    assert "scope" not in tiny("agp", kind="weights").method.config
    assert "scope" not in tiny("one_shot", kind="macs", config={"scope": "global"}).method.config
    assert tiny("agp", kind="weights", config={"scope": "global"}).method.config["scope"] == "global"
    for scope in ("local", "global"):  # several cuts along a schedule are made otherwise than before
        assert tiny("agp", kind="macs", config={"scope": scope}).method.config["scope"] == scope
    assert tiny("one_shot", kind="macs").method.config["scope"] == "local"
