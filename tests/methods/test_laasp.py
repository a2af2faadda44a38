"""LAASP: the fast search makes the choices of a plain one, candidate by candidate; its limits are said."""

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.errors import Stopped, UserError
from benchmark.pruning import cuts, scoring
from benchmark.pruning.channels import Channels
from benchmark.pruning.view import View
from benchmark.runs.execute import Context, execute
from benchmark.training.training import Trainer
from methods.laasp import CRITERIA, best_choice, filters, how_many, lowest
from tests.conftest import finish, make_context, planned, recipe
from tests.pruning.test_channels import TINY, network_of

POOL = ["l1", "l2", "euclidean", "cosine"]
ROUGH = {"start": 1, "images": 64, "step": 0.05, "every": 0.2}


def view_of(network: nn.Module, channels: Channels, images: tuple[Tensor, Tensor]) -> View:
    return View(network.eval(), lambda count, augmented: images, torch.Generator(), channels, {}, "macs")


def pictures(shape: tuple[int, int, int], count: int = 64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=draw), torch.randint(0, 10, (count,), generator=draw)


@torch.no_grad()
def plain_loss(network: nn.Module, channels: Channels, candidate: scoring.Gone, images: tuple[Tensor, Tensor]) -> float:
    """As the papers' code does it: copy the network, cut the copy, run it."""
    name, gone = candidate
    copied, books = copy.deepcopy(network), copy.deepcopy(channels)
    cuts.apply(copied, books.cut(copied, {name: [c for c in range(books.groups[name].width) if c not in gone]}))
    return F.cross_entropy(copied.eval()(images[0]), images[1]).item()


@pytest.mark.parametrize("name", TINY)
def test_the_fast_search_chooses_what_the_plain_one_does_all_the_way_to_half(name: str) -> None:
    network, shape, classes = network_of(name)
    channels, images = Channels(network, shape, classes, name), pictures(shape)
    chosen = []
    while channels.costs.removed("macs", channels.widths) < 0.495:
        view = view_of(network, channels, images)
        best = best_choice(view, 0.5, POOL, "most_similar", 0.05, "macs", 0.75, 64, False, False, 4.0)
        counts = how_many(view, 0.5, 0.05, "macs", 0.75, False)
        plain: dict[tuple[str, str], float] = {}
        goes: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {}
        for group in counts:
            for layer, rows in filters(view, view.groups[group]):
                for place, criterion in enumerate(POOL):
                    score = CRITERIA[f"{criterion} most_similar" if criterion == "cosine" else criterion]
                    goes[layer, criterion] = group, lowest(score(rows), counts[group])
                    loss = plain_loss(network, channels, goes[layer, criterion], images)
                    assert best["losses"][layer][place] == pytest.approx(loss, abs=1e-5)
                    plain[layer, criterion] = loss
        assert plain[best["layer"], best["criterion"]] <= min(plain.values()) + 1e-5, "the least, ties aside"
        group, gone = goes[best["layer"], best["criterion"]]
        width = channels.groups[group].width
        assert (best["group"], best["keep"]) == (group, [c for c in range(width) if c not in gone]), "the same filters"
        cuts.apply(network, channels.cut(network, {best["group"]: best["keep"]}))
        chosen.append((best["layer"], best["criterion"]))
    assert len(chosen) > 5
    assert channels.costs.removed("macs", channels.widths) == pytest.approx(0.5, abs=0.02)


def test_little_memory_gives_the_same_losses() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels, (images, labels) = Channels(network, shape, classes), pictures(shape)
    candidates = [(name, (0, channel)) for name in channels.groups for channel in (1, 2, 3)]
    runs = [
        scoring.losses(network.eval(), channels.groups, candidates, images, labels, memory=memory)[0]
        for memory in (4 * scoring.GIB, 3e6, 1.0)
    ]
    for run in runs[1:]:
        assert run == pytest.approx(runs[0], abs=1e-5)


@pytest.mark.parametrize("name", ["resnet_tiny", "vit_tiny"])
def test_a_search_keeps_no_more_than_it_may(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted after every step of every pass: the values kept for later starts, those under way, and the images."""
    network, shape, classes = network_of(name)
    channels, (images, labels) = Channels(network, shape, classes), pictures(shape, 128)
    groups = channels.groups
    can = [group for group in groups if scoring.can_be_silenced(network, groups[group])]
    candidates = [(group, (channel,)) for group in can for channel in range(min(8, groups[group].width))]
    kept: dict[Any, torch.Tensor] = {}
    most = [0]
    whole, step = scoring.Program._whole, scoring.fx.Interpreter.run_node

    def remember(self: Any, *args: Any) -> Any:
        kept.clear()
        kept.update(whole(self, *args))
        return dict(kept)

    def count(self: Any, node: Any) -> Any:
        value = step(self, node)
        there = [t for t in (*kept.values(), *self.env.values(), value, images) if torch.is_tensor(t)]
        sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in there}
        most[0] = max(most[0], sum(sizes.values()))
        return value

    monkeypatch.setattr(scoring.Program, "_whole", remember)
    monkeypatch.setattr(scoring.fx.Interpreter, "run_node", count)

    def peak(memory: float) -> int:
        most[0] = 0
        kept.clear()
        scoring.losses(network.eval(), channels.groups, candidates, images, labels, memory=memory)
        return most[0]

    free = peak(4 * scoring.GIB)
    least = images.numel() * images.element_size()
    for share in (0.5, 0.25):
        memory = least + share * (free - least)
        assert peak(memory) <= memory < free


def test_a_bf16_pass_finds_the_choice_of_fp32() -> None:
    """The best are scored again in fp32 until no other could be better."""
    network, shape, classes = network_of("vgg_tiny")
    channels, (images, labels) = Channels(network, shape, classes), pictures(shape)
    candidates = [(name, (channel,)) for name, group in channels.groups.items() for channel in range(group.width)]
    exact, _ = scoring.losses(network.eval(), channels.groups, candidates, images, labels)
    quick, _ = scoring.losses(network.eval(), channels.groups, candidates, images, labels, bf16=True)
    best = min(quick, key=quick.__getitem__)
    assert best == min(exact, key=exact.__getitem__)
    assert quick[best] == pytest.approx(exact[best], abs=1e-6)
    assert any(quick[each] != exact[each] for each in candidates), "bf16 it was"


def test_the_network_is_left_as_it_was() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels, (images, labels) = Channels(network, shape, classes), pictures(shape)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    scoring.losses(network.eval(), channels.groups, [("conv1", (0,))], images, labels)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_the_criteria_by_hand() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 6.0], [1.0, 0.0], [0.0, 6.5]])
    assert CRITERIA["l1"](rows).tolist() == [7, 6, 1, 6.5]
    assert CRITERIA["l2"](rows).tolist() == pytest.approx([5, 6, 1, 6.5])
    far = CRITERIA["euclidean"](rows)
    assert far[0].item() == pytest.approx(13**0.5 + 20**0.5 + (9 + 2.5**2) ** 0.5)
    assert lowest(CRITERIA["cosine most_similar"](rows), 2) == (0, 1), "between all; then the first of a pair"
    assert lowest(CRITERIA["cosine least_similar"](rows), 1) == (2,), "the one that points another"


def test_a_step_is_worth_what_it_says() -> None:
    network, shape, classes = network_of("resnet20")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape, 2))
    counts = how_many(view, 0.5, 0.01, "macs", 0.75, False)
    for name, count in counts.items():
        one = view.share_of_one(name)
        assert count == max(1, int(0.01 / one + 0.5))
    tenth = how_many(view, 0.5, 0.1, "filters", 0.75, False)
    assert tenth == {name: int(0.1 * group.width + 0.5) for name, group in view.groups.items()}
    capped = how_many(view, 0.5, 0.1, "filters", 0.05, False)
    assert all(count <= int(0.05 * view.groups[name].dense) for name, count in capped.items())


def test_a_run_tells_its_choices_and_what_they_cost(context: Context) -> None:
    stored = finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6))
    record, side = stored.record, context.store.side(stored)
    asks = [entry["result"] for entry in side["journal"] if entry["call"] == "ask best_choice"]
    cut = [entry["result"]["macs"] for entry in side["journal"] if entry["call"] == "cut"]
    assert len(asks) == len(cut) > 3
    assert cut == sorted(cut, reverse=True)
    assert cut[-1] == record.network.macs
    for ask in asks:
        lowest_loss = min(loss for losses in ask["losses"].values() for loss in losses)
        assert lowest_loss == pytest.approx(ask["loss"], abs=1e-6)
    recoveries = [entry for entry in side["journal"] if entry["call"] == "recover"]
    assert recoveries
    assert record.outcome.epochs_trained == 6, "recoveries take their epochs out of the schedule"
    assert record.cost.search > 0
    assert record.cost.recover > 0
    assert record.cost.search_macs > len(asks) * 64 * record.network.macs
    official = finish("laasp", context, config={**ROUGH, "variant": "official"}, recipe=recipe(epochs=6)).record
    assert official.outcome.epochs_trained > 6
    assert official.network.removed >= 0.4


def test_a_pool_of_one_asks_that_one_alone() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape))
    both = best_choice(view, 0.5, ["l1", "euclidean"], "most_similar", 0.05, "macs", 0.75, 64, False, False, 4.0)
    alone = best_choice(view, 0.5, ["euclidean"], "most_similar", 0.05, "macs", 0.75, 64, False, False, 4.0)
    assert alone["criterion"] == "euclidean"
    assert alone["losses"] == {layer: losses[1:] for layer, losses in both["losses"].items()}


def test_the_sign_of_cosine_decides_which_filters_go() -> None:
    network, shape, classes = network_of("vgg_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape))
    most, least = (
        best_choice(view, 0.5, ["cosine"], sign, 0.05, "macs", 0.75, 64, False, False, 4.0)["losses"]
        for sign in ("most_similar", "least_similar")
    )
    assert most != least


def test_the_images_are_augmented_only_if_asked() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels, asked = Channels(network, shape, classes), []

    def draw(count: int, augmented: bool) -> tuple[Tensor, Tensor]:
        asked.append((count, augmented))
        return pictures(shape)

    view = replace(view_of(network, channels, pictures(shape)), draw=draw)
    for augmented in (False, True):
        best_choice(view, 0.5, ["l1"], "most_similar", 0.05, "macs", 0.75, 64, augmented, False, 4.0)
    assert asked == [(64, False), (64, True)]


def test_the_last_step_may_pass_the_target_only_if_asked() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape, 2))
    within, beyond = (how_many(view, 0.1, 0.3, "macs", 0.75, overshoot) for overshoot in (False, True))

    def furthest(counts: dict[str, int]) -> float:
        widths = {name: list(range(view.groups[name].width - count)) for name, count in counts.items()}
        return max(view.removed_by({name: stay}) for name, stay in widths.items())

    assert furthest(within) <= 0.105
    assert furthest(beyond) > 0.105


def test_a_recovery_follows_each_share_at_the_rate_of_the_start(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs after each tenth, counted anew from the last recovery; momentum as asked at every cut."""
    momenta: list[str] = []
    cut = Trainer.cut

    def watched(self: Trainer, parts: Any, momentum: str) -> Any:
        momenta.append(momentum)
        return cut(self, parts, momentum)

    monkeypatch.setattr(Trainer, "cut", watched)
    options = {**ROUGH, "every": 0.1, "recover": 2, "momentum": "reset"}
    stored = finish("laasp", context, config=options, recipe=recipe(epochs=12))
    journal, curves = (context.store.side(stored)[part] for part in ("journal", "curves"))
    last, due = 0.0, 0
    for before, entry in pairwise(journal):
        if before["call"] == "note":
            now = before["removed"] - last >= 0.1
            assert (entry["call"] == "recover") == now
            last, due = (before["removed"], due + 1) if now else (last, due)
    assert due >= 3, "several, or nothing was counted anew"
    recovering = [point for point in curves if point["kind"] == "recover"]
    assert [point["at"] for point in recovering] == [1] * 2 * due
    assert set(momenta) == {"reset"}
    asks = [entry["result"]["criterion"] for entry in journal if entry["call"] == "ask best_choice"]
    assert [entry["result"]["chosen"] for entry in journal if entry["call"] == "note"] == asks


def test_the_subset_is_one_draw_a_seed_and_never_the_test_images(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    import methods.laasp as module

    seen: list[Tensor] = []
    look = module.best_choice

    def best_choice(view: View, *args: Any) -> Any:
        seen.append(view.images(64)[0])
        return look(view, *args)

    monkeypatch.setattr(module, "best_choice", best_choice)
    finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6))
    first = len(seen)
    assert first > 3
    assert all(torch.equal(seen[0], other) for other in seen)
    finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6), seed=1)
    assert not torch.equal(seen[0], seen[first]), "another seed, another draw"


def test_all_layers_at_their_cap_is_said(context: Context) -> None:
    with pytest.raises(UserError, match=r"all layers at their cap at \d+\.\d\d % of 60 %"):
        finish("laasp", context, config={**ROUGH, "cap": 0.2}, recipe=recipe(epochs=6), amount=0.6)
    cell, _ = planned("laasp", config={**ROUGH, "cap": 0.2}, recipe=recipe(epochs=6), amount=0.6)
    lines = (context.store.run_folder(cell.id) / "attempts.jsonl").read_text()
    assert '"failed"' in lines
    assert "all layers at their cap" in lines


def test_an_unknown_criterion_in_the_pool_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown laasp.pool 'l3'; did you mean l"):
        planned("laasp", config={**ROUGH, "pool": ["l1", "l3"]})


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"images": 5000}, "a subset of 5000 images was asked for; there are 1337 to train on"),
        ({"images": 0}, "a subset of 0 images was asked for"),
        ({"pool": []}, "the pool is empty; name one or more of l1, l2, euclidean, cosine"),
        # a tenth of a layer's filters is a small share of all MACs: a recovery may come after every fiftieth of them
        ({"step": 0.1, "step_of": "filters", "every": 0.02}, "1 epochs and about 20 recoveries of 1 fill all 6 epochs"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    config: dict[str, Any], line: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch(*args: Any, **more: Any) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr(Trainer, "epoch", epoch)
    with pytest.raises(UserError, match=line):
        finish("laasp", context, config={**ROUGH, **config}, recipe=recipe(epochs=6))


def test_killed_in_the_middle_of_a_search_and_of_a_recovery_it_ends_the_same(tmp_path: Path, environment: Any) -> None:
    cell, _ = planned("laasp", config=ROUGH, recipe=recipe(epochs=6))
    whole = execute(cell, make_context(tmp_path / "whole", environment)).record
    import methods.laasp as module

    look, calls = module.best_choice, 0

    def dies(view: View, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = look(view, *args)
        if calls in (2, 5):
            raise KeyboardInterrupt
        return answer

    dies.__name__ = "best_choice"
    context = make_context(tmp_path / "pieces", environment, save_every=0.0)
    recovering = 0

    def in_recovery() -> bool:
        """Stops twice while a recovery is under way."""
        nonlocal recovering
        journal = running[0].progress.journal if running else []
        recovering += bool(journal and journal[-1]["call"] == "note")
        return recovering in (2, 7)

    running: list[Any] = []
    context = replace(context, stop=in_recovery, watch=lambda run: running.__setitem__(slice(None), [run]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "best_choice", dies)
        for _ in range(20):
            try:
                pieces = execute(cell, context).record
                break
            except (KeyboardInterrupt, Stopped):
                continue
    assert pieces.how.attempts >= 4
    assert pieces.network.weights_hash == whole.network.weights_hash
    assert pieces.side == whole.side
