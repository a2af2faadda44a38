"""OCSPruner: window, cap, thresholds and shrink against an example worked out by hand; the decision in a real run."""

from dataclasses import replace
from math import exp, sqrt
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.errors import UserError
from benchmark.plan.cell import Steps
from benchmark.plan.suite import configured
from benchmark.pruning.channels import Channels
from benchmark.pruning.view import View
from benchmark.runs.execute import Context
from benchmark.runs.run import Run
from benchmark.training.training import Now, Trainer
from methods.ocspruner import (
    by_threshold,
    overlap,
    penalty,
    shrink,
    softmax_of_costs,
    stability,
    stands_still,
    subnetwork,
)
from tests.conftest import finish, recipe
from tests.pruning.common import network_of


class Two(nn.Module):
    """Two convolutions on 2 × 2 pixels: four channels each, one group each, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 4, 1, bias=False)
        self.b = nn.Conv2d(4, 4, 1, bias=False)
        self.out = nn.Linear(16, 2)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(4, 1, 1, 1))
            self.b.weight.copy_(torch.ones(4, 4, 1, 1))
            self.out.weight.fill_(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.flatten(self.b(self.a(x).relu()), 1))  # type: ignore[no-any-return]


@pytest.fixture
def view() -> View:
    network = Two()
    channels = Channels(network, (1, 2, 2), 2)
    return View(network, lambda n: None, torch.Generator(), channels, {}, "macs")  # type: ignore[arg-type,return-value]


def test_what_it_costs_by_hand(view: View) -> None:
    """a: 4 pixels × 4 filters; b: 4 pixels × 16; out: 16 × 2. A channel of a: 4 + 16; one of b: 16 + 8."""
    assert view.channels
    assert view.channels.costs.dense["macs"] == 16 + 64 + 32
    assert view.macs_per_channel("a") == 4 + 16
    assert view.macs_per_channel("b") == 16 + 8
    own = softmax_of_costs(view, "own")
    high = exp((20 - 24) / 1e6)
    assert own == pytest.approx({"a": high / (1 + high), "b": 1 / (1 + high)})
    assert [group.rank for group in view.groups.values()] == [2, 1], "the classifier is traced first, then b, then a"
    slipped = softmax_of_costs(view, "predecessor")  # b is charged the classifier's 16, a is charged b's 24
    low = exp((16 - 24) / 1e6)
    assert slipped == pytest.approx({"a": 1 / (1 + low), "b": low / (1 + low)})


def test_the_saliency_and_the_sub_network_by_hand(view: View) -> None:
    """a's channel c: mean of w² (one weight) and 4 · 1 / √4 (read by b). b's: 4 / √4, and 8 · ¼ / √8 (read by out)."""
    a = [(c**2 + 2) / 2 for c in (1.0, 2.0, 3.0, 4.0)]  # 1.5, 3, 5.5, 9
    b = (2 + 2 / sqrt(8)) / 2  # 1.354 each
    assert a[0] > b, "so b's channels go first, then a's first; prices of 20 and 24 MACs hardly differ"
    kept = subnetwork(view, 0.5, 0.75, "own", True, "walk")
    # Of 112 MACs 56 are to go. Two of b save 48; a third would be too much, and so would any of a, which
    # then saves 12. Overshooting by 4 comes nearer than stopping 8 short: a's lowest goes too.
    assert kept == {"a": [1, 2, 3], "b": [2, 3]}
    assert view.removed_by(kept) == pytest.approx(60 / 112)


def test_the_threshold_search_and_its_cap_by_hand(view: View) -> None:
    """Of four channels int(4 · ¾ · (1 - e⁻⁴)) = 2 may go; a group's best two are out of reach."""
    scores = {"a": torch.tensor([1.0, 2.0, 3.0, 4.0]), "b": torch.tensor([1.5, 2.5, 3.5, 4.5])}
    # The ladder 1, 1.5, 2, 2.5 is halved: at 1.5 one of each goes, 40 of 112 and too much; at 1 one of a, 20.
    assert by_threshold(view, scores, 0.3, 0.75) == {"a": [1, 2, 3], "b": [0, 1, 2, 3]}
    assert by_threshold(view, scores, 40 / 112, 0.75) == {"a": [1, 2, 3], "b": [1, 2, 3]}
    with pytest.raises(UserError, match=r"no threshold removes 99 %: with the cap at 0.75 it ends at 64.29 %"):
        by_threshold(view, scores, 0.99, 0.75)  # two of each are left: 8 + 16 + 16 of 112


def test_stability_is_the_mean_of_the_last_three_overlaps_two_epochs_apart() -> None:
    one, two = {"a": [0, 1], "b": [0, 1]}, {"a": [0, 1], "b": [0, 2]}
    assert overlap(one, two) == (1 + 1 / 3) / 2
    watched: list[Any] = []
    psi = []
    for kept in (one, one, one, two, two, two, two):
        watched.append(kept)
        psi.append(stability(watched))
    between = (1 + 1 / 3) / 2
    overlaps = [0, 0, 1, between, between, 1, 1]
    assert psi == pytest.approx([sum(overlaps[max(0, i - 2) : i + 1]) / min(i + 1, 3) for i in range(7)])


def test_consecutive_epochs_may_overlap_at_the_second_one_watched() -> None:
    """The authors' ablation prints 0, .3627, .4504: with two epochs before, the second is always 0."""
    one, two = {"a": [0, 1], "b": [0, 1]}, {"a": [0, 1], "b": [0, 2]}
    watched: list[Any] = [one, two, two]
    between = (1 + 1 / 3) / 2
    assert [stability(watched[: i + 1], 1) for i in range(3)] == pytest.approx([0, between / 2, (between + 1) / 3])
    assert stability(watched[:2]) == 0


def test_it_stands_still_when_two_epochs_changed_nothing() -> None:
    assert not stands_still([0.5, 0.5, 0.5], 3)
    assert stands_still([0.5, 0.7, 0.50005], 4)
    assert not stands_still([0.5, 0.5, 0.51], 4)


def test_the_penalty_is_reg_times_the_norms_of_doomed_channels(view: View, context: Context) -> None:
    run = with_groups(view)
    loss = penalty(run, {"a": [1, 2, 3], "b": [0, 1, 2, 3]}, 0.01, True)(view.network, Now(0.0, 0.1))
    assert loss.item() == pytest.approx(0.01 * sqrt(1 + 4))  # channel 0 of a: its weight 1, and four ones in b
    loss.backward()
    gradient = view.network.get_parameter("a.weight").grad
    assert gradient is not None
    assert gradient.flatten().tolist() == pytest.approx([0.01 / sqrt(5), 0, 0, 0])


def test_shrinking_multiplies_doomed_weights_and_twice_where_both_ends_are(view: View) -> None:
    before = view.network.get_parameter("b.weight").detach().clone()
    with_groups(view)
    shrink(with_groups(view), {"a": [1, 2, 3], "b": [1, 2, 3]}, 0.5, False)(view.network, Now(0.0, 0.1))
    factor = view.network.get_parameter("b.weight").detach().flatten(1) / before.flatten(1)
    want = torch.ones(4, 4)
    want[0, :] *= 0.95
    want[:, 0] *= 0.95
    torch.testing.assert_close(factor, want)
    assert view.network.get_parameter("a.weight").flatten().tolist() == pytest.approx([0.95, 2, 3, 4])


@pytest.mark.parametrize("depthwise", [True, False])
def test_depthwise_filters_are_pushed_with_their_group_or_left_alone(depthwise: bool) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1, groups=2), nn.Flatten(), nn.Linear(2, 10))
    channels = Channels(network, (1, 1, 1), 10)
    view = View(network, lambda n, a: None, torch.Generator(), channels, {}, "macs")  # type: ignore[arg-type,return-value]
    filters = network.get_parameter("1.weight")
    before = filters.flatten().tolist()
    penalty(with_groups(view), {"0": [1]}, 0.5, depthwise)(network, Now(0.0, 0.1)).backward()
    assert bool(filters.grad is not None and filters.grad[0].any()) == depthwise
    shrink(with_groups(view), {"0": [1]}, 0.5, depthwise)(network, Now(0.0, 0.1))
    assert filters.flatten().tolist() == pytest.approx([before[0] * (0.95 if depthwise else 1), before[1]])


def test_the_authors_counter_meets_the_target_with_all_operations_counted(view: View) -> None:
    """A target in MACs alone: whoever counts parameters counts them as ever."""
    params = replace(view, kind="params")
    assert params.counting_all().removed_by({"a": [0, 1]}) == params.removed_by({"a": [0, 1]})
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    channels = Channels(network, (1, 2, 2), 2)
    other = View(network, lambda n, a: None, torch.Generator(), channels, {}, "macs")  # type: ignore[arg-type,return-value]
    # a channel: 4 MACs, 4 for its bias, 8 for its norm, 4 for its ReLU, 8 where it is read; 2 biases at the end
    assert other.removed_by({"0": [0, 1, 2]}) == pytest.approx(12 / 48)
    assert other.counting_all().removed_by({"0": [0, 1, 2]}) == pytest.approx(28 / 114)


def test_the_authors_prices_are_of_all_operations() -> None:
    """ResNet-56, each group charged its predecessor's cost: the numbers that the released code computes."""
    network, shape, classes = network_of("resnet56")
    view = View(network, lambda n, a: None, torch.Generator(), Channels(network, shape, classes), {}, "macs")  # type: ignore[arg-type,return-value]
    prices = softmax_of_costs(view.counting_all(), "predecessor", "authors")
    classifier, stage = prices["blocks.18.conv2"], prices["blocks.9.conv2"]
    assert stage / classifier == pytest.approx(exp((630_090 - 65) / 1e6), rel=1e-12)


def with_groups(view: View) -> Run:
    run = Run.__new__(Run)
    run.channels = view.channels
    return run


@pytest.mark.parametrize("variant", ["", "official"])
def test_the_stability_decides_in_a_real_run_and_the_journal_shows_it(context: Context, variant: str) -> None:
    """With a learning rate too small to change any ranking the sub-network stands still: psi reaches 1."""
    options = {"monitor": 0, "sl_start": 1, "sl_end": 7, "eps": 0.999} | ({"variant": variant} if variant else {})
    small = recipe(epochs=10, optimizer=recipe().optimizer.model_copy(update={"lr": 1e-7}))
    stored = finish("ocspruner", context, config=options, recipe=small)
    journal = context.store.side(stored)["journal"]
    psi = [e["result"]["psi"] for e in journal if e["call"] == "note" and "psi" in e["result"]]
    assert psi == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    late = 1 if variant else 0
    assert stored.record.notes["decided_by"] == "stability"
    assert stored.record.notes["stable_epoch"] == 4 + late
    assert [e["result"]["macs"] for e in journal if e["call"] == "cut"] == [stored.record.network.macs]
    assert len([e for e in journal if e["call"] == "ask subnetwork"]) == 5


def test_without_stability_it_cuts_at_the_end_of_sparsity_learning(context: Context) -> None:
    stored = finish(
        "ocspruner", context, config={"monitor": 0, "sl_start": 1, "sl_end": 3, "eps": 2.0}, recipe=recipe(epochs=5)
    )
    assert (stored.record.notes["stable_epoch"], stored.record.notes["decided_by"]) == (3, "sl_end")


def test_official_is_late_raises_at_once_starts_anew_and_trains_on_an_epoch_behind(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each difference from the paper as the head of the file lists it, watched from outside."""
    rates: list[float] = []
    regs: dict[int, float] = {}
    epoch, cut = Trainer.epoch, Trainer.cut

    def watched_epoch(self: Trainer, at: int, **how: Any) -> Any:
        done = epoch(self, at, **how)
        rates.append(done.lr)
        return done

    def watched_cut(self: Trainer, parts: Any, momentum: str) -> Any:
        regs[-1] = {"keep": 0.0, "reset": 1.0}[momentum]
        return cut(self, parts, momentum)

    def watched_shrink(run: Run, kept: Any, reg: float, depthwise: bool) -> Any:
        assert not depthwise
        regs[run.epoch] = reg
        return shrink(run, kept, reg, depthwise)

    monkeypatch.setattr(Trainer, "epoch", watched_epoch)
    monkeypatch.setattr(Trainer, "cut", watched_cut)
    monkeypatch.setattr("methods.ocspruner.shrink", watched_shrink)
    steps = recipe(epochs=12, lr=Steps(times=0.5, at=tuple(range(1, 12))))
    options = {"variant": "official", "monitor": 0, "sl_start": 1, "sl_end": 6, "eps": 2.0, "reg_every": 2}
    stored = finish("ocspruner", context, config=options, recipe=steps)
    assert stored.record.notes["stable_epoch"] == 8, "two epochs after sl_end: one to decide, one to end it"
    assert {at: round(1e4 * reg) for at, reg in regs.items() if at >= 0} == {3: 1, 4: 2, 5: 2, 6: 3, 7: 3}
    assert regs[-1] == 1.0, "the optimizer is made anew"
    assert rates == pytest.approx([0.1 * 0.5**at for at in (*range(8), *range(7, 11))]), (
        "one epoch behind after the cut"
    )


def test_consecutive_overlaps_decide_an_epoch_earlier(context: Context) -> None:
    small = recipe(epochs=10, optimizer=recipe().optimizer.model_copy(update={"lr": 1e-7}))
    options = {"monitor": 0, "sl_start": 1, "sl_end": 7, "back": 1}
    assert finish("ocspruner", context, config=options, recipe=small).record.notes["stable_epoch"] == 3


def test_the_paper_variant_has_a_name_and_is_the_default() -> None:
    assert configured("ocspruner", {"variant": "paper"}, ())[0] == configured("ocspruner", {}, ())[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cap": 1.5}, "cap = 1.5: the share of a group that may go"),
        ({"cap": -0.2, "variant": "official"}, "cap = -0.2: the share of a group that may go"),
        ({"reg_every": 0}, "reg_every = 0"),
        ({"back": 0}, "back = 0; the stability compares with 1, 2, … epochs before"),
        ({"variant": "official", "sl_end": 4}, "sl_start 0, sl_end 4 do not fit into 5 epochs"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_training(
    context: Context, monkeypatch: pytest.MonkeyPatch, options: Any, says: str
) -> None:
    monkeypatch.setattr(Trainer, "epoch", None)
    with pytest.raises(UserError, match=says):
        finish(
            "ocspruner", context, config={"monitor": 0, "sl_start": 0, "sl_end": 1, **options}, recipe=recipe(epochs=5)
        )


def test_sparsity_may_start_before_the_watching_would(context: Context) -> None:
    options = {"monitor": 3, "sl_start": 1, "sl_end": 4, "eps": 2.0}
    record = finish("ocspruner", context, config=options, recipe=recipe(epochs=5)).record
    assert record.notes["stable_epoch"] == 4
    assert record.notes["reg"] == pytest.approx(1e-4 + 2 * 1e-4), "it grows in each epoch after its first"


def test_it_can_cut_before_the_first_step(context: Context) -> None:
    stored = finish("ocspruner", context, config={"monitor": 0, "sl_start": 0, "sl_end": 0, "eps": 2.0})
    assert stored.record.notes["stable_epoch"] == 0
    assert stored.record.cost.training_macs == 3 * stored.record.network.macs * 2 * 512


def test_a_schedule_that_does_not_hold_its_epochs_is_refused(context: Context) -> None:
    with pytest.raises(Exception, match="sl_start 30, sl_end 110 do not fit into 2 epochs"):
        finish("ocspruner", replace(context), config={"sl_start": 30, "sl_end": 110})
