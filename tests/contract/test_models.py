"""What every model must do."""

import pytest
import torch

from benchmark.plan import discovery
from benchmark.pruning import masks

SMALL = [name for name, found in discovery.models().items() if found.facts["input"][1] < 224]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("classes", [10, 101])
def test_it_gives_a_score_a_class_and_every_parameter_learns(name: str, classes: int) -> None:
    found = discovery.models()[name]
    network = discovery.load(found)(classes)
    scores = network(torch.randn(2, *found.facts["input"]))
    assert scores.shape == (2, classes)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_its_weights_come_from_the_seed(name: str) -> None:
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(discovery.load(discovery.models()[name])(10).state_dict())
    assert all(torch.equal(built[0][key], built[1][key]) for key in built[0])


@pytest.mark.parametrize("name", SMALL)
def test_it_has_weights_to_prune(name: str) -> None:
    network = discovery.load(discovery.models()[name])(10)
    masks.zero_lowest(network, 0.5)
    assert masks.removed(network) == pytest.approx(0.5, abs=1e-2)
