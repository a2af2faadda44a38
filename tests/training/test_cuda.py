"""What only a GPU can show: a step that was recorded ends in the bits of one that was launched, cut or masked."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmark.commands.bench import step
from benchmark.pruning.masks import hold_zeros, lowest_at_once, lowest_one_by_one, zero_lowest
from benchmark.training.environment import prepare
from benchmark.training.training import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="only a CUDA GPU can show it")
MODEL = "resnet20"
MASKS: dict[str, Any] = {"grads": lambda n, now: hold_zeros(n), "weights": lambda n, now: zero_lowest(n, 0.9)}


@pytest.fixture(autouse=True)
def on_the_gpu() -> Iterator[None]:
    prepare("cuda", "repeatable")
    yield
    prepare("cpu", "repeatable", 1)


def trained(captures: bool, **callbacks: Any) -> Trainer:
    trainer = step.trainer(MODEL, torch.device("cuda"))
    assert trainer.captures
    trainer.captures = captures
    trainer.epoch(0, **callbacks)
    trainer.cut(step.half_of(MODEL, trainer.network))
    before = trainer.captured
    trainer.epoch(1, **callbacks)
    assert (trainer.captured is not before) == captures, "recorded anew after a cut"
    return trainer


@pytest.mark.parametrize("callbacks", [{}, MASKS])
def test_recorded_and_launched_steps_end_in_equal_bits(callbacks: Any) -> None:
    recorded, launched = trained(True, **callbacks), trained(False, **callbacks)
    theirs = launched.network.state_dict()
    for name, tensor in recorded.network.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def test_a_compiled_step_is_recorded_too() -> None:
    trainer = step.trainer(MODEL, torch.device("cuda"), compile=True)
    plain = step.trainer(MODEL, torch.device("cuda"))
    losses = [each.epoch(0).loss for each in (trainer, plain)]
    assert trainer.captured is not None
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_all_layers_at_once_are_masked_as_one_by_one() -> None:
    draw = torch.Generator().manual_seed(0)
    scores = [torch.randn(50, 7, generator=draw).mul(3).round() for _ in range(9)]  # with ties
    counts = [30 * i + 1 for i in range(9)]
    masks = lowest_at_once([each.cuda() for each in scores], counts)
    for mask, expected in zip(masks, lowest_one_by_one(scores, counts), strict=True):
        assert torch.equal(mask.cpu(), expected)


def test_a_step_is_timed_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "WORKERS", (0,))
    speed = step.speed_of(MODEL, prepare("cuda", "repeatable"), compile=False, seconds=0.2)
    assert speed.graph is not None
    assert speed.plain_layout is not None
    assert 0 < speed.share_of_peak < 1
    assert speed.peak_memory > 2**20
