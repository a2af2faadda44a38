"""Dropout draws from torch's own generator; a resumed run must draw what an undisturbed one would have drawn."""

import io
from typing import Any

import torch
from torch import nn

from benchmark.training.training import Trainer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 14 * 14, 10))


def test_a_network_with_dropout_resumes_bit_for_bit(batches: Any) -> None:
    whole = Trainer(network(), batches, batches.recipe)
    whole.epoch(0)
    saved = io.BytesIO()
    torch.save(whole.state(), saved)
    whole.epoch(1)
    torch.rand(100)  # another process has drawn something else by now
    resumed = Trainer(network(), batches, batches.recipe)
    saved.seek(0)
    resumed.restore(torch.load(saved, weights_only=True))
    resumed.epoch(1)
    for a, b in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)
