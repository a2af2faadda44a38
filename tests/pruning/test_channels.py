"""Groups, cuts, costs and targets: what goes together goes together, and nothing else changes."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.cell import CHANNEL_KINDS, Adam, Sgd
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.costs import ALL_OPERATIONS
from benchmark.pruning.criteria import TAYLOR, scores, usual
from benchmark.pruning.groups import NORMS, Groups
from benchmark.pruning.targets import check_reach, choose, least_width
from benchmark.pruning.view import View
from benchmark.training.training import Trainer

TINY = ["resnet_tiny", "vgg_tiny", "mobilenetv2_tiny", "vit_tiny"]
CUT = [
    *TINY,
    "resnet20",
    "resnet20_pad",
    "resnet56",
    "vgg16_quarter",
    "mobilenetv2_cifar",
    "vit_cifar",
    "resnet18_cifar",
]


class Grouped(nn.Module):
    """A convolution in two groups, a depthwise one, and an image flattened into a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 16, 3, padding=1)
        self.b = nn.Conv2d(16, 24, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(24)
        self.c = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.out = nn.Linear(24 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.flatten(self.c(self.norm(self.b(self.a(x).relu())).relu()), 1))  # type: ignore[no-any-return]


def network_of(name: str) -> tuple[nn.Module, tuple[int, int, int], int]:
    if name == "grouped":
        torch.manual_seed(0)
        return Grouped(), (3, 4, 4), 10
    found = discovery.models()[name]
    torch.manual_seed(0)
    network = discovery.load(found)(found.facts["classes"])
    with torch.no_grad():  # statistics and scales as after some training: all different
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.dim() == 1 and tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) / 2)
    return network, found.facts["input"], found.facts["classes"]


def drawn(groups: Groups, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.rand(group.width, generator=draw) for name, group in groups.items()}


def cut(network: nn.Module, channels: Channels, kept: cuts.Kept) -> None:
    cuts.apply(network, channels.cut(network, kept))


# ---- groups ------------------------------------------------------------------------------------


def test_a_residual_stream_is_one_group_as_the_architecture_says() -> None:
    """ResNet: stated from the blocks, without any trace."""
    network, shape, classes = network_of("resnet20")
    groups = Channels(network, shape, classes).groups
    want: dict[str, set[tuple[str, int]]] = {"conv1": {("conv1.weight", 0), ("bn1.weight", 0)}}
    stream = "conv1"
    for b in range(9):
        block = f"blocks.{b}"
        want[stream].add((f"{block}.conv1.weight", 1))
        want[f"{block}.conv1"] = {
            (f"{block}.conv1.weight", 0),
            (f"{block}.bn1.weight", 0),
            (f"{block}.conv2.weight", 1),
        }
        if b in (3, 6):  # the width changes: the shortcut reads the old stream, the block makes a new one
            want[stream].add((f"{block}.shortcut.0.weight", 1))
            stream = f"{block}.conv2"
            want[stream] = {(f"{block}.shortcut.0.weight", 0), (f"{block}.shortcut.1.weight", 0)}
        want[stream] |= {(f"{block}.conv2.weight", 0), (f"{block}.bn2.weight", 0)}
    want[stream].add(("fc.weight", 1))
    assert {name: _weights(group) for name, group in groups.items()} == want


def test_a_vgg_is_a_chain() -> None:
    network, shape, classes = network_of("vgg16")
    groups = Channels(network, shape, classes).groups
    layers = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    after = [*layers[1:], "classifier.0"]
    assert list(groups) == layers
    for name, reader in zip(layers, after, strict=True):
        norm = f"features.{int(name.split('.')[1]) + 1}"
        assert _weights(groups[name]) == {(f"{name}.weight", 0), (f"{norm}.weight", 0), (f"{reader}.weight", 1)}


def test_a_mobilenets_expansion_passes_through_its_depthwise_layer() -> None:
    network, shape, classes = network_of("mobilenetv2")
    groups = Channels(network, shape, classes).groups
    want: dict[str, set[tuple[str, int]]] = {}
    stream = _made(want, "features.0.0", "features.0.1")
    _through(want, stream, "features.1.conv.0.0", "features.1.conv.0.1")
    _read(want, stream, "features.1.conv.1")
    stream = _made(want, "features.1.conv.1", "features.1.conv.2")
    for b in range(2, 18):
        block = f"features.{b}.conv"
        _read(want, stream, f"{block}.0.0")
        inner = _made(want, f"{block}.0.0", f"{block}.0.1")
        _through(want, inner, f"{block}.1.0", f"{block}.1.1")
        _read(want, inner, f"{block}.2")
        if network.get_submodule(f"features.{b}").use_res_connect:
            want[stream] |= {(f"{block}.2.weight", 0), (f"{block}.3.weight", 0)}
        else:
            stream = _made(want, f"{block}.2", f"{block}.3")
    _read(want, stream, "features.18.0")
    head = _made(want, "features.18.0", "features.18.1")
    _read(want, head, "classifier.1")
    assert {name: _weights(group) for name, group in groups.items()} == want


def test_a_vits_groups_are_its_embedding_its_heads_and_its_hidden_layers() -> None:
    network, shape, classes = network_of("deit_tiny")
    groups = Channels(network, shape, classes).groups
    assert {name: group.width for name, group in groups.items()} == {
        "patch_embed.proj": 192,
        **{f"blocks.{b}.attn.qkv": 3 for b in range(12)},
        **{f"blocks.{b}.mlp.fc1": 768 for b in range(12)},
    }
    embedding = {member.path for member in groups["patch_embed.proj"].members}
    assert {"cls_token", "pos_embed", "norm.weight", "head.weight", "blocks.5.attn.proj.weight"} <= embedding


def test_shortcuts_that_pad_protect_the_stream_and_leave_the_inner_channels() -> None:
    network, shape, classes = network_of("resnet20_pad")
    assert list(Channels(network, shape, classes).groups) == [f"blocks.{b}.conv1" for b in range(9)]


def _weights(group: Any) -> set[tuple[str, int]]:
    return {(m.path, m.dim) for m in group.members if m.tensor == "weight"}


def _made(want: dict[str, set[tuple[str, int]]], layer: str, norm: str) -> str:
    want[layer] = {(f"{layer}.weight", 0), (f"{norm}.weight", 0)}
    return layer


def _through(want: dict[str, set[tuple[str, int]]], group: str, layer: str, norm: str) -> None:
    want[group] |= {(f"{layer}.weight", 0), (f"{norm}.weight", 0)}


def _read(want: dict[str, set[tuple[str, int]]], group: str, layer: str) -> None:
    want[group].add((f"{layer}.weight", 1))


# ---- cuts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CUT, "grouped"])
def test_a_cut_network_computes_what_the_dense_one_does_with_those_channels_silent(name: str) -> None:
    """The strongest check of coupling and index maps: outputs, not shapes."""
    dense, shape, classes = network_of(name)
    small, _, _ = network_of(name)
    channels = Channels(small, shape, classes, name)
    groups = channels.groups
    inner = {n: g for n, g in groups.items() if not _normalised_together(dense, g)}
    kept = {n: sorted(torch.randperm(g.width)[: max(1, g.width // 2)].tolist()) for n, g in inner.items()}
    with torch.no_grad():
        for n, stay in kept.items():
            silent = torch.ones(groups[n].width)
            silent[[c for c in range(groups[n].width) if c not in stay]] = 0.0
            for member in groups[n].members:
                if member.side == "in":
                    weight = dense.get_parameter(member.path)
                    weight.mul_(member.spread(silent, weight))
    cut(small, channels, kept)
    images = torch.randn(3, *shape)
    torch.testing.assert_close(small.eval()(images), dense.eval()(images), rtol=1e-4, atol=1e-4)
    small.train()(images).square().sum().backward()
    assert all(p.grad is not None for p in small.parameters())


def _normalised_together(network: nn.Module, group: Any) -> bool:
    """A layer norm looks at all channels at once: without some it computes another thing."""
    layers = dict(network.named_modules())
    return any(isinstance(layers.get(m.layer), nn.LayerNorm) for m in group.members)


@pytest.mark.parametrize("name", [*CUT, "grouped"])
@pytest.mark.parametrize("amount", [0.3, 0.6])
def test_both_counters_and_the_closed_form_agree_on_every_cut_network(name: str, amount: float) -> None:
    for kind in CHANNEL_KINDS:
        network, shape, classes = network_of(name)
        channels = Channels(network, shape, classes, name)
        for seed, share in ((0, amount / 2), (1, amount)):  # a cut of a cut
            groups, costs = channels.groups, channels.costs
            cut(network, channels, choose(groups, costs, drawn(groups, seed), kind, share, cap=0.9))
            costs, widths = channels.costs, channels.widths
            assert costs.count("macs", widths) == count.macs(network, shape) == count.macs_closed_form(network, shape)
            assert costs.count("params", widths) == count.parameters(network)


@pytest.mark.parametrize("name", TINY)
def test_two_cuts_are_one_and_replay_bit_for_bit(name: str) -> None:
    network, shape, classes = network_of(name)
    again, _, _ = network_of(name)
    channels, replayed = Channels(network, shape, classes), Channels(again, shape, classes)
    for seed, amount in ((0, 0.2), (1, 0.5)):
        cut(network, channels, choose(channels.groups, channels.costs, drawn(channels.groups, seed), "macs", amount))
    cut(again, replayed, channels.kept)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )
    images = torch.randn(2, *shape)
    assert torch.equal(network.eval()(images), again.eval()(images))
    assert replayed.groups == channels.groups


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ({"blocks.0.conv11": [0]}, "unknown channel group of r 'blocks.0.conv11'; did you mean blocks.0.conv1"),
        ({"fc": [0]}, "unknown channel group of r 'fc'"),
        ({"conv1": []}, "conv1 would have no channel left"),
        ({"conv1": [0, 8]}, "conv1 has channels 0 to 7; 8 is none of them"),
        ({"conv1": [-1, 0]}, "is none of them"),
        ({"conv1": [1, 0]}, "different whole numbers, in order"),
        ({"conv1": [0, 0]}, "different whole numbers, in order"),
        ({"blocks.0.conv1": [1], "conv1": [9]}, "is none of them"),
    ],
)
def test_a_cut_that_does_not_fit_is_refused_and_nothing_is_half_cut(kept: Any, says: str) -> None:
    network, shape, classes = network_of("resnet_tiny")
    channels = Channels(network, shape, classes, "r")
    before = {name: tensor.shape for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=says):
        cut(network, channels, kept)
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == before
    assert channels.widths == {name: group.dense for name, group in channels.groups.items()}


def test_a_network_without_groups_says_so() -> None:
    with pytest.raises(UserError, match="lone: it has no channel group that could be cut"):
        Channels(nn.Sequential(nn.Flatten(), nn.Linear(48, 10)), (3, 4, 4), 10, "lone")


# ---- what training carries over a cut ----------------------------------------------------------


SHAPED = {  # optimizers, and what of their state is shaped like a weight
    Sgd(lr=0.1, nesterov=True, decay=5e-4): ["momentum_buffer"],
    Adam(kind="adamw", lr=1e-3, decay=0.01): ["exp_avg", "exp_avg_sq"],
}


@pytest.mark.parametrize("optimizer", SHAPED, ids=lambda o: o.kind)
@pytest.mark.parametrize("momentum", ["keep", "reset"])
@pytest.mark.parametrize("name", TINY)
def test_after_a_cut_every_live_parameter_is_trained_on_with_its_state(
    name: str, momentum: str, optimizer: Sgd | Adam, batches: Any
) -> None:
    network, shape, classes = network_of(name)
    channels = Channels(network, shape, classes)
    trainer = Trainer(network, batches, batches.recipe.model_copy(update={"optimizer": optimizer}))
    gathered = trainer.buffer("gathered", next(n for n, p in network.named_parameters() if p.dim() == 4))
    trainer.epoch(0)
    gathered.copy_(torch.arange(gathered.numel()).view(gathered.shape))
    dense = {
        (n, key): trainer.optimizer.state[p][key].clone()
        for n, p in network.named_parameters()
        for key in SHAPED[optimizer]
    }
    steps = [state.get("step") for state in trainer.optimizer.state.values()]
    kept = choose(channels.groups, channels.costs, drawn(channels.groups), "macs", 0.4)
    parts = {part.path: part for part in channels.cut(network, kept)}
    trainer.cut(list(parts.values()), momentum)
    in_optimizer = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert in_optimizer == {id(p) for p in network.parameters()}
    for n, p in network.named_parameters():
        state = trainer.optimizer.state.get(p, {})
        if momentum == "reset":
            assert not state
            continue
        assert state.get("step") in steps
        for key in SHAPED[optimizer]:
            assert torch.equal(state[key], parts[n].of(dense[n, key]) if n in parts else dense[n, key])
    path = trainer._like["gathered"]
    assert trainer.buffers["gathered"].shape == network.get_parameter(path).shape
    before = {n: p.clone() for n, p in network.named_parameters()}
    trainer.epoch(0)
    assert all(not torch.equal(before[n], p) for n, p in network.named_parameters())


# ---- targets -----------------------------------------------------------------------------------


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


def _resnet20() -> Channels:
    network, shape, classes = network_of("resnet20")
    return Channels(network, shape, classes, "resnet20")


RESNET = _resnet20()


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


def test_what_nobody_reads_is_an_output_and_protected() -> None:
    """Whether the classifier is linear or a convolution."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert list(Channels(network, (3, 8, 8), 10).groups) == ["0"]


def test_an_images_own_channels_are_nobodys_to_cut() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(8 * 4, 10))
    assert list(Channels(network, (3, 4, 4), 10).groups) == ["1"]


class TwoAndThree(nn.Module):
    """Two coupled convolutions, in two groups and in three."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 12, 1)
        self.b = nn.Conv2d(12, 12, 1, groups=2)
        self.c = nn.Conv2d(12, 12, 1, groups=3)
        self.out = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.out((self.b(x) + self.c(x)).mean((2, 3)))  # type: ignore[no-any-return]


def test_beside_convolutions_in_two_groups_and_in_three_channels_go_by_sixes() -> None:
    network = TwoAndThree()
    channels = Channels(network, (3, 4, 4), 10)
    assert {group.width for group in channels.groups.values()} == {2}
    cuts.apply(network, channels.cut(network, {name: [1] for name in channels.groups}))
    assert network(torch.zeros(1, 3, 4, 4)).shape == (1, 10)
    assert count.macs(network, (3, 4, 4)) == channels.costs.count("macs", channels.widths)


@pytest.mark.parametrize(("name", "millions"), [("resnet56", 127.12), ("resnet18", 1822.18)])
def test_all_operations_are_those_that_ocspruners_logs_print(name: str, millions: float) -> None:
    network, shape, classes = network_of(name)
    assert round(Channels(network, shape, classes).costs.dense[ALL_OPERATIONS] / 1e6, 2) == millions


@pytest.mark.parametrize("name", [*TINY, "resnet56"])
def test_all_operations_of_a_cut_network_are_what_is_counted_on_it(name: str) -> None:
    network, shape, classes = network_of(name)
    channels = Channels(network, shape, classes)
    kept = {each: list(range(1, group.width)) for each, group in channels.groups.items() if group.width > 1}
    cuts.apply(network, channels.cut(network, kept))
    counted = count.macs(network, shape)
    for number, module, images, out in seen_by_layer(network, shape):
        counted += number * (images if isinstance(module, count.POOLS) else out).numel()
    assert channels.costs.count(ALL_OPERATIONS, channels.widths) == counted


def seen_by_layer(network: nn.Module, shape: tuple[int, int, int]) -> list[Any]:
    """Operations a number of each module but the multiplications, with what goes in and comes out."""
    seen: list[Any] = []

    def watch(module: nn.Module, args: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        if isinstance(module, NORMS):
            seen.append((2, module, args[0], out))
        elif isinstance(module, (*count.ACTIVATIONS, *count.POOLS)) or getattr(module, "bias", None) is not None:
            seen.append((1, module, args[0], out))

    handles = [module.register_forward_hook(watch) for module in network.modules() if not list(module.children())]
    network.eval()(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return seen


def test_all_operations_are_not_known_where_channels_are_joined() -> None:
    network = Joined()
    channels = Channels(network, (3, 4, 4), 10)
    assert ALL_OPERATIONS not in channels.costs.dense
    view = View(network, lambda *a: None, torch.Generator(), channels, {}, "macs")  # type: ignore[arg-type,return-value]
    with pytest.raises(UserError, match="joins the channels of several layers"):
        view.counting_all()


class Joined(nn.Module):
    """Two convolutions beside each other, their channels joined before the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1)
        self.relu, self.pool, self.out = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(9, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined = self.relu(torch.cat([self.a(x), self.b(x)], 1))
        return self.out(torch.flatten(self.pool(joined), 1))  # type: ignore[no-any-return]


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


def by_hand() -> View:
    """Three filters of two weights, their scales, and what reads them; LAMP's squares are 2.5, 8 and 4.5 (means)."""
    network = nn.Sequential(
        nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 10, bias=False)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -2.0], [4.0, 0.0], [3.0, 0.0]])[:, :, None, None])  # type: ignore[operator]
        network[1].weight.copy_(torch.tensor([-3.0, 1.0, 2.0]))  # type: ignore[operator]
        network[3].weight.copy_(torch.tensor([0.0, 1.0, 2.0]).expand(10, 3))  # type: ignore[operator]
    gathered = {TAYLOR + "0.weight": [[1.0, -3.0], [0.5, 0.0], [0.0, 0.0]], TAYLOR + "1.weight": [0.0, 0.25, 0.0]}
    buffers = {name: torch.tensor(value) for name, value in gathered.items()}
    buffers[TAYLOR + "0.weight"] = buffers[TAYLOR + "0.weight"][:, :, None, None]
    buffers[TAYLOR + "3.weight"] = torch.tensor([0.0, 0.0, 0.1]).expand(10, 3)
    channels = Channels(network, (2, 1, 1), 10)
    return View(network, lambda n, a: None, torch.Generator(), channels, buffers, "macs")  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("l1", [1.5, 2.0, 1.5]),
        ("l2", [2.5**0.5, 8**0.5, 4.5**0.5]),
        ("group_norm", [(5 + 9 + 0) ** 0.5, (16 + 1 + 10) ** 0.5, (9 + 4 + 40) ** 0.5]),
        ("fpgm", [13**0.5 + 8**0.5, 13**0.5 + 1, 8**0.5 + 1]),
        ("bn_scale", [3.0, 1.0, 2.0]),
        ("taylor", [2.0, 0.75, 1.0]),
        ("lamp", [2.5 / 15, 8 / 8, 4.5 / 12.5]),
    ],
)
def test_criteria_by_hand(by: str, expected: list[float]) -> None:
    assert scores(by_hand(), by)["0"].tolist() == pytest.approx(expected)


def test_scores_are_made_comparable_as_they_say() -> None:
    l1 = torch.tensor([1.5, 2.0, 1.5])
    assert torch.allclose(scores(by_hand(), "l1", "mean")["0"], l1 / l1.mean())
    assert torch.allclose(scores(by_hand(), "l1", "max")["0"], l1 / 2)
    assert usual("lamp") == "none", "shares already"
    assert usual("l2") == "mean"


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
