"""Iterative pruning: n equal steps from `start` on, each followed by an equal stretch of training.

In tables: Iterative
Baseline of One-Cycle Pruning (arXiv 2107.02086): n = 3 from 20 % of the budget.
Expected:  the blog's ResNet-18 on Imagenette, 95 %: 66.9 %.
"""

from math import ceil

from benchmark import Criterion, Run, Scope, method, prune_along


@method(
    removes={"weights", "macs", "params", "channels"},
    version=1,
    implied={"scope": {"weights": "local"}},
)
def iterative(
    run: Run,
    *,
    n: int = 3,
    start: float = 0.2,
    by: Criterion | None = None,
    scope: Scope = "local",
    round_to: int | None = None,
) -> None:
    prune_along(run, lambda t: fraction(t, n, start), by=by, scope=scope, round_to=round_to)


def fraction(t: float, n: int = 3, start: float = 0.2) -> float:
    if t <= start:
        return 0.0
    return ceil(n * (t - start) / (1 - start) - 1e-9) / n  # so that a rounding error makes no further step
