"""The training loop, and everything about a network in training that a checkpoint must hold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmark.cell import Recipe
from benchmark.engine.batches import Batches
from benchmark.engine.optimizers import optimizer_for, set_rates
from benchmark.engine.precision import autocast
from benchmark.engine.rates import rate


@dataclass(frozen=True)
class Now:
    """The moment, as a method's callback sees it."""

    progress: float  # share of the schedule done once this step is over: 1.0 at the last
    lr: float


Callback = Callable[[nn.Module, Now], None]


class Diverged(Exception):
    """The loss is no longer a number. A result, not a failure."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        super().__init__(f"the loss is not finite in epoch {epoch}")


@dataclass(frozen=True)
class Epoch:
    loss: float
    top1: float
    lr: float  # of its last step


class Trainer:
    """A network, its optimizer and its counters. Bit for bit the same from the same state."""

    def __init__(self, network: nn.Module, batches: Batches, recipe: Recipe) -> None:
        self.recipe, self.batches = recipe, batches
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network = network.to(batches.device, memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = optimizer_for(self.network, recipe)
        self.trained = 0  # epochs so far, recoveries included: the random key
        self.step = 0  # steps done of the epoch under way
        self._reset_sums()

    def epoch(
        self,
        at: int,
        *,
        grads: Callback | None = None,
        weights: Callback | None = None,
        after_step: Callable[[], None] = lambda: None,
    ) -> Epoch:
        """One epoch at place `at` of the schedule, or what is left of it after a resume.

        One synchronisation with the device, at the end. `after_step` may save, and may raise to stop.
        """
        network, optimizer, recipe, steps = self.network, self.optimizer, self.recipe, self.batches.steps
        order = self.batches.order(self.trained)
        network.train()
        while self.step < steps:
            lr = set_rates(optimizer, recipe, at + self.step / steps)
            now = Now(progress=(at * steps + self.step + 1) / (recipe.epochs * steps), lr=lr)
            images, labels = self.batches.batch(order, self.trained, self.step)
            with autocast(images.device, recipe.precision):
                scores = network(images)
                loss = F.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if grads:
                grads(network, now)
            optimizer.step()
            if weights:
                weights(network, now)
            self.loss_sum += loss.detach().float()
            self.right += (scores.detach().argmax(1) == labels).sum()
            self.step += 1
            after_step()
        loss_mean = self.loss_sum.item() / steps
        top1 = 100 * self.right.item() / (steps * recipe.batch)
        self.trained, self.step = self.trained + 1, 0
        self._reset_sums()
        if not torch.isfinite(torch.tensor(loss_mean)):
            raise Diverged(at)
        return Epoch(loss_mean, top1, rate(recipe, at + (steps - 1) / steps))

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "trained": self.trained,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "right": self.right,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.trained, self.step = state["trained"], state["step"]
        self.loss_sum = state["loss_sum"].to(self.batches.device)
        self.right = state["right"].to(self.batches.device)

    def _reset_sums(self) -> None:
        self.loss_sum = torch.zeros((), device=self.batches.device)
        self.right = torch.zeros((), dtype=torch.int64, device=self.batches.device)
