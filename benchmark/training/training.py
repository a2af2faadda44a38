"""The training loop, and everything about a network in training that a checkpoint must hold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.plan.cell import Recipe
from benchmark.pruning import cuts
from benchmark.training.batches import Batches
from benchmark.training.graphs import Captured, memory_of
from benchmark.training.layout import layout
from benchmark.training.optimizers import optimizer_for, set_rates
from benchmark.training.precision import autocast
from benchmark.training.rates import rate
from benchmark.training.seeds import seed_of


@dataclass(frozen=True)
class Now:
    """The moment in training, as a method's callback sees it."""

    progress: float  # share of the schedule that is done after this step: 1.0 at the last
    lr: float


Callback = Callable[[nn.Module, Now], None]
Penalty = Callable[[nn.Module, Now], Tensor]


class Diverged(Exception):
    """The loss is not finite. That is a result, not a failure."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        super().__init__(f"the loss is not finite in epoch {epoch}")


@dataclass(frozen=True)
class Epoch:
    loss: float
    top1: float
    lr: float  # of its last step


class Trainer:
    """A network, its optimizer and its counters. From the same state it trains to the same bits."""

    def __init__(self, network: nn.Module, batches: Batches, recipe: Recipe) -> None:
        self.recipe, self.batches, self.ranks = recipe, batches, batches.ranks
        self.network = network.to(batches.device)
        self.captured: Captured | None = None
        self._lay_out()
        self.optimizer = optimizer_for(self.network, recipe)
        self.buffers: dict[str, Tensor] = {}  # a method's own, each shaped like one of the network's tensors
        self._like: dict[str, str] = {}
        self._draws = any(isinstance(m, nn.Dropout) and m.p > 0 for m in self.network.modules())
        alone = self.ranks.size == 1 and not self._draws
        self.captures = alone and batches.device.type == "cuda"  # the step as a CUDA graph
        self.trained = 0  # epochs so far, recoveries included: the random key
        self.step = 0  # steps done of the present epoch
        self.loss_sum = torch.zeros((), device=batches.device)
        self.right = torch.zeros((), dtype=torch.int64, device=batches.device)

    def epoch(
        self,
        at: int,
        *,
        loss: Penalty | None = None,
        grads: Callback | None = None,
        weights: Callback | None = None,
        lag: int = 0,
        after_step: Callable[[], None] = lambda: None,
    ) -> Epoch:
        """One epoch at place `at` of the schedule, or what is left of it after a resume.

        `loss` is added to the cross-entropy. The rates are those of `lag` epochs before. There is one
        synchronisation with the device, at the end. `after_step` may save, and may raise to stop.
        """
        network, optimizer, recipe, steps = self.network, self.optimizer, self.recipe, self.batches.steps
        order = self.batches.order(self.trained)
        network.train()
        if self.captured and self.captured.memory != memory_of(network):
            self.captured = None  # a method froze a parameter, or replaced a tensor
        while self.step < steps:
            lr = set_rates(optimizer, recipe, max(0, at - lag) + self.step / steps)
            now = Now(progress=(at * steps + self.step + 1) / (recipe.epochs * steps), lr=lr)
            images, labels = self.batches.batch(order, self.trained, self.step)
            if self._draws:  # dropout draws from torch's own generator, so it is seeded like everything else
                key = (self.batches.seed, self.trained, self.step, *([self.ranks.rank] if self.ranks.rank else []))
                torch.manual_seed(seed_of("dropout", *key))
            if self.captures:
                if self.captured is None:
                    touched = (*network.buffers(), self.loss_sum, self.right)
                    self.captured = Captured(self._passes, network, images, labels, touched)
                self.captured(images, labels)
                if loss and (more := loss(network, now)).requires_grad:
                    more.backward()  # added to the gradients that are there
            else:
                self._passes(images, labels, partial(loss, network, now) if loss else None)
            if grads:
                grads(network, now)
            optimizer.step()
            if weights:
                weights(network, now)
            self.step += 1
            after_step()
        loss_mean = self.ranks.total(self.loss_sum).item() / (steps * self.ranks.size)
        top1 = 100 * self.ranks.total(self.right).item() / (steps * recipe.batch)
        self.trained, self.step = self.trained + 1, 0
        self.loss_sum.zero_()
        self.right.zero_()
        finite = torch.stack([parameter.isfinite().all() for parameter in network.parameters()]).all()
        if not (isfinite(loss_mean) and bool(finite)):
            raise Diverged(at)
        return Epoch(loss_mean, top1, rate(recipe, max(0, at - lag) + (steps - 1) / steps))

    def _passes(self, images: Tensor, labels: Tensor, penalty: Callable[[], Tensor] | None = None) -> None:
        """Forward and backward. Sets the gradients of the parameters and adds to the sums."""
        with autocast(images.device, self.recipe.precision):
            scores = self.forward(images)
            error = F.cross_entropy(scores, labels, label_smoothing=self.recipe.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        (error + penalty() if penalty else error).backward()
        self.loss_sum += error.detach().float()
        self.right += (scores.detach().argmax(1) == labels).sum()

    def cut(self, parts: list[cuts.Slices], momentum: str = "keep") -> None:
        """Slice the network, the optimizer's state and the method's buffers."""
        old = dict(self.network.named_parameters())
        by_path = {part.path: part for part in parts}
        replaced = cuts.apply(self.network, parts)
        path_of = {parameter: path for path, parameter in old.items()}
        for group in self.optimizer.param_groups:
            group["params"] = [replaced.get(p, p) for p in group["params"]]
        if momentum == "reset":
            self.optimizer.state.clear()
        for before, after in replaced.items():
            state = self.optimizer.state.pop(before, None)
            part = by_path[path_of[before]]
            if state is not None:  # what is shaped like the parameter is sliced with it; step counts stay
                self.optimizer.state[after] = {
                    key: part.of(value) if torch.is_tensor(value) and value.shape == before.shape else value
                    for key, value in state.items()
                }
        for name, like in self._like.items():
            if like in by_path:
                self.buffers[name] = by_path[like].of(self.buffers[name])
        self._lay_out()

    def buffer(self, name: str, like: str) -> Tensor:
        """A tensor shaped like the parameter `like`, at first zero. It is saved, and cut with the parameter."""
        if self._like.setdefault(name, like) != like:
            raise ValueError(f"buffer {name!r} is like {self._like[name]}, not like {like}")
        if name not in self.buffers:
            self.buffers[name] = torch.zeros_like(self.network.get_parameter(like), requires_grad=False)
        return self.buffers[name]

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffers": self.buffers,
            "like": self._like,
            "trained": self.trained,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "right": self.right,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load a state. The network must have been cut to the same widths."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.buffers = {name: tensor.to(self.batches.device) for name, tensor in state["buffers"].items()}
        self._like = dict(state["like"])
        self.trained, self.step = state["trained"], state["step"]
        self.loss_sum.copy_(state["loss_sum"])
        self.right.copy_(state["right"])

    def _lay_out(self) -> None:
        form = layout(self.network, self.recipe, self.batches.device)
        self.network.to(memory_format=form)  # type: ignore[call-overload]
        self.batches.layout = form
        network = self.network
        if self.recipe.compile:
            torch._dynamo.reset()  # after a cut and after a resume: what was compiled before must not matter
            # The layout stays as chosen. The compiler's own choice, channels last for any width, makes oneDNN write
            # beyond its memory on processors without AVX-512: 1 × 1, stride 2, fewer than 8 channels in (docs/LOG.md).
            keep = {"layout_optimization": False}
            network = torch.compile(network, dynamic=False, options=keep)  # type: ignore[assignment,arg-type]
        self.forward = self.ranks.spread(network, self.batches.device)
        self.captured = None  # it would read the old memory
