"""Cuts: the network computes what it did without those channels, and training goes on with its state."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.errors import UserError
from benchmark.plan.cell import CHANNEL_KINDS, Adam, Sgd
from benchmark.pruning import count
from benchmark.pruning.channels import Channels
from benchmark.pruning.targets import choose
from benchmark.training.training import Trainer
from tests.pruning.common import CUT, TINY, cut, drawn, network_of


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
