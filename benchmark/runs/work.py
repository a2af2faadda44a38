"""What a run does, without its journal: epochs, searches, cuts, and their costs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.plan.cell import CHANNEL_KINDS, Cell
from benchmark.pruning import masks
from benchmark.pruning.channels import Channels
from benchmark.pruning.cuts import Kept
from benchmark.pruning.view import View
from benchmark.training.evaluate import evaluate
from benchmark.training.meter import Meter
from benchmark.training.precision import rounds
from benchmark.training.seeds import generator
from benchmark.training.training import Diverged, Trainer

Json = Any


@dataclass
class Progress:
    """The state of a run that is not tensors. It is JSON, in the checkpoint beside the weights."""

    journal: list[dict[str, Json]] = field(default_factory=list)
    epochs_into_call: int = 0
    kept: Kept = field(default_factory=dict)  # channels left, by their number in the dense network
    curves: list[dict[str, Json]] = field(default_factory=list)
    training_macs: int = 0
    search_macs: int = 0
    decoded: int = 0  # training images that were decoded
    seconds: dict[str, float] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    saved_at: float = 0.0


class Work:
    """A running cell. `Run` adds the calls that a method makes, and their journal."""

    def __init__(
        self,
        cell: Cell,
        trainer: Trainer,
        *,
        macs: int,
        channels: Channels | None = None,
        save: Callable[[Progress], None] = lambda progress: None,
        check_in: Callable[[Any], bool] = lambda run: False,
    ) -> None:
        self.target = cell.remove.amount if cell.remove else 0.0
        self.kind = cell.remove.kind if cell.remove else ""
        self.epochs, self.seed = cell.recipe.epochs, cell.seed
        self.epoch, self.removed = 0, 0.0
        # the machinery's, not a method's
        self.cell, self.trainer, self.macs, self.channels = cell, trainer, macs, channels
        self._write, self._check_in = save, check_in
        self.meter, self.progress = Meter(), Progress()

    def macs_to_train(self, epochs: int) -> int:
        """MACs of so many epochs with the present network. A backward pass counts as two forward passes."""
        batches = self.trainer.batches
        return 3 * self.macs * batches.steps * batches.recipe.batch * epochs

    def measure(self) -> float:
        """The share removed so far, in the cell's own unit."""
        if self.kind in CHANNEL_KINDS and self.channels:
            return self.channels.costs.removed(self.kind, self.channels.widths)
        return masks.removed(self.trainer.network) if self.kind else 0.0

    def check_in(self) -> None:
        """After each step, epoch and call: the run can be stopped here, and a checkpoint is written when due."""
        if self._check_in(self):
            self.save()

    def save(self) -> None:
        self._count_decoding()
        self.progress.seconds = self.meter.readings()
        self.progress.saved_at = time.time()
        self._write(self.progress)

    # ---- epochs ------------------------------------------------------------------------------

    def _train(self, kind: str, count: int, place: Callable[[int], int], **callbacks: Any) -> None:
        """`count` epochs, the i-th at epoch `place(i)` of the schedule. Epochs done before a kill are skipped."""
        trainer, progress = self.trainer, self.progress
        trainer.recipe = self.cell.recipe.stretched(self.epochs)
        while progress.epochs_into_call < count:
            at = place(progress.epochs_into_call)
            try:
                with self.meter.on(kind):
                    epoch = trainer.epoch(at, after_step=self.check_in, **callbacks)
            except Diverged:
                progress.training_macs += self.macs_to_train(1)
                raise
            self._count_decoding()
            progress.training_macs += self.macs_to_train(1)
            point = {"kind": kind, "at": at, "lr": epoch.lr, "loss": epoch.loss, "top1": epoch.top1}
            progress.curves.append(point | self._look_at_it(kind, at))
            progress.epochs_into_call += 1
            self.check_in()

    def _count_decoding(self) -> None:
        took = self.trainer.batches.loader.took()
        self.meter.add("waiting", took.waited)
        self.meter.add("decoding", took.decoding)
        self.progress.decoded += took.images * self.trainer.ranks.size

    def _look_at_it(self, kind: str, at: int) -> dict[str, Json]:
        """What the curves hold for an epoch. Accuracy on test images is measured only in some epochs."""
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

    # ---- searches ----------------------------------------------------------------------------

    def _search(self, number: int, look: Callable[..., Json], *args: Json) -> Json:
        """What `look` finds. Its random draws depend on the `number` of the call."""
        network, batches, progress = self.trainer.network, self.trainer.batches, self.progress
        seen = 0

        def spend(macs: int) -> None:
            progress.search_macs += macs

        def count_images(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal seen
            seen += len(inputs[0]) * (3 if torch.is_grad_enabled() else 1)

        view = View(
            network,
            lambda count, augmented: batches.look(count, augmented=augmented),
            generator("ask", self.seed, f"{look.__name__} {number}"),
            self.channels,
            self.trainer.buffers,
            self.kind,
            bf16=self.cell.recipe.precision == "bf16" and not rounds(batches.device.type),
            spend=spend,
        )
        before = _versions(network)
        counting = network.register_forward_hook(count_images)
        network.eval()
        try:
            with self.meter.on("search"), torch.no_grad():
                answer = look(view, *args)
        finally:
            counting.remove()
        if _versions(network) != before:
            raise UserError(f"{look.__name__} changed the network; a search only looks")
        progress.search_macs += self.macs * seen
        return answer

    # ---- cuts --------------------------------------------------------------------------------

    def _remove(self, kept: Kept, momentum: str) -> Channels:
        if self.channels is None:
            raise UserError("this cell removes no channels; cut() is for targets in macs, params or channels")
        self.trainer.cut(self.channels.cut(self.trainer.network, kept), momentum)
        self.macs = self.channels.costs.count("macs", self.channels.widths)
        return self.channels


def _versions(network: nn.Module) -> list[int]:
    """torch counts every in-place change of a tensor."""
    return [t._version for t in (*network.parameters(), *network.buffers())]
