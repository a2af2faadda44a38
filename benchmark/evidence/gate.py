"""How the gate decides, cell by cell and for a whole table. Numbers in, verdicts out; no files, no torch.

Pins are ten seeds. There are two looks at a change, and no others:

    first look    5 new seeds against the pins, own variances (Welch). p >= .05 and the bound below: pass.
                  p < .05 is no verdict: ten more seeds are asked for.
    second look   15 new seeds against the pins; called only if p <= .005 over all cells of the table (Holm).

For `pass`, it is not enough that no difference was found: a 98.5 % bound must exclude a change of three standard
deviations. Both directions count, because better than pinned is a finding too (a leak, a selection on
test, a miscount). The tests simulate false alarms and power of exactly this procedure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, inf, sqrt
from typing import Literal

from scipy.special import stdtr, stdtrit

from benchmark.evidence.statistics import holm

Verdict = Literal["pass", "regressed", "better", "inconclusive", "no pin", "not comparable", "not measured"]
PINS, FIRST, SECOND = 10, 5, 15
LOOK_AGAIN = 0.05  # below this p, the first look asks for more seeds
CALL = 0.005  # over a whole table, at the second look
EXCLUDED = 3.0  # to pass, a change of so many of the cell's standard deviations must be excluded ...
BOUND = 0.985  # ... at this one-sided confidence; 0.98 would be enough if the deviation were known


@dataclass(frozen=True)
class Look:
    """The look at one cell, with every number that was used."""

    verdict: Verdict
    why: str
    pins: int = 0
    new: int = 0
    pinned_mean: float | None = None
    new_mean: float | None = None
    pinned_std: float | None = None
    new_std: float | None = None
    p: float | None = None
    bound: float | None = None  # the largest change not excluded, in the cell's standard deviations
    more_seeds: int = 0


def look(pins: Sequence[float], new: Sequence[float]) -> Look:
    """The first or second look at one cell. `called` decides what the second means."""
    if len(pins) < 2 or len(new) < FIRST:
        short = max(FIRST - len(new), 0)
        why = f"{len(new)} new seeds; the first look is at {FIRST}" if short else f"{len(pins)} pins are no spread"
        return Look("inconclusive", why, len(pins), len(new), more_seeds=short)
    second = len(new) >= SECOND
    seen = welch(pins, new[: SECOND if second else FIRST])
    more = 0 if second else SECOND - len(new)
    if not second and (seen.p or 0.0) < LOOK_AGAIN:
        return replace(seen, why=f"p {seen.p:.2g} at the first look; {more} more seeds decide", more_seeds=more)
    if len(pins) < PINS:
        return replace(seen, why=f"{len(pins)} pins are few; {PINS} are meant")
    if (seen.bound or 0.0) < EXCLUDED:
        return replace(seen, verdict="pass", why=f"a change of {seen.bound:.2f} standard deviations is excluded")
    return replace(seen, why=f"a change of {seen.bound:.2f} standard deviations is not excluded", more_seeds=more)


def called(looks: Sequence[Look]) -> list[Look]:
    """Decide a whole table by Holm's procedure over all its cells. Only second looks can be called."""
    out = list(looks)
    rejected, levels = holm([each.p for each in looks], CALL)
    for i, each in enumerate(looks):
        if rejected[i] and each.new >= SECOND and each.new_mean is not None and each.pinned_mean is not None:
            verdict: Verdict = "regressed" if each.new_mean < each.pinned_mean else "better"
            out[i] = replace(each, verdict=verdict, why=f"p {each.p:.2g}, called at {levels[i]:.2g}")
    return out


def welch(pins: Sequence[float], new: Sequence[float]) -> Look:
    """Compare two samples with their own variances. The bound is in standard deviations of this cell, from both."""
    (mean, variance), (new_mean, new_variance) = _moments(pins), _moments(new)
    difference = abs(new_mean - mean)
    pooled = ((len(pins) - 1) * variance + (len(new) - 1) * new_variance) / (len(pins) + len(new) - 2)
    if pooled == 0:
        p, bound = (1.0, 0.0) if difference == 0 else (0.0, inf)
    else:
        a, b = variance / len(pins), new_variance / len(new)
        freedom = (a + b) ** 2 / (a**2 / (len(pins) - 1) + b**2 / (len(new) - 1))
        p = float(2 * stdtr(freedom, -difference / sqrt(a + b)))
        bound = (difference + float(stdtrit(freedom, BOUND)) * sqrt(a + b)) / sqrt(pooled)
    sizes, means = (len(pins), len(new)), (mean, new_mean)
    return Look("inconclusive", "", *sizes, *means, sqrt(variance), sqrt(new_variance), p, bound)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    mean = fsum(values) / len(values)
    return mean, fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


EXITS: dict[str, int] = {
    "regressed": 1,
    "better": 1,
    "inconclusive": 3,
    "no pin": 4,
    "not comparable": 4,
    "not measured": 4,
}


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """1 before 3 before 4: a called change outweighs an open verdict, which outweighs "not measured"."""
    return min((EXITS[verdict] for verdict in verdicts if verdict in EXITS), default=0)
