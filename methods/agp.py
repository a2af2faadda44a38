"""AGP, automated gradual pruning: fast at first, then ever more slowly, along a cubic.

In tables: AGP
Paper:     Zhu, Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
           compression", arXiv 1710.01878 (2017). Baseline of One-Cycle Pruning: from 20 % of the
           budget to its end.
Expected:  the One-Cycle blog's ResNet-18 on Imagenette, 95 %: 77.1 %.
"""

from benchmark import Criterion, Run, Scope, method, prune_along


@method(
    removes={"weights", "macs", "params", "channels"},
    version=1,
    implied={"scope": {"weights": "local"}},
)
def agp(
    run: Run, *, start: float = 0.2, by: Criterion | None = None, scope: Scope = "local", round_to: int | None = None
) -> None:
    prune_along(run, lambda t: fraction(t, start), by=by, scope=scope, round_to=round_to)


def fraction(t: float, start: float = 0.2) -> float:
    if t <= start:
        return 0.0
    return 1.0 - (1 - (t - start) / (1 - start)) ** 3
