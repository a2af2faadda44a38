"""The statistics of claims: one look at the first seeds, all targets, Holm over all claims."""

import random
from collections.abc import Callable
from dataclasses import replace

from benchmark.evidence.claims import Finding
from benchmark.evidence.differences import Sample, Side, estimate_of
from tests.evidence.common import claim


def test_one_look_only_the_first_seeds_count(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (five,) = found(means, claim(n=5), seeds=5)
    (of_eight,) = found(means, claim(n=5), seeds=8)
    assert (five.seeds, of_eight.seeds) == (5, 5)
    (few,) = found(means, claim(n=5), seeds=3)
    assert (few.state, few.more_seeds) == ("inconclusive", 2)


def test_only_the_first_planned_seeds_are_looked_at(found: Callable[..., list[Finding]]) -> None:
    """Seeds that come later cannot stand in for one that is missing: the look would move when it comes."""
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (whole,) = found(means, claim(n=5))
    (gap,) = found(means, claim(n=5), without=(2,))
    (later,) = found(means, claim(n=5), diverged=(6,))
    (early,) = found(means, claim(n=5), diverged=(3,))
    assert whole.state == "reproduced"
    assert later == replace(whole, records=later.records), "nor can one that comes later spoil what was seen"
    assert (early.state, "1 diverged" in early.why) == ("not tested", True)
    assert (gap.state, gap.why, gap.more_seeds) == ("inconclusive", "4 of 5 seeds", 1)


def test_a_claim_about_several_targets_waits_for_all_of_them(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (all_of_it,) = found(means, claim())
    (half,) = found(means, claim(), unmeasured=(0.99,))
    (one,) = found(means, claim(targets=[0.99]), unmeasured=(0.99,))
    assert all_of_it.state == "reproduced"
    assert (half.state, half.why) == ("inconclusive", "1 of its 2 targets and networks have records")
    assert one.state == "not tested"


def test_holm_asks_more_of_many_claims(found: Callable[..., list[Finding]]) -> None:
    """A difference that one claim alone would carry does not carry twenty."""
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 89.2}
    (alone,) = found(means, claim(n=8), std=0.7)
    assert alone.p is not None
    assert 0.001 < alone.p < 0.05
    assert alone.state == "reproduced"
    many = [claim(id=f"c{i}", n=8) for i in range(40)]
    assert found(means, *many, std=0.7)[0].state == "inconclusive"


def test_a_claim_that_cannot_be_read_counts_in_holm_all_the_same(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 89.2}
    (alone,) = found(means, claim(n=8), std=0.7)
    (beside,) = found(means, claim(n=8), std=0.7, unread=39)
    assert (alone.state, beside.state) == ("reproduced", "inconclusive")


def test_one_dense_row_that_faces_many_is_one_chance() -> None:
    """Six rows no better than dense: one unlucky dense row is not six findings."""
    draw, wrong = random.Random(0), 0
    for _ in range(2000):
        dense = Side(("dense",), [draw.gauss(0, 1) for _ in range(5)])
        cells = [(Side((str(i),), [draw.gauss(0, 1) for _ in range(5)]), dense) for i in range(6)]
        wrong += estimate_of(Sample(cells)).p_above(0.0) <= 0.05
    assert 0.03 < wrong / 2000 < 0.07
