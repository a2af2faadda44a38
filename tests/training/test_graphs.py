"""The step as a CUDA graph, as far as a machine without a GPU can show it: one that is only played back."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.pruning.channels import Channels
from benchmark.training import training
from benchmark.training.graphs import Work, memory_of
from benchmark.training.training import Now, Trainer


class PlayedBack:
    """Like the real one: fixed inputs, gradients in memory of its own, callbacks and optimizer outside."""

    made = 0

    def __init__(
        self, work: Work, network: nn.Module, images: Tensor, labels: Tensor, touched: Iterable[Tensor]
    ) -> None:
        PlayedBack.made += 1
        self.work, self.images, self.labels = work, images.clone(), labels.clone()
        before = [(tensor, tensor.clone()) for tensor in touched]
        work(self.images, self.labels)
        self.where = [tensor.data_ptr() for tensor, _ in before]
        for tensor, old in before:
            tensor.copy_(old)
        self.touched = [tensor for tensor, _ in before]
        self.memory = memory_of(network)
        self.gradients = [(parameter, parameter.grad) for parameter in network.parameters()]

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.work(self.images, self.labels)  # puts gradients elsewhere; a graph cannot
        for parameter, kept in self.gradients:
            if kept is not None and parameter.grad is not None:
                kept.copy_(parameter.grad)
            parameter.grad = kept
        assert [tensor.data_ptr() for tensor in self.touched] == self.where


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))


def halve(network: nn.Module, now: Now) -> None:
    for parameter in network.parameters():
        assert parameter.grad is not None
        parameter.grad *= 0.5


@torch.no_grad()
def mask(network: nn.Module, now: Now) -> None:
    network.get_parameter("0.weight")[0] = 0


def decay(network: nn.Module, now: Now) -> Tensor:
    return 1e-2 * network.get_parameter("4.weight").square().sum()


def trained(batches: Any, captures: bool, **callbacks: Any) -> Trainer:
    trainer = Trainer(network(), batches, batches.recipe)
    assert not trainer.captures  # there is no GPU here
    trainer.captures = captures
    for at in range(2):
        trainer.epoch(at, **callbacks)
    return trainer


@pytest.mark.parametrize("callbacks", [{}, {"grads": halve, "weights": mask}])
def test_a_step_played_back_is_the_step(batches: Any, callbacks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Captured", PlayedBack)
    PlayedBack.made = 0
    eager, played = trained(batches, False, **callbacks), trained(batches, True, **callbacks)
    assert PlayedBack.made == 1  # once for all steps of both epochs
    for (name, a), b in zip(eager.network.state_dict().items(), played.network.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_penalty_is_added_to_what_was_played_back(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Captured", PlayedBack)
    eager, played = trained(batches, False, loss=decay), trained(batches, True, loss=decay)
    without = trained(batches, True)
    a, b, c = (t.network.get_parameter("4.weight") for t in (eager, played, without))
    assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(a, c, atol=1e-6)


def test_nothing_to_add_is_nothing(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Captured", PlayedBack)
    none, nothing = trained(batches, True), trained(batches, True, loss=lambda network, now: torch.zeros(()))
    assert torch.equal(none.network.get_parameter("4.weight"), nothing.network.get_parameter("4.weight"))


def test_what_a_method_freezes_stays_as_it_is(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph recorded before would go on filling the gradient."""
    monkeypatch.setattr(training, "Captured", PlayedBack)
    ends = []
    for captures in (False, True):
        trainer = trained(batches, captures)
        trainer.optimizer.zero_grad(set_to_none=True)
        frozen = trainer.network.get_parameter("0.weight").requires_grad_(False)
        before = frozen.clone()
        trainer.epoch(2)
        assert torch.equal(frozen, before)
        ends.append(trainer.network.get_parameter("4.weight"))
    assert torch.equal(*ends)


def test_after_a_cut_the_step_is_recorded_anew(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Captured", PlayedBack)
    ends = []
    for captures in (False, True):
        PlayedBack.made = 0
        trainer = trained(batches, captures)
        channels = Channels(trainer.network, (3, 16, 16), 10)
        trainer.cut(channels.cut(trainer.network, {next(iter(channels.groups)): [0, 2, 3, 7]}))
        trainer.epoch(2)
        ends.append(trainer.network.state_dict())
    assert PlayedBack.made == 2
    assert len(ends[0]["0.weight"]) == 4
    assert all(torch.equal(a, b) for a, b in zip(ends[0].values(), ends[1].values(), strict=True))
