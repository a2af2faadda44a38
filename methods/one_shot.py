"""One-shot pruning: train, remove everything at once, continue training; a single run of the same budget.

In tables: One-shot
Baseline of One-Cycle Pruning (arXiv 2107.02086). The authors' blog prunes after 40 % of the budget
("empirically best"); what the paper itself used could not be read.
Expected:  the blog's ResNet-18 on Imagenette, 95 %: 75.5 % (with a constant learning rate).
"""

from benchmark import Criterion, Run, Scope, method, prune_along


@method(
    removes={"weights", "macs", "params", "channels"},
    version=1,
    implied={"scope": {"weights": "local", "macs": "global", "params": "global", "channels": "global"}},
)
def one_shot(
    run: Run, *, start: float = 0.4, by: Criterion | None = None, scope: Scope = "local", round_to: int | None = None
) -> None:
    prune_along(run, lambda t: fraction(t, start), by=by, scope=scope, round_to=round_to)


def fraction(t: float, start: float = 0.4) -> float:
    return 1.0 if t >= start else 0.0
