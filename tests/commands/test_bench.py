"""`prunebench bench` says what it times, advises about compiling, and refuses in one line what it cannot do."""

import json
import re
from functools import partial

import pytest
import torch

from benchmark.cli import main
from benchmark.commands.bench import command, step
from benchmark.commands.bench.step import Speed
from benchmark.training import precision
from benchmark.training.precision import Rounded

SPEED = Speed(
    network="resnet20",
    plain={0: 100.0, 2: 120.0},
    eager=240.0,
    graph=None,
    fast=250.0,
    masked=200.0,
    plain_layout=None,
    compiled=480.0,
    compile_seconds=30.0,
    share_of_peak=0.5,
    peak_memory=2**30,
)


def test_the_ratio_is_to_the_faster_loop_and_compiling_pays_after_so_many_images() -> None:
    assert SPEED.ratio == pytest.approx(2.0)
    assert SPEED.break_even == pytest.approx(30 / (1 / 240 - 1 / 480)), "the images that save thirty seconds"
    assert SPEED.as_json()["break_even_images"] == SPEED.break_even
    slower = Speed(**vars(SPEED) | {"compiled": 230.0})
    assert slower.break_even is None, "never"
    recorded = Speed(**vars(SPEED) | {"graph": 600.0})
    assert (recorded.ratio, recorded.break_even) == (pytest.approx(5.0), None), "what a run does is what counts"


def test_any_model_is_timed_and_told_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "speed_of", partial(step.speed_of, seconds=0.01))
    monkeypatch.setattr(step, "WORKERS", (0,))
    with pytest.raises(SystemExit, match="0"):
        main(["bench", "resnet_tiny", "--threads", "1", "--json"])
    told = json.loads(capsys.readouterr().out)
    (speed,) = told["speeds"]
    assert speed["network"] == "resnet_tiny"
    assert all(speed[rate] > 0 for rate in ("eager", "fast", "masked", "ratio", "peak_memory"))
    assert told["machine"]["threads"] == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["resnet21"], "resnet20"), (["resnet_tiny", "--compile", "--device", "cpu"], "needs a C.. compiler")],
)
def test_what_cannot_be_timed_is_one_line(
    arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit):
        main(["bench", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(word, line)


def test_the_peak_is_of_what_a_run_does_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bf16 is made of fp32, torch's own product of this size takes minutes."""
    seen: list[int] = []
    was = Rounded.__torch_function__

    def count(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        seen.append(func in precision.PRODUCTS)
        return was(self, func, types, args, kwargs)

    monkeypatch.setattr(Rounded, "__torch_function__", count)
    monkeypatch.setattr(precision, "rounds", lambda device: True)
    step.peak.cache_clear()
    assert step.peak(torch.device("cpu")) > 0
    assert sum(seen) == 6, "one to warm up, five to time"
