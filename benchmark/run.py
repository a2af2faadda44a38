"""READ THIS FIRST. A run: what a pruning method can do to a network, and how it survives a kill.

A method is a plain function of a `Run`. It trains, asks, cuts and recovers; all the state it needs
is in its local variables. Every call is written into a journal, and the journal is saved with
the weights in one atomic checkpoint:

    def my_method(run):                        journal after a kill in the last train
        run.train(10)                          train [10]  → done at once, from the journal
        keep = run.ask(look_for_something)     ask         → its old answer comes back
        run.cut(keep)                          cut         → its channels are already gone
        run.train()                            (none yet)  → goes on from the checkpoint, mid-epoch

So **to resume is to run the function again**: finished calls return their journalled result, the
call in progress goes on where it was saved, and a call that does not match the journal means that
the method changed since then, and stops. The weights come out bit for bit as if nothing had
happened, because every random draw is keyed by (seed, epochs trained, step) and nothing else.

The machinery around a run stands in `execute.py` (one cell, from its spec to its record), the
training loop in `engine/training.py`, what a search may see in `view.py`, channel groups and cuts in
`network/`. Test images are out of a method's reach.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.canonical import canonical, digest
from benchmark.cell import CHANNEL_KINDS, Cell
from benchmark.engine.batches import generator
from benchmark.engine.evaluate import evaluate
from benchmark.engine.meter import Meter
from benchmark.engine.precision import rounds
from benchmark.engine.training import Callback, Diverged, Penalty, Trainer
from benchmark.errors import UserError
from benchmark.network import masks
from benchmark.network.channels import Channels
from benchmark.network.cuts import Kept
from benchmark.network.groups import Groups
from benchmark.network.targets import CAP, check_reach
from benchmark.parent import Parent
from benchmark.view import View

Json = Any


class MethodChanged(UserError):
    """The method does not make the calls its journal tells of."""


@dataclass
class Progress:
    """All of a run that is not tensors. It is JSON, and lies in the checkpoint beside the weights."""

    journal: list[dict[str, Json]] = field(default_factory=list)
    epochs_into_call: int = 0
    kept: Kept = field(default_factory=dict)  # channels left, in the numbers of the dense network
    curves: list[dict[str, Json]] = field(default_factory=list)
    training_macs: int = 0
    search_macs: int = 0
    decoded: int = 0  # images of training that were decoded for it
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
        channels: Channels | None = None,
        parents: dict[str, Parent] | None = None,
        save: Callable[[Progress], None] = lambda progress: None,
        check_in: Callable[["Run"], bool] = lambda run: False,
    ) -> None:
        self.target = cell.remove.amount if cell.remove else 0.0
        self.kind = cell.remove.kind if cell.remove else ""
        self.epochs, self.seed = cell.recipe.epochs, cell.seed
        self.epoch, self.removed = 0, 0.0
        self._write, self._check_in, self._calls = save, check_in, 0
        # the machinery's, not a method's
        self.cell, self.trainer, self.macs, self.channels = cell, trainer, macs, channels
        self.parents = parents or {}
        self.meter, self.progress = Meter(), Progress()

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
        """Train on along the schedule: `epochs` of it, or to its end.

        `loss(network, now)` is added to the cross-entropy, `grads(network, now)` runs after each
        backward pass, `weights(network, now)` after each step. With `lag` the rates are late by so
        many epochs.
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
        """Train outside the schedule, at the learning rate of epoch `at`. It counts as cost.

        `instead` takes the epochs out of the schedule, which goes on that much later: the budget stays.
        """
        if instead and epochs > self.epochs - self.epoch:
            raise UserError(f"recover({epochs}): {self.epochs - self.epoch} epochs of the schedule are left")

        def work() -> None:
            self._train("recover", epochs, lambda i: at)
            self.epoch += epochs if instead else 0

        self._call("recover", [epochs, at, instead], work)

    def ask(self, look: Callable[..., Json], *args: Json) -> Json:
        """`look(view, *args)`: search for something, change nothing; a small JSON value comes back."""
        name = f"ask {look.__name__}"
        return self._call(name, list(args), lambda: self.trainer.ranks.agreed(lambda: self._ask(look, *args)))

    def cut(self, kept: Kept, *, momentum: str = "keep") -> None:
        """Remove every channel that `kept` does not name, in the groups that it names, for real.

        The optimizer's momentum goes on for the channels that stay, unless `momentum` is "reset".
        """
        self._call("cut", [kept, momentum], lambda: self._cut(kept, momentum))

    def note(self, **values: Json) -> None:
        """Put values beside the curves, for the record and the figures."""
        self._call("note", values, lambda: values)

    def buffer(self, name: str, like: str) -> Tensor:
        """A tensor like the parameter `like`, for scores gathered over steps: saved, and cut along with it.

        Ask for it anew in each callback: after a cut it is another tensor.
        """
        return self.trainer.buffer(name, like)

    @property
    def training_images(self) -> int:
        """So many there are, what is held out for validation not counted."""
        return len(self.trainer.batches.train)

    @property
    def groups(self) -> Groups:
        """The channel groups as they are now: which tensors hold a channel, and where."""
        if self.channels is None:
            raise UserError("this cell removes no channels, so it has no groups")
        return self.channels.groups

    def start_from_dense(self) -> None:
        """Take over the weights of the same seed's dense network; its epochs and hours count as this cell's."""
        result = self._call("start from dense", [], self._start_from_dense)
        self._same_parent("start", result)

    def architecture(self) -> Json:
        """The parent's: its `widths`, group by group, and the `training_macs` it was found with."""
        parent = self._parent("architecture_of")
        found = {"parent": parent.content, "widths": parent.widths, "training_macs": parent.training_macs}
        return self._same_parent("architecture_of", self._call("architecture", [], lambda: found))

    def stretch(self, times: float) -> None:
        """Before any training: make the schedule `times` as long, its learning rates stretched along."""

        def work() -> None:
            if self.trainer.trained:
                raise UserError("stretch(): the schedule has begun")
            self.epochs = max(1, round(times * self.epochs))

        self._call("stretch", [times], work)

    def check_reach(self, *, cap: float = CAP, round_to: int = 1) -> None:
        """Refuse, before anything is trained for it, a target that no cut within these limits can meet."""
        if self.channels:
            check_reach(self.groups, self.channels.costs, self.kind, self.target, cap=cap, round_to=round_to)

    def macs_to_train(self, epochs: int) -> int:
        """What so many epochs cost with the network as it is now; a backward pass counts as two forward."""
        batches = self.trainer.batches
        return 3 * self.macs * batches.steps * batches.recipe.batch * epochs

    # ---- the journal -------------------------------------------------------------------------

    def _call(self, name: str, args: Json, work: Callable[[], Json]) -> Json:
        """The heart of it: a call that is in the journal is over; any other is done, then entered."""
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
            if self._check_in(self):
                self.save()
        self._calls += 1
        self.epoch, self.epochs = entry["epoch"], entry["epochs"]
        self.removed, self.macs = entry["removed"], entry["macs"]
        return entry["result"]

    def save(self) -> None:
        self._count_decoding()
        self.progress.seconds = self.meter.readings()
        self.progress.saved_at = time.time()
        self._write(self.progress)

    def resume(self, progress: Progress, tensors: dict[str, Any]) -> None:
        """Take over what a checkpoint holds: first the cuts, then the tensors that are left."""
        dense, self.progress = self.macs, progress
        self.meter.seconds = dict(progress.seconds)
        if progress.kept:
            self._remove(progress.kept, "keep")
        self.trainer.restore(tensors)
        if progress.journal:
            self.macs = dense  # of the first call; each call in the journal brings its own

    # ---- the work behind the calls -----------------------------------------------------------

    def _train(
        self,
        kind: str,
        count: int,
        place: Callable[[int], int],
        *,
        loss: Penalty | None = None,
        grads: Callback | None = None,
        weights: Callback | None = None,
        lag: int = 0,
    ) -> None:
        trainer = self.trainer
        trainer.recipe = self.cell.recipe.stretched(self.epochs)
        while self.progress.epochs_into_call < count:
            at = place(self.progress.epochs_into_call)
            with self.meter.on(kind), self._counted_if_it_diverges():
                epoch = trainer.epoch(at, loss=loss, grads=grads, weights=weights, lag=lag, after_step=self._after_step)
            self._count_decoding()
            self.progress.training_macs += self.macs_to_train(1)
            point = {"kind": kind, "at": at, "lr": epoch.lr, "loss": epoch.loss, "top1": epoch.top1}
            self.progress.curves.append(point | self._look_at_it(kind, at))
            self.progress.epochs_into_call += 1
            if self._check_in(self):
                self.save()

    def _count_decoding(self) -> None:
        took = self.trainer.batches.loader.took()
        self.meter.add("waiting", took.waited)
        self.meter.add("decoding", took.decoding)
        self.progress.decoded += took.images * self.trainer.ranks.size

    @contextmanager
    def _counted_if_it_diverges(self) -> Iterator[None]:
        try:
            yield
        except Diverged:
            self.progress.training_macs += self.macs_to_train(1)
            raise

    def _after_step(self) -> None:
        if self._check_in(self):
            self.save()

    def _look_at_it(self, kind: str, at: int) -> dict[str, Json]:
        """What the curves say of the network after an epoch; the test images only now and then."""
        network, batches, recipe = self.trainer.network, self.trainer.batches, self.cell.recipe
        seen: dict[str, Json] = {"macs": self.macs, "removed": self.measure()}
        if self.kind == "weights":
            seen["nonzeros"] = list(masks.nonzeros(network).values())
        looks = kind == "train" and ((at + 1) % recipe.test_every == 0 or at >= self.epochs - 10)
        if looks and self.trainer.ranks.leads:
            with self.meter.on("evaluate"):
                seen["test"] = evaluate(network, batches, batches.test).top1
                if recipe.validation:
                    seen["validation"] = evaluate(network, batches, batches.validation).top1
        return seen

    def _ask(self, look: Callable[..., Json], *args: Json) -> Json:
        network, batches = self.trainer.network, self.trainer.batches
        name = f"{look.__name__} {self._calls}"
        chance = generator("ask", self.seed, name)
        view = View(
            network,
            lambda count, augmented: batches.look(count, augmented=augmented),
            chance,
            self.channels,
            self.trainer.buffers,
            self.kind,
            bf16=self.cell.recipe.precision == "bf16" and not rounds(batches.device.type),
            spend=self._spend_on_search,
        )
        before = _versions(network)
        seen = 0

        def count_images(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal seen
            seen += len(inputs[0]) * (3 if torch.is_grad_enabled() else 1)

        counting = network.register_forward_hook(count_images)
        network.eval()
        try:
            with self.meter.on("search"), torch.no_grad():
                answer = look(view, *args)
        finally:
            counting.remove()
        if _versions(network) != before:
            raise UserError(f"{look.__name__} changed the network; a search only looks")
        self.progress.search_macs += self.macs * seen
        return answer

    def _spend_on_search(self, macs: int) -> None:
        self.progress.search_macs += macs

    def _cut(self, kept: Kept, momentum: str) -> dict[str, Json]:
        if momentum not in ("keep", "reset"):
            raise UserError(f"cut(momentum={momentum!r}): keep or reset")
        channels = self._remove(kept, momentum)
        self.progress.kept = channels.kept
        self.trainer.ranks.check_equal("their cuts", digest([kept, channels.widths]))
        return {"macs": self.macs, "widths": {name: channels.widths[name] for name in kept}}

    def _remove(self, kept: Kept, momentum: str) -> Channels:
        if self.channels is None:
            raise UserError("this cell removes no channels; cut() is for targets in macs, params or channels")
        self.trainer.cut(self.channels.cut(self.trainer.network, kept), momentum)
        self.macs = self.channels.costs.count("macs", self.channels.widths)
        return self.channels

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

    def measure(self) -> float:
        """The share removed by now, in the cell's own unit."""
        if self.kind in CHANNEL_KINDS and self.channels:
            return self.channels.costs.removed(self.kind, self.channels.widths)
        return masks.removed(self.trainer.network) if self.kind else 0.0


def _versions(network: nn.Module) -> list[int]:
    """torch counts every in-place change of a tensor."""
    return [t._version for t in (*network.parameters(), *network.buffers())]
