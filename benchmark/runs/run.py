"""READ THIS FIRST. A run: what a pruning method can do to a network, and how it survives a kill.

A method is a plain function of a `Run`. It trains, asks, cuts and recovers; all the state it needs
is in its local variables. Every call is written into a journal, and the journal is saved with
the weights in one atomic checkpoint:

    def my_method(run):                        journal after a kill in the last train
        run.train(10)                          train [10]  → done at once, from the journal
        keep = run.ask(look_for_something)     ask         → returns its old answer
        run.cut(keep)                          cut         → its channels are already gone
        run.train()                            (none yet)  → continues from the checkpoint, mid-epoch

So **to resume is to run the function again**. Finished calls return their journalled result. The
call in progress continues where it was saved. A call that does not match the journal stops the run:
the method has changed since then. The weights are bit for bit those of an undisturbed run,
because every random draw is keyed by (seed, epochs trained, step) and nothing else.

`execute.py` takes one cell from its plan to its record, and `work.py` does what the calls ask
for. The training step is in `training/training.py`, what a search may see in `pruning/view.py`,
channel groups and cuts in `pruning/`. A method never sees test images.
"""

import json
from collections.abc import Callable
from typing import Any

from torch import Tensor

from benchmark.errors import UserError
from benchmark.plan.canonical import canonical, digest
from benchmark.pruning.cuts import Kept
from benchmark.pruning.groups import Groups
from benchmark.pruning.targets import CAP, check_reach
from benchmark.runs.parent import Parent
from benchmark.runs.work import Json, Progress, Work
from benchmark.training.training import Callback, Penalty


class MethodChanged(UserError):
    """The method does not make the calls that are in its journal."""


class Run(Work):
    """Everything that a method sees of the machinery."""

    def __init__(self, *of: Any, parents: dict[str, Parent] | None = None, **more: Any) -> None:
        super().__init__(*of, **more)
        self.parents, self._calls = parents or {}, 0

    # ---- what a method may do ----------------------------------------------------------------

    def train(
        self,
        epochs: int | None = None,
        *,
        loss: Penalty | None = None,
        grads: Callback | None = None,
        weights: Callback | None = None,
        lag: int = 0,
    ) -> None:
        """Train along the schedule: `epochs` of it, or to its end.

        `loss(network, now)` is added to the cross-entropy, `grads(network, now)` runs after each
        backward pass, `weights(network, now)` after each step. The rates are late by `lag` epochs.
        """
        start = self.epoch
        count = self.epochs - start if epochs is None else epochs
        if not 0 <= count <= self.epochs - start:
            raise UserError(f"train({count}): {self.epochs - start} epochs of the schedule are left")

        def work() -> int:
            self._train("train", count, lambda i: start + i, loss=loss, grads=grads, weights=weights, lag=lag)
            self.epoch = start + count
            return count

        self._call("train", [count, lag], work)

    def recover(self, epochs: int, *, at: int, instead: bool = False) -> None:
        """Train outside the schedule, at the learning rate of epoch `at`. This counts as cost.

        `instead` takes the epochs out of the schedule, which continues after them: the budget stays the same.
        """
        if instead and epochs > self.epochs - self.epoch:
            raise UserError(f"recover({epochs}): {self.epochs - self.epoch} epochs of the schedule are left")

        def work() -> None:
            self._train("recover", epochs, lambda i: at)
            self.epoch += epochs if instead else 0

        self._call("recover", [epochs, at, instead], work)

    def ask(self, look: Callable[..., Json], *args: Json) -> Json:
        """Call `look(view, *args)`, which searches, changes nothing and returns a small JSON value."""

        def work() -> Json:
            return self.trainer.ranks.agreed(lambda: self._search(self._calls, look, *args))

        return self._call(f"ask {look.__name__}", list(args), work)

    def cut(self, kept: Kept, *, momentum: str = "keep") -> None:
        """Remove, for real, every channel that `kept` does not name, in the groups that it names.

        The channels that stay keep their momentum, unless `momentum` is "reset".
        """
        self._call("cut", [kept, momentum], lambda: self._cut(kept, momentum))

    def note(self, **values: Json) -> None:
        """Store values beside the curves, for the record and the figures."""
        self._call("note", values, lambda: values)

    def buffer(self, name: str, like: str) -> Tensor:
        """A tensor shaped like the parameter `like`, for scores gathered over steps. It is saved, and cut with it.

        Call this again in each callback: after a cut it is another tensor.
        """
        return self.trainer.buffer(name, like)

    @property
    def training_images(self) -> int:
        """The number of training images, without those held out for validation."""
        return len(self.trainer.batches.train)

    @property
    def groups(self) -> Groups:
        """The channel groups as they are now: which tensors hold a channel, and where."""
        if self.channels is None:
            raise UserError("this cell removes no channels, so it has no groups")
        return self.channels.groups

    def start_from_dense(self) -> None:
        """Take over the weights of the same seed's dense network. Its epochs and hours count as this cell's."""
        result = self._call("start from dense", [], self._start_from_dense)
        self._same_parent("start", result)

    def architecture(self) -> Json:
        """The parent's `widths`, group by group, and the `training_macs` that it took."""
        parent = self._parent("architecture_of")
        found = {"parent": parent.content, "widths": parent.widths, "training_macs": parent.training_macs}
        return self._same_parent("architecture_of", self._call("architecture", [], lambda: found))

    def stretch(self, times: float) -> None:
        """Make the schedule and its learning rates `times` as long. Only before any training."""

        def work() -> None:
            if self.trainer.trained:
                raise UserError("stretch(): the schedule has begun")
            self.epochs = max(1, round(times * self.epochs))

        self._call("stretch", [times], work)

    def check_reach(self, *, cap: float = CAP, round_to: int = 1) -> None:
        """Refuse a target that no cut within these limits can meet, before any training."""
        if self.channels:
            check_reach(self.groups, self.channels.costs, self.kind, self.target, cap=cap, round_to=round_to)

    # ---- the journal -------------------------------------------------------------------------

    def _call(self, name: str, args: Json, work: Callable[[], Json]) -> Json:
        """The core of a run. A call in the journal is not repeated. Any other is done and then entered."""
        journal = self.progress.journal
        asked = digest(args)
        if self._calls < len(journal):
            entry = journal[self._calls]
            if (entry["call"], entry["args"]) != (name, asked):
                other = repr(name) if entry["call"] != name else "asked for something else"
                raise MethodChanged(
                    f"call {self._calls + 1} was {entry['call']!r} and is {other}: "
                    "the method changed since the checkpoint; --force starts the cell afresh"
                )
        else:
            result = json.loads(canonical(work()))
            place = {"epoch": self.epoch, "epochs": self.epochs, "removed": self.measure(), "macs": self.macs}
            entry = {"call": name, "args": asked, "result": result} | place
            journal.append(entry)
            self.progress.epochs_into_call = 0
            self.check_in()
        self._calls += 1
        self.epoch, self.epochs = entry["epoch"], entry["epochs"]
        self.removed, self.macs = entry["removed"], entry["macs"]
        return entry["result"]

    def resume(self, progress: Progress, tensors: dict[str, Any]) -> None:
        """Restore a checkpoint: first the cuts, then the tensors that are left."""
        dense, self.progress = self.macs, progress
        self.meter.seconds = dict(progress.seconds)
        if progress.kept:
            self._remove(progress.kept, "keep")
        self.trainer.restore(tensors)
        if progress.journal:
            self.macs = dense  # of the first call; each call in the journal has its own

    # ---- the work behind the calls -----------------------------------------------------------

    def _cut(self, kept: Kept, momentum: str) -> dict[str, Json]:
        if momentum not in ("keep", "reset"):
            raise UserError(f"cut(momentum={momentum!r}): keep or reset")
        channels = self._remove(kept, momentum)
        self.progress.kept = channels.kept
        self.trainer.ranks.check_equal("their cuts", digest([kept, channels.widths]))
        return {"macs": self.macs, "widths": {name: channels.widths[name] for name in kept}}

    def _start_from_dense(self) -> Json:
        parent = self._parent("start")
        self.trainer.network.load_state_dict(parent.weights())
        self.trainer.trained = self.epoch = parent.epochs
        return {"parent": parent.content, "epochs": parent.epochs}

    def _parent(self, role: str) -> Parent:
        if role not in self.parents:
            raise UserError(f"{self.cell.method.name} has no parent ({role}); its @method(...) must ask for one")
        return self.parents[role]

    def _same_parent(self, role: str, result: Json) -> Json:
        if result["parent"] != self._parent(role).content:
            raise MethodChanged(f"its parent ({role}) was run again since the checkpoint; --force starts afresh")
        return result
