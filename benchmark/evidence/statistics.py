"""An estimate with its error, and Holm's procedure. Both the gate and the ledger of claims use them."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its standard error and its degrees of freedom."""

    mean: float
    error: float
    freedom: float

    def p_above(self, bar: float) -> float:
        """p of the hypothesis that the true value is at the bar or below it."""
        if self.error == 0:
            return 0.0 if self.mean > bar else 1.0
        return float(stdtr(self.freedom, (bar - self.mean) / self.error))

    def p_below(self, bar: float) -> float:
        return Estimate(-self.mean, self.error, self.freedom).p_above(-bar)

    def reach(self, level: float) -> float:
        """How far a one-sided bound is from the mean."""
        return float(stdtrit(self.freedom, 1 - level)) * self.error if self.error else 0.0


def holm(ps: Sequence[float | None], level: float, unread: int = 0) -> tuple[list[bool], list[float]]:
    """Which hypotheses are rejected, and the level that decided on each. `unread` more hypotheses have no p."""
    order = sorted((i for i, p in enumerate(ps) if p is not None), key=lambda i: ps[i] or 0.0)
    rejected, levels, holds, at = [False] * len(ps), [level] * len(ps), True, level
    for rank, i in enumerate(order):
        if holds:
            at = level / (len(order) + unread - rank)
            holds = (ps[i] or 0.0) <= at
        rejected[i], levels[i] = holds, at
    return rejected, levels
