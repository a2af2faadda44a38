"""The difference that a claim is about: cell by cell, one row's seeds against another's, with the sign that more is
better for the claim. Also, the estimate over all cells."""

from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import fmean, variance

from benchmark.evidence.claim_files import Claim
from benchmark.evidence.statistics import Estimate
from benchmark.records.rows import Row

WITHIN = ("as good as", "drops at most", "reaches")  # claims that allow a margin; the others must exceed zero


@dataclass(frozen=True)
class Sample:
    """The difference, cell by cell: one side and the other. The other is None if a number is compared with."""

    cells: list[tuple["Side", "Side | None"]]

    @property
    def seeds(self) -> int:
        return min(len(side.values) for cell in self.cells for side in cell if side)


@dataclass(frozen=True)
class Side:
    """One row of a difference. A dense row may be in many differences; its error counts once, not independently."""

    records: tuple[str, ...]
    values: list[float]


def told(claim: Claim, row: Row) -> list[object]:
    """The claim's measure in each of the row's records; None if a record does not hold it."""
    if claim.kind == "cuts earlier than":
        notes = [s.record.notes.get("stable_epoch") for s in row.records]
        return [n if isinstance(n, int | float) and not isinstance(n, bool) and isfinite(n) else None for n in notes]
    return [getattr(s.record.outcome, claim.metric) for s in row.records]


def sample_of(claim: Claim, mine: list[tuple[Row, list[Row]]], other: str) -> Sample | None:
    """Pairs of samples, cell by cell, with the sign that more is better for the claim."""
    cells: list[tuple[Side, Side | None]] = []
    for row, beside in mine:
        against = next((r for r in beside if faces(r, row, other) and r.n), None)
        if claim.kind == "reaches":
            cells.append((_side(claim, row, less=claim.value or 0.0), None))
        elif against is None:
            return None
        elif claim.kind == "drops at most":
            cells.append((_side(claim, row), _side(claim, against, less=claim.value or 0.0)))
        elif claim.kind in ("costs less than", "cuts earlier than"):
            cells.append((_side(claim, against, times=claim.value or 1.0), _side(claim, row)))
        else:
            cells.append((_side(claim, row), _side(claim, against)))
    return Sample(cells) if cells else None


def _side(claim: Claim, row: Row, *, times: float = 1.0, less: float = 0.0) -> Side:
    return Side(tuple(s.content for s in row.records), [times * v - less for v in _values(claim, row)])


def faces(row: Row, mine: Row, other: str) -> bool:
    """Whether `row` is the one to compare with: same data, model and target. The dense network has no target."""
    same = (row.data, row.model) == (mine.data, mine.model) and row.label == (other or "dense")
    return same and ((row.kind, row.target) == (mine.kind, mine.target) or row.label == "dense")


def _values(claim: Claim, row: Row) -> list[float]:
    if claim.kind == "costs less than":
        return [s.cost.hours for s in row.records]
    if claim.kind == "cuts earlier than":
        return [float(value) for value in told(claim, row) if isinstance(value, int | float)]
    return row.values(f"outcome.{claim.metric}")


def estimate_of(sample: Sample) -> Estimate:
    """The mean over cells. A row that is in several of them is one source of error."""
    weights: dict[tuple[str, ...], float] = {}  # of each row in the mean, summed over its cells
    values: dict[tuple[str, ...], list[float]] = {}
    for cell in sample.cells:
        for sign, side in zip((1, -1), cell, strict=True):
            if side:
                weights[side.records] = weights.get(side.records, 0.0) + sign / len(sample.cells)
                values[side.records] = side.values
    mean = sum(weight * fmean(values[key]) for key, weight in weights.items())
    parts = [weight**2 * variance(values[key]) / len(values[key]) for key, weight in weights.items()]
    freedoms = [len(each) - 1 for each in values.values()]
    squared = sum(parts)
    if squared == 0:
        return Estimate(mean, 0.0, 1.0)
    return Estimate(mean, sqrt(squared), squared**2 / sum(p**2 / f for p, f in zip(parts, freedoms, strict=True)))


def enough(claim: Claim) -> float:
    """The claim is right if the true value is above this."""
    return -claim.margin if claim.kind in WITHIN else 0.0


def p_wrong(claim: Claim, found: Estimate) -> float:
    """One-sided p that the claim is wrong.

    A claim that allows a margin is wrong below it. Any other is wrong if the difference points the other way, or
    is shown to be smaller than the margin in both directions. Equal rivals with few seeds decide nothing.
    """
    if claim.kind in WITHIN:
        return found.p_below(-claim.margin)
    no_difference = max(found.p_below(claim.margin), found.p_above(-claim.margin)) if claim.margin else 1.0
    return min(found.p_below(0.0), no_difference)
