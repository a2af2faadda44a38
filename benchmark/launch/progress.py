"""Shows progress while cells run: a live line in a terminal, plain lines anywhere else."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmark.runs.run import Run

PLAIN_EVERY = 30.0  # seconds between plain lines of one cell
NOTE_EVERY = 1.0  # seconds between notes for `status --watch`


class Display:
    def __init__(self, cells: int, *, to_stderr: bool = False) -> None:
        self.console = Console(highlight=False, stderr=to_stderr)
        self.cells, self.title = cells, ""
        self.folder: Path | None = None
        self.last_note = 0.0
        self.live = self.console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=self.console, disable=not self.live)
        self.task = self.bar.add_task("", total=None, facts="")
        self.first: tuple[float, int] | None = None
        self.last_line = 0.0

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin(self, position: int, name: str, folder: Path) -> None:
        self.title, self.first, self.last_line = f"[{position + 1}/{self.cells}] {name}", None, time.monotonic()
        self.folder, self.last_note = folder, 0.0
        self.bar.reset(self.task, description=self.title, facts="")

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, soft_wrap=True)
        self._log(line)

    def watch(self, run: Run) -> None:
        """Called after every step, so it is cheap and does not wait for the device."""
        now, trainer = time.monotonic(), run.trainer
        steps = trainer.batches.steps
        done = trainer.trained * steps + trainer.step
        self.first = self.first or (now, done)
        speed = (done - self.first[1]) * trainer.recipe.batch / max(now - self.first[0], 1e-9)
        loss = f"  loss {run.progress.curves[-1]['loss']:.3f}" if run.progress.curves else ""
        epoch = trainer.trained + (trainer.step > 0)
        epochs = max(run.epochs, epoch)  # a recovery may be outside the schedule
        facts = f"epoch {epoch}/{epochs}{loss}  {speed:,.{0 if speed >= 10 else 1}f} images/s"
        left = (epochs * steps - done) * trainer.recipe.batch / max(speed, 1e-9)
        if now - self.last_note >= NOTE_EVERY:
            self.last_note = now
            self._note({"facts": facts, "left": left, "epoch": epoch, "epochs": epochs})
        if self.live:
            self.bar.update(self.task, total=epochs * steps, completed=done, facts=facts)
        if now - self.last_line >= PLAIN_EVERY:
            self.last_line = now
            line = f"{self.title}: {facts}, {left / 60:.0f} min left"
            self._log(line) if self.live else self.say(line)

    def _note(self, facts: dict[str, object]) -> None:
        """Write what `status --watch` reads."""
        if self.folder:
            with self._for_people():
                aside = self.folder / f".now.{os.getpid()}.tmp"
                aside.write_text(json.dumps(facts))
                aside.replace(self.folder / "now.json")

    def _log(self, line: str) -> None:
        if self.folder:
            with self._for_people(), (self.folder / "log").open("a") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}\n")

    @contextmanager
    def _for_people(self) -> Iterator[None]:
        """Nothing depends on these files. If one cannot be written (a full disk), that is said; the run continues."""
        try:
            yield
        except OSError as error:
            self.console.print(f"{self.folder}: cannot be written ({error.strerror})", markup=False, soft_wrap=True)
