"""Random pruning: what one-shot pruning gives when the ranking knows nothing. A control.

Whatever a criterion is worth shows against this row. Scores are drawn once a layer, by the seed.
"""

from benchmark import Run, method, prune_along


@method(removes={"weights", "macs", "params", "channels"}, version=1)
def random(run: Run, *, start: float = 0.4, round_to: int | None = None) -> None:
    prune_along(run, lambda t: 1.0 if t >= start else 0.0, by="random", round_to=round_to)
