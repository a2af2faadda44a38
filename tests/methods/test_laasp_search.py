"""LAASP's search: the fast one makes the choices of a plain one, candidate by candidate."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.pruning import cuts, scoring
from benchmark.pruning.channels import Channels
from benchmark.pruning.view import View
from methods.laasp import CRITERIA, Search, best_choice, filters, how_many, lowest
from tests.pruning.common import TINY, network_of

POOL = ["l1", "l2", "euclidean", "cosine"]


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
        best = best_choice(view, 0.5, Search(tuple(POOL), step=0.05, images=64))
        counts = how_many(view, 0.5, Search((), step=0.05))
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
    counts = how_many(view, 0.5, Search(()))
    for name, count in counts.items():
        one = view.share_of_one(name)
        assert count == max(1, int(0.01 / one + 0.5))
    tenth = how_many(view, 0.5, Search((), step=0.1, step_of="filters"))
    assert tenth == {name: int(0.1 * group.width + 0.5) for name, group in view.groups.items()}
    capped = how_many(view, 0.5, Search((), step=0.1, step_of="filters", cap=0.05))
    assert all(count <= int(0.05 * view.groups[name].dense) for name, count in capped.items())


def test_a_pool_of_one_asks_that_one_alone() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape))
    both = best_choice(view, 0.5, Search(("l1", "euclidean"), step=0.05, images=64))
    alone = best_choice(view, 0.5, Search(("euclidean",), step=0.05, images=64))
    assert alone["criterion"] == "euclidean"
    assert alone["losses"] == {layer: losses[1:] for layer, losses in both["losses"].items()}


def test_the_sign_of_cosine_decides_which_filters_go() -> None:
    network, shape, classes = network_of("vgg_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape))
    most, least = (
        best_choice(view, 0.5, Search(("cosine",), sign, 0.05, images=64))["losses"]
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
        best_choice(view, 0.5, Search(("l1",), step=0.05, images=64, augmented=augmented))
    assert asked == [(64, False), (64, True)]


def test_the_last_step_may_pass_the_target_only_if_asked() -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes)
    view = view_of(network, channels, pictures(shape, 2))
    within, beyond = (how_many(view, 0.1, Search((), step=0.3, overshoot=overshoot)) for overshoot in (False, True))

    def furthest(counts: dict[str, int]) -> float:
        widths = {name: list(range(view.groups[name].width - count)) for name, count in counts.items()}
        return max(view.removed_by({name: stay}) for name, stay in widths.items())

    assert furthest(within) <= 0.105
    assert furthest(beyond) > 0.105
