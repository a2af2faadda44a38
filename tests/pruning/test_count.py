"""Counts, to the last digit: the operator-level counter and the closed form agree with the pins."""

import pytest
import torch
from torch import nn

from benchmark.evidence.sizes import sizes
from benchmark.plan import discovery
from benchmark.pruning import count

# MACs at the model's own input, parameters. Integers of dense networks: a change there is a change
# of network or counter, never a rounding.
PINNED = {size.model: (size.macs, size.params) for size in sizes()}


def test_every_model_is_pinned() -> None:
    assert set(discovery.models()) == set(PINNED)


@pytest.mark.parametrize("name", PINNED)
@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
def test_macs_and_parameters(name: str, grad: bool) -> None:
    found = discovery.models()[name]
    network = discovery.load(found)(found.facts["classes"])
    with torch.set_grad_enabled(grad):
        macs = count.macs(network, found.facts["input"])
        closed = count.macs_closed_form(network, found.facts["input"])
    assert (macs, closed, count.parameters(network)) == (PINNED[name][0], *PINNED[name])


def test_a_depthwise_convolution_costs_a_channel_each() -> None:
    network = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    assert count.macs(network, (8, 10, 10)) == count.macs_closed_form(network, (8, 10, 10)) == 8 * 9 * 100


def test_zeros_are_skipped_by_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        network[0].weight[0] = 0
    assert count.macs(network, (1, 2, 2)) == 2 * 4 + 24
    assert count.macs_nonzero(network, (1, 2, 2)) == 1 * 4 + 24


def test_counting_changes_nothing() -> None:
    found = discovery.models()["resnet_tiny"]
    network = discovery.load(found)(10)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count.every_count(network, (3, 16, 16))
    assert network.training
    assert torch.backends.mha.get_fastpath_enabled()
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
