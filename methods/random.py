"""Random pruning: one-shot pruning with a random ranking. A control.

In tables: Random
The worth of a criterion is its gain over this row. Scores are drawn once per layer, by the seed.
"""

from benchmark import Run, Scope, method, prune_along


@method(
    removes={"weights", "macs", "params", "channels"},
    version=1,
    implied={"scope": {"weights": "local", "macs": "global", "params": "global", "channels": "global"}},
)
def random(run: Run, *, start: float = 0.4, scope: Scope = "local", round_to: int | None = None) -> None:
    prune_along(run, lambda t: 1.0 if t >= start else 0.0, by="random", scope=scope, round_to=round_to)
