"""One-Cycle Pruning: one training run, with its sparsity rising along a logistic curve from the first step.

In tables: One-Cycle
Paper:     Hubens, Mancas, Gosselin, Preda, Zaharia, "One-Cycle Pruning: Pruning ConvNets Under a Tight
           Training Budget", arXiv 2107.02086 (2021).
Claim:     within one fixed budget it beats one-shot, iterative and AGP pruning at 80, 90 and 95 %.
Removes:   single convolution weights, smallest magnitude first, the same share in every layer.
Expected:  no table of the paper could be read. The first author's blog (ResNet-18, Imagenette at
           128 px, 95 %, 10 epochs, one seed): 79.3 %, against AGP 77.1, one-shot 75.5, iterative 66.9.
Choices:   alpha 14, beta 5 as the paper's README says; the authors' library later has beta 6.
"""

from math import exp

from benchmark import Criterion, Run, Scope, method, prune_along


@method(
    removes={"weights", "macs", "params", "channels"},
    version=1,
    implied={"scope": {"weights": "local"}},
)
def one_cycle(
    run: Run,
    *,
    alpha: float = 14.0,
    beta: float = 5.0,
    by: Criterion | None = None,
    scope: Scope = "local",
    round_to: int | None = None,
) -> None:
    prune_along(run, lambda t: fraction(t, alpha, beta), by=by, scope=scope, round_to=round_to)


def fraction(t: float, alpha: float = 14.0, beta: float = 5.0) -> float:
    """Nearly nothing at t = 0, half about t = beta / alpha, all of it at t = 1."""
    return (1 + exp(-alpha + beta)) / (1 + exp(-alpha * t + beta))
