"""Accuracy of a network on images it was not trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.training.batches import Batches, Part
from benchmark.training.precision import autocast


@dataclass(frozen=True)
class Accuracy:
    """Accuracy in percent. `bits`: for each image, whether the first guess was right."""

    top1: float
    top5: float | None
    mean_class: float
    n: int
    bits: Tensor


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, part: Part) -> Accuracy:
    was_training = network.training
    network.eval()
    guesses = []
    for images, labels in batches.plain(part):
        with autocast(images.device, batches.recipe.precision):
            scores = network(images).float()
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices
        guesses.append(best == labels[:, None])
    network.train(was_training)
    right, labels = torch.cat(guesses).cpu(), part[1].cpu()  # waits for a GPU once
    bits = right[:, 0]
    by_class = [_percent(bits[labels == c]) for c in labels.unique()]
    return Accuracy(
        top1=_percent(bits),
        top5=_percent(right.any(dim=1)) if batches.classes > 10 else None,
        mean_class=sum(by_class) / len(by_class),
        n=len(bits),
        bits=bits,
    )


def _percent(bits: Tensor) -> float:
    return 100 * int(bits.sum()) / len(bits)
