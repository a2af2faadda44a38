"""All operations of a network: those that OCSPruner's logs print, before a cut and after it."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.errors import UserError
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.costs import ALL_OPERATIONS
from benchmark.pruning.groups import NORMS
from benchmark.pruning.view import View
from tests.pruning.common import TINY, network_of


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
