"""Verdicts on claims: one where the records give one, by the claim's own kind and measure; else none."""

from collections.abc import Callable

import pytest

from benchmark.evidence.claims import Finding
from benchmark.records.record import Record
from tests.evidence.common import claim


def test_a_clear_gap_is_reproduced_and_its_opposite_is_not(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    other = claim(id="other", method="one_shot", against=["one_cycle"])
    first, second = found(means, claim(), other)
    assert first.state == "reproduced"
    assert first.estimate == pytest.approx(2.0, abs=0.3)
    assert first.low < first.estimate < first.high
    assert len(first.records) == 2 * 5, "both sides, the seeds that were used"
    assert second.state == "not reproduced"


def test_no_gap_is_not_reproduced_when_the_margin_is_excluded_else_open(
    found: Callable[..., list[Finding]],
) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 90.0}
    (narrow,) = found(means, claim(margin=1.0), std=0.05)
    assert narrow.state == "not reproduced"
    (wide,) = found(means, claim(margin=0.2), std=0.5)
    assert wide.state == "inconclusive"
    assert wide.more_seeds > 10


def test_as_good_as_needs_its_margin(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 90.0}
    same = claim(kind="as good as", margin=0.5)
    (good,) = found(means, same, std=0.05)
    assert good.state == "reproduced"
    worse = {**means, "one_cycle": 89.0}
    (bad,) = found(worse, same, std=0.05)
    assert bad.state == "not reproduced"


def test_a_drop_is_held_against_dense(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 91.0, "one_shot": 90.0}
    small = claim(id="small", kind="drops at most", against=["dense"], value=1.0, margin=0.3)
    large = claim(id="large", kind="drops at most", against=["dense"], value=0.2, margin=0.3)
    first, second = found(means, small, large, std=0.05)
    assert (first.state, second.state) == ("reproduced", "not reproduced")


def test_a_claim_about_top5_is_judged_by_top5(found: Callable[..., list[Finding]], template: Record) -> None:
    means = {"dense": 92.0, "one_cycle": 50.0, "one_shot": 50.0}
    drop = claim(kind="drops at most", against=["dense"], value=0.0, margin=0.3, metric="top5")
    (by_top5,), (by_top1,) = found(means, drop, top5=99.0), found(means, drop.model_copy(update={"metric": "top1"}))
    assert (by_top5.state, by_top1.state) == ("reproduced", "not reproduced")


def test_what_was_not_measured_is_not_tested(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0}
    (finding,) = found(means, claim())
    assert (finding.state, finding.why) == ("not tested", "no records of one_shot")
    cost = claim(kind="costs less than", against=["dense"], value=1.0, margin=0.0)
    (on_cpu,) = found(means, cost)
    assert "hours on a CPU decide nothing" in on_cpu.why
    (on_gpu,) = found(means, cost, device="cuda")
    assert on_gpu.state == "not reproduced", "two hours are not less than one"


def test_who_removed_more_than_asked_is_held_against_a_number_and_not_against_others(
    found: Callable[..., list[Finding]],
) -> None:
    means = {"dense": 92.0, "one_cycle": 91.0, "one_shot": 85.0}
    drop = claim(id="drop", kind="drops at most", against=["dense"], value=1.0, margin=0.3)
    passed = found(means, drop, claim(), std=0.05, beyond=0.02)
    assert [finding.state for finding in passed] == ["reproduced", "not tested"]
    assert "target passed" in passed[1].why
    missed = found(means, drop, claim(), std=0.05, beyond=-0.02)
    assert [finding.state for finding in missed] == ["not tested", "not tested"]


def test_a_claim_that_names_what_no_table_has_is_not_judged_on_the_rest(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    for asked, named in (
        ({"targets": [0.9, 0.123]}, "12.3 %"),
        ({"models": ["resnet_tiny", "resnet21"]}, "resnet21"),
        ({"method": "one_cycle, tuned by magic"}, "tuned by magic"),
        ({"against": ["agp"]}, "agp"),
    ):
        (finding,) = found(means, claim(**asked))
        assert (finding.state, named in finding.why) == ("not tested", True)


def test_what_a_row_is_flagged_for_is_never_judged(found: Callable[..., list[Finding]], template: Record) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    (clean,) = found(means, claim())
    assert clean.state == "reproduced"
    assert len(clean.records) == 2 * clean.claim.n, "both sides, and only the seeds that were used"
    dirty = template.how.model_copy(update={"fingerprint": "a+b"})
    (finding,) = found(means, claim(), how=dirty)
    assert (finding.state, "ended in another" in finding.why) == ("not tested", True)
    (elsewhere,) = found(means, claim(), how=dirty, where="dense")
    assert elsewhere.state == "reproduced", "a row that the claim does not speak of"


def test_where_a_record_tells_nothing_of_the_measure_there_is_no_verdict(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    for asked in ({"metric": "top5"}, {"kind": "cuts earlier than"}):
        (finding,) = found(means, claim(**asked))
        assert (finding.state, "do not hold" in finding.why) == ("not tested", True)
    (noted,) = found(means, claim(kind="cuts earlier than"), stable={"one_cycle": 40, "one_shot": 90})
    assert noted.state == "reproduced", "the dense network notes no such epoch"


@pytest.mark.parametrize("noted", ["never", True, float("nan")])
def test_an_epoch_that_is_no_number_tells_nothing(found: Callable[..., list[Finding]], noted: object) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    (finding,) = found(means, claim(kind="cuts earlier than"), stable={"one_cycle": 40, "one_shot": noted})
    assert (finding.state, "do not hold" in finding.why) == ("not tested", True)


def test_hours_of_unlike_machines_decide_no_cost(found: Callable[..., list[Finding]], template: Record) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    faster = template.how.model_copy(update={"device_name": "another"})
    asked = claim(kind="costs less than", value=1.0, margin=0.0)
    (finding,) = found(means, asked, device="cuda", how=faster, where="one_cycle")
    assert (finding.state, "hours of unlike machines" in finding.why) == ("not tested", True)


def test_hours_that_others_had_a_part_in_decide_nothing(found: Callable[..., list[Finding]], template: Record) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    packed = template.how.model_copy(update={"packed": 3})
    asked = claim(kind="costs less than", value=1.0, margin=0.0)
    (finding,) = found(means, asked, device="cuda", how=packed)
    assert (finding.state, "hours shared with other runs" in finding.why) == ("not tested", True)
