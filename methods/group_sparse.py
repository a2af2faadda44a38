"""Group-norm sparse learning: push whole groups of weak channels towards zero, then cut, then fine-tune.

In tables: Group sparsity
Paper:     Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning", CVPR 2023.
Removes:   channel groups; the penalty on channel k is 2^(4 (max - I_k) / (max - min)), I the group's norm.
Expected:  ResNet-56, CIFAR-10, 2.13 times fewer MACs: 93.77 % from a dense 93.53 % (Torch-Pruning's
           reproduction; 93.46 % without sparse learning), 100 + 100 epochs on top of the pretraining.
Choices:   here pretraining, sparse learning and fine-tuning share the table's one budget of epochs.
"""

from typing import Any

import torch
from torch import nn

from benchmark import Now, Run, View, lowest, method, scores


@method(removes={"macs", "params", "channels"}, version=1, start="pretrain")
def group_sparse(
    run: Run, *, pretrain: float = 0.4, sparse: float = 0.3, reg: float = 5e-4, alpha: float = 4.0
) -> None:
    run.check_reach()
    run.start_from_dense()
    for _ in range(max(1, round(sparse * run.epochs))):
        run.train(1, grads=push(run, run.ask(strengths, alpha), reg))
    run.cut(run.ask(lowest, "group_norm", "mean", run.target))
    run.train()


def strengths(view: View, alpha: float) -> dict[str, list[float]]:
    """The strength of the push on each channel: 1 for a group's strongest, 2^alpha for its weakest."""
    found = {}
    for name, norm in scores(view, "group_norm", "none").items():
        weakness = (norm.max() - norm) / (norm.max() - norm.min()).clamp_min(1e-12)
        found[name] = [round(value, 6) for value in (2 ** (alpha * weakness)).tolist()]
    return found


def push(run: Run, by_group: dict[str, list[float]], reg: float) -> Any:
    """The gradient of reg × strength × weight² / 2, on every weight of the group."""
    groups = run.groups
    pushes = [(member, torch.tensor(by_group[name])) for name, group in groups.items() for member in group.weights()]

    @torch.no_grad()
    def grads(network: nn.Module, now: Now) -> None:
        weights = dict(network.named_parameters())
        for member, strength in pushes:
            weight = weights[member.path]
            spread = member.spread(strength.to(weight.device), weight)
            weight.grad.add_(spread * weight, alpha=reg)  # type: ignore[union-attr]

    return grads
