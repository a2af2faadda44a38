"""Criteria for channels: each by hand, and made comparable between layers as it says."""

import pytest
import torch
from torch import nn

from benchmark.pruning.channels import Channels
from benchmark.pruning.criteria import TAYLOR, scores, usual
from benchmark.pruning.view import View


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
