"""Channel groups: what goes together goes together, and what nobody may cut is in none."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from tests.pruning.common import network_of


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


def test_a_network_without_groups_says_so() -> None:
    with pytest.raises(UserError, match="lone: it has no channel group that could be cut"):
        Channels(nn.Sequential(nn.Flatten(), nn.Linear(48, 10)), (3, 4, 4), 10, "lone")
