"""What a machine can do to a run: no memory, no disk, a clock set back."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.commands.status import show_status
from benchmark.launch.local import summary_of
from benchmark.plan import discovery
from benchmark.records.store import Store
from benchmark.runs.attempts import Attempts
from benchmark.runs.execute import execute
from benchmark.runs.run import Run
from benchmark.training.environment import Environment
from tests.conftest import make_context, recipe, tiny
from tests.launch.common import MATRIX, SHORT, asked, go, launched
from tests.runs.forked import end_of, in_child


def test_out_of_memory_is_an_ending_with_advice_and_never_a_smaller_batch(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    cell, context = tiny(**SHORT), make_context(tmp_path, environment)
    batches: list[int] = []

    def full(self: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        if len(images) <= 2:  # counting, and the dry run
            return whole(self, images)
        batches.append(len(images))
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    kind = type(discovery.load(discovery.models()[cell.model])(10))
    whole = kind.forward
    monkeypatch.setattr(kind, "forward", full)
    specs = asked([cell], context.store)
    go(specs, context)
    why = summary_of(specs, context.store, "").failed[cell.name]
    assert "out of memory at a peak of" in why
    assert "let fewer runs share the machine" in why
    assert batches == [128], "tried once, as it was asked"
    lines = Attempts(context.store.run_folder(cell.id)).lines()
    assert lines[-1].ending == "out of memory"


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """A small disk of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_results_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=1))
    with disk(tmp_path / "results", "ro,size=1m"):
        process = launched(tmp_path)
        said = process.communicate()[0]
    assert process.returncode == 2
    assert "Read-only file system" in said
    assert "Traceback" not in said


def test_a_full_disk_is_told_for_each_cell_and_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MATRIX.format(last=0, epochs=1))
    with disk(tmp_path / "results", "size=120k"):
        process = launched(tmp_path)
        said = process.communicate()[0]
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "No space left" in said
    assert said.count("dense resnet_tiny") >= 1
    assert said.count("agp weights -90%") >= 1, "the others are tried"


def test_the_status_of_a_run_tells_every_attempt(tmp_path: Path) -> None:
    """One was killed, one failed, one is at work; and what its log said last."""
    store = Store(tmp_path)
    folder = store.run_folder("abc123")
    Attempts(folder).begin(0.0)
    Attempts(folder).begin(0.0)
    Attempts(folder).end("failed", "out of memory")
    Attempts(folder).begin(0.0)
    (folder / "log").write_text("epoch 3\n")
    told = show_status("abc", "full", tmp_path, ())
    assert [told[f"attempt {n}"].rpartition(": ")[2] for n in (1, 2, 3)] == [
        "at work, or killed", "failed out of memory", "at work, or killed",
    ]  # fmt: skip
    assert f"process {os.getpid()}" in told["attempt 1"]
    assert "epoch 3" in told.values()


def test_a_line_torn_by_a_kill_swallows_no_other(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.begin(0.0)
    attempts.path.write_text(attempts.path.read_text() + '{"event": "en')
    assert attempts.begin(0.0) == 2
    assert [line.event for line in attempts.lines()] == ["start", "start"]


def test_a_clock_set_back_an_hour_makes_no_cost_negative(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time as clock

    cell = tiny(recipe=recipe(epochs=4, epoch_images=128))
    context = make_context(tmp_path, environment, save_every=0.0)
    now, steps = clock.time, iter(range(1000))

    def jumps() -> float:
        return now() - (3600 if next(steps) > 6 else 0)

    def dies(run: Run) -> None:
        if run.trainer.trained == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def first() -> None:
        monkeypatch.setattr(clock, "time", jumps)
        execute(cell, replace(context, watch=dies))

    assert end_of(in_child(first)) == -signal.SIGKILL
    record = execute(cell, context).record
    assert record.ending == "done"
    assert 0 <= record.cost.lost < 1 / 60
    assert min(record.cost.train, record.cost.evaluate) >= 0
