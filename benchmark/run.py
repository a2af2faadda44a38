"""READ THIS FIRST. A run: what a pruning method can do to a network, and how it survives a kill.

A method is a plain function of a `Run`. It trains, recovers, asks and notes; all the state it needs
is in its local variables. Every call is written into a journal, and the journal is saved with
the weights in one atomic checkpoint:

    def my_method(run):                        journal after a kill in the second train
        run.train(10)                          train [10]  → done at once, from the journal
        keep = run.ask(look_for_something)     ask         → its old answer comes back
        run.train(weights=shrink(keep))        (none yet)  → goes on from the checkpoint, mid-epoch

So **to resume is to run the function again**: finished calls return their journalled result, the
call in progress goes on where it was saved, and a call that does not match the journal means that
the method changed since then, and stops. The weights come out bit for bit as if nothing had
happened, because every random draw is keyed by (seed, epochs trained, step) and nothing else.

The machinery around a run stands in `execute.py` (one cell, from its spec to its record), the
training loop in `engine/training.py`. Test images are out of a method's reach.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.cell import Cell, canonical, digest
from benchmark.engine.batches import generator
from benchmark.engine.evaluate import evaluate
from benchmark.engine.meter import Meter
from benchmark.engine.training import Callback, Trainer
from benchmark.errors import UserError
from benchmark.network import masks

Json = Any


class MethodChanged(UserError):
    """The method does not make the calls its journal tells of."""


@dataclass(frozen=True)
class View:
    """What a search may look at: the network in evaluation mode, training images, seeded chance."""

    network: nn.Module
    images: Callable[[int], tuple[Tensor, Tensor]]
    rng: torch.Generator


@dataclass
class Progress:
    """All of a run that is not tensors. It is JSON, and lies in the checkpoint beside the weights."""

    journal: list[dict[str, Json]] = field(default_factory=list)
    epochs_into_call: int = 0
    curves: list[dict[str, Json]] = field(default_factory=list)
    training_macs: int = 0
    search_macs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    saved_at: float = 0.0


class Run:
    """The whole face of the machinery, as a method sees it."""

    def __init__(
        self,
        cell: Cell,
        trainer: Trainer,
        *,
        macs: int,
        save: Callable[[Progress], None] = lambda progress: None,
        check_in: Callable[["Run"], bool] = lambda run: False,
    ) -> None:
        self.target = cell.remove.amount if cell.remove else 0.0
        self.epochs, self.seed = cell.recipe.epochs, cell.seed
        self.epoch, self.removed = 0, 0.0
        self._write, self._check_in, self._calls = save, check_in, 0
        # the machinery's, not a method's
        self.cell, self.trainer, self.macs = cell, trainer, macs
        self.meter, self.progress = Meter(), Progress()

    # ---- what a method may do ----------------------------------------------------------------

    def train(
        self, epochs: int | None = None, *, grads: Callback | None = None, weights: Callback | None = None
    ) -> None:
        """Train on along the schedule: `epochs` of it, or to its end.

        `grads(network, now)` runs after each backward pass, `weights(network, now)` after each step.
        """
        start = self.epoch
        count = self.epochs - start if epochs is None else epochs
        if not 0 <= count <= self.epochs - start:
            raise UserError(f"train({count}): {self.epochs - start} epochs of the schedule are left")

        def work() -> int:
            self._train("train", count, lambda i: start + i, grads, weights)
            self.epoch = start + count
            return count

        self._call("train", [count], work)

    def recover(self, epochs: int, *, at: int) -> None:
        """Train outside the schedule, at the learning rate of epoch `at`. It counts as cost."""
        self._call("recover", [epochs, at], lambda: self._train("recover", epochs, lambda i: at, None, None))

    def ask(self, look: Callable[..., Json], *args: Json) -> Json:
        """`look(view, *args)`: search for something, change nothing; a small JSON value comes back."""
        name = f"ask {look.__name__}"
        return self._call(name, list(args), lambda: self._ask(look, *args))

    def note(self, **values: Json) -> None:
        """Put values beside the curves, for the record and the figures."""
        self._call("note", values, lambda: values)

    # ---- the journal -------------------------------------------------------------------------

    def _call(self, name: str, args: Json, work: Callable[[], Json]) -> Json:
        """The heart of it: a call that is in the journal is over; any other is done, then entered."""
        journal = self.progress.journal
        asked = digest(args)
        if self._calls < len(journal):
            entry = journal[self._calls]
            if (entry["call"], entry["args"]) != (name, asked):
                raise MethodChanged(
                    f"call {self._calls + 1} was {entry['call']!r} and is {name!r}: "
                    "the method changed since the checkpoint; --force starts the cell afresh"
                )
        else:
            result = json.loads(canonical(work()))
            entry = {"call": name, "args": asked, "result": result, "epoch": self.epoch, "removed": self.measure()}
            journal.append(entry)
            self.progress.epochs_into_call = 0
            if self._check_in(self):
                self.save()
        self._calls += 1
        self.epoch, self.removed = entry["epoch"], entry["removed"]
        return entry["result"]

    def save(self) -> None:
        self.progress.seconds = self.meter.readings()
        self.progress.saved_at = time.time()
        self._write(self.progress)

    def resume(self, progress: Progress) -> None:
        """Take over what a checkpoint holds; the trainer has taken over its tensors."""
        self.progress = progress
        self.meter.seconds = dict(progress.seconds)

    # ---- the work behind the calls -----------------------------------------------------------

    def _train(
        self, kind: str, count: int, place: Callable[[int], int], grads: Callback | None, weights: Callback | None
    ) -> None:
        batches = self.trainer.batches
        while self.progress.epochs_into_call < count:
            at = place(self.progress.epochs_into_call)
            with self.meter.on(kind):
                epoch = self.trainer.epoch(at, grads=grads, weights=weights, after_step=self._after_step)
            self.progress.training_macs += 3 * self.macs * batches.steps * batches.recipe.batch
            point = {"kind": kind, "at": at, "lr": epoch.lr, "loss": epoch.loss, "top1": epoch.top1}
            self.progress.curves.append(point | self._look_at_it(kind, at))
            self.progress.epochs_into_call += 1
            if self._check_in(self):
                self.save()

    def _after_step(self) -> None:
        if self._check_in(self):
            self.save()

    def _look_at_it(self, kind: str, at: int) -> dict[str, Json]:
        """What the curves say of the network after an epoch; the test images only now and then."""
        network, batches, recipe = self.trainer.network, self.trainer.batches, self.cell.recipe
        seen: dict[str, Json] = {"macs": self.macs, "removed": self.measure()}
        if self.cell.remove and self.cell.remove.kind == "weights":
            seen["nonzeros"] = list(masks.nonzeros(network).values())
        if kind == "train" and ((at + 1) % recipe.test_every == 0 or at >= recipe.epochs - 10):
            with self.meter.on("evaluate"):
                seen["test"] = evaluate(network, batches, batches.test).top1
                if recipe.validation:
                    seen["validation"] = evaluate(network, batches, batches.validation).top1
        return seen

    def _ask(self, look: Callable[..., Json], *args: Json) -> Json:
        network, batches = self.trainer.network, self.trainer.batches
        name = f"{look.__name__} {self._calls}"
        view = View(network, lambda n: batches.look(n, name), generator("ask", self.seed, name))
        before = _versions(network)
        seen = 0

        def count_images(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal seen
            seen += len(inputs[0])

        counting = network.register_forward_hook(count_images)
        network.eval()
        try:
            with self.meter.on("search"):
                answer = look(view, *args)
        finally:
            counting.remove()
        if _versions(network) != before:
            raise UserError(f"{look.__name__} changed the network; a search only looks")
        self.progress.search_macs += self.macs * seen
        return answer

    def measure(self) -> float:
        """The share removed by now, in the cell's own unit."""
        return masks.removed(self.trainer.network) if self.cell.remove else 0.0


def _versions(network: nn.Module) -> list[int]:
    """torch counts every in-place change of a tensor."""
    return [t._version for t in (*network.parameters(), *network.buffers())]
