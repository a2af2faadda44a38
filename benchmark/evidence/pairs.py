"""Two rows compared: the difference over seeds, how far they agree image by image, and what each costs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from statistics import fmean, variance

from scipy.special import ndtri
from scipy.stats import binomtest, ttest_ind, ttest_rel

from benchmark.errors import UserError
from benchmark.records.flags import unlike
from benchmark.records.rows import Row, conditions
from benchmark.records.side import right_answers
from benchmark.records.store import Store, Stored

LEVEL, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Agreement:
    """Test images of all seeds that both rows have."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float  # McNemar's exact test: that both are wrong equally often


@dataclass(frozen=True)
class Pair:
    """A minus B, in points of top-1 accuracy."""

    a: Row
    b: Row
    how: str
    seeds: tuple[int, int]
    difference: float
    low: float  # of the 95 % interval; infinite where there is none
    high: float
    p: float | None
    more_seeds: int  # of each row, until a difference of this size would be significant with power .8
    agreement: Agreement | None


def compare(a: Row, b: Row, stores: tuple[Store, Store]) -> Pair:
    """Paired by seed where they share at least two seeds; else by Welch's test."""
    _check(a, b)
    of_a, of_b = ({s.record.seed: s for s in row.records} for row in (a, b))
    common = sorted(of_a.keys() & of_b.keys())
    agreement = _agreement([(of_a[seed], of_b[seed]) for seed in common], stores)
    if len(common) > 1:
        left, right = ([of[seed].record.outcome.top1 for seed in common] for of in (of_a, of_b))
        found, how = ttest_rel(left, right), "paired by seed"
        spread = variance([x - y for x, y in zip(left, right, strict=True)])
    else:
        left, right = a.values("outcome.top1"), b.values("outcome.top1")
        if min(len(left), len(right)) < 2:
            return Pair(a, b, "one seed has no spread", (a.n, b.n), a.top1 - b.top1, -inf, inf, None, 0, agreement)
        found, how = ttest_ind(left, right, equal_var=False), "Welch, seeds not paired"
        spread = variance(left) + variance(right)
    difference = fmean(left) - fmean(right)
    low, high = found.confidence_interval(1 - LEVEL)
    more = 0 if found.pvalue < LEVEL else _wanted(difference, spread) - min(len(left), len(right))
    seeds = (len(left), len(right))
    return Pair(a, b, how, seeds, difference, float(low), float(high), float(found.pvalue), max(0, more), agreement)


def _wanted(difference: float, spread: float) -> int:
    if not difference:
        return 0
    reach = float(ndtri(1 - LEVEL / 2)) + float(ndtri(POWER))
    return ceil((reach * sqrt(spread) / difference) ** 2)


def _check(a: Row, b: Row) -> None:
    """Refuse what cannot be compared, with the reason."""
    for row in (a, b):
        if not row.n:
            raise UserError(f"{row.label}: every run diverged; there is nothing to compare")
    (first, *_), (second, *_) = ([s.record for s in row.records] for row in (a, b))
    for what, one, other in (
        ("data set", first.cell.data, second.cell.data),
        ("model", first.cell.model, second.cell.model),
        ("target", first.cell.remove, second.cell.remove),
        ("recipe", first.cell.recipe, second.cell.recipe),
    ):
        if one != other:
            raise UserError(f"{a.label} and {b.label} cannot be compared: another {what}")
    if differs := unlike(conditions(first), conditions(second)):
        raise UserError(f"{a.label} and {b.label} cannot be compared: other {differs}")


def _agreement(pairs: Sequence[tuple[Stored, Stored]], stores: tuple[Store, Store]) -> Agreement | None:
    counts: Counter[tuple[bool, bool]] = Counter()
    for pair in pairs:
        sides = [store.side_or_none(stored) for stored, store in zip(pair, stores, strict=True)]
        if not all(side and side["bits"] for side in sides):
            return None
        bits = [right_answers(side or {}, s.record.outcome.n) for side, s in zip(sides, pair, strict=True)]
        if len(bits[0]) != len(bits[1]):
            return None
        counts.update(zip(*bits, strict=True))
    if not counts:
        return None
    only_a, only_b = counts[True, False], counts[False, True]
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return Agreement(counts[True, True], only_a, only_b, counts[False, False], p)
