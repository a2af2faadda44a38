"""Claims: fixed files, one look, every number used; a verdict where the data give one and nothing else."""

import itertools
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence import claim_files, claims, ledger
from benchmark.evidence.claim_files import Claim, read_claims
from benchmark.evidence.claims import Finding, judge, summary
from benchmark.evidence.differences import Sample, Side, estimate_of
from benchmark.evidence.ledger import as_json, as_markdown
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import How, Record
from benchmark.records.rows import rows_of
from benchmark.records.store import Store
from tests.conftest import SUITE
from tests.report.test_table import add, template

__all__ = ["template"]
SEEDS = 8
FULL = '[[claim]]\nid = "a"\nsays = "x"\nreference = "y"\nkind = "beats"\nwhere = ["quick/weights"]\nmethod = "agp"\n'
PATTERN = (0.0, 1.0, -1.0, 0.5, -0.5, 1.0, -1.0, 0.0)  # sums to nothing over five seeds and over eight


def claim(**changes: object) -> Claim:
    base = {"id": "c", "says": "x", "reference": "abstract only", "kind": "beats", "where": ["mine/first"]}
    return Claim.model_validate({**base, "method": "one_cycle", "against": ["one_shot"], "n": 5} | changes)


@pytest.fixture
def found(tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Judge claims on records whose accuracies lie around the given means."""
    number = itertools.count()

    def judged(
        means: dict[str, float],
        *asked: Claim,
        seeds: int = SEEDS,
        std: float = 0.2,
        device: str = "cpu",
        unmeasured: tuple[float, ...] = (),
        top5: float | None = None,
        how: How | None = None,
        where: str = "",
        stable: dict[str, int] | None = None,
        unread: int = 0,
        without: tuple[int, ...] = (),
        diverged: tuple[int, ...] = (),
        beyond: float = 0.0,
    ) -> list[Finding]:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        path, store = folder / "mine.toml", Store(folder)
        path.write_text(SUITE.replace('seeds = "0-1"', f'seeds = "0-{seeds - 1}"'))
        planned = plan(read(str(path)))
        for each in planned:
            if each.label in means and each.cell.seed not in without:
                top1 = means[each.label] + std * PATTERN[each.cell.seed]
                outcome = template.outcome.model_copy(update={"top5": top5})
                notes = {"stable_epoch": stable[each.label]} if stable and each.label in stable else {}
                mine = how if how and where in each.label else template.how
                changed = template.model_copy(update={"outcome": outcome, "how": mine, "notes": notes})
                failed = each.label == "one_cycle" and each.cell.seed in diverged
                ending = "diverged" if failed else "done"
                add(store, changed, each.cell, top1, device=device, ending=ending, beyond=beyond)
        for amount in unmeasured:
            removes = [p for p in planned if p.cell.remove]
            other = removes[0].cell.remove.model_copy(update={"amount": amount})
            planned += [replace(p, cell=p.cell.model_copy(update={"remove": other})) for p in removes]

        def rows(place: str, store: Store, n: int) -> Any:
            seen = claims.first_seeds(planned, n)
            return rows_of(seen, store), seen, {}

        monkeypatch.setattr(claims, "_rows", rows)
        return judge(asked, store, unread=unread)

    return judged


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


def test_rivals_may_stand_in_another_table(tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """One-Cycle with less budget against rivals with all of it: each side is looked up where it stands."""
    path, store = tmp_path / "mine.toml", Store(tmp_path)
    path.write_text(SUITE.replace('seeds = "0-1"', 'seeds = "0-4"'))
    planned = plan(read(str(path)))
    for each in planned:
        add(store, template, each.cell, {"one_cycle": 90.0}.get(each.label, 85.0) + PATTERN[each.cell.seed])
    rows = rows_of(planned, store)
    here = [row for row in rows if row.label == "one_cycle"]
    here += [replace(here[0], label="one_shot")]  # as good as the method itself: not the one that is meant
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: (rows if place == "full" else here, planned, {}))
    asked = claim(where=["half"], there="full")
    assert judge([asked], store)[0].state == "reproduced"
    assert judge([claim(where=["half"])], store)[0].estimate == 0
    here.pop()
    assert judge([claim(where=["half"])], store)[0].why == "no records of one_shot"


def test_a_claim_is_one_number_over_all_its_places_and_a_proxy_speaks_for_itself(
    tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins by a point at one place and loses by five at the other: no place alone makes it reproduced."""
    text = SUITE.replace('seeds = "0-1"', 'seeds = "0-4"')
    tables = {}
    for place, gap in (("here", 1.0), ("there", -5.0)):
        (tmp_path / place).mkdir()
        path, store = tmp_path / place / "mine.toml", Store(tmp_path / place)
        path.write_text(text)
        planned = plan(read(str(path)))
        for each in planned:
            add(store, template, each.cell, 80.0 + gap * (each.label == "one_cycle") + 0.1 * PATTERN[each.cell.seed])
        rows = [replace(row, data=place) for row in rows_of(planned, store)]
        moved = [replace(p, cell=p.cell.model_copy(update={"data": place})) for p in planned]
        tables[place] = rows, moved, {}
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: tables[place])
    both, alone = judge([claim(where=["here", "there"], proxy=["here"])], Store(tmp_path))
    assert (both.state, both.small_scale, both.place) == ("not reproduced", False, "here + there")
    assert both.estimate == pytest.approx(-2.0, abs=0.1)
    assert (alone.state, alone.small_scale) == ("reproduced", True)
    assert summary([both, alone])["c"].state == "not reproduced"
    tables["there"] = [], tables["there"][1], {}
    half, _ = judge([claim(where=["here", "there"], proxy=["here"])], Store(tmp_path))
    assert (half.state, half.why) == ("inconclusive", "1 of its 2 targets and networks have records")


def test_a_tuned_method_stands_by_what_is_best_on_validation_images(
    tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial that the validation images choose counts, though another is better on the test images."""
    path, store = tmp_path / "mine.toml", Store(tmp_path)
    path.write_text(SUITE.replace('seeds = "0-1"', 'seeds = "0-4"').replace('"one_shot"]', '"one_shot", "agp"]'))
    planned = plan(read(str(path)))
    names = {"one_cycle": "one_cycle", "one_shot": "one_shot, early", "agp": "one_shot, late"}
    top1 = {"one_cycle": (88.0, 80.0), "one_shot": (90.0, 70.0), "agp": (85.0, 75.0)}  # on test, on validation
    for each in planned:
        if each.label in names:
            test, validation = top1[each.label]
            outcome = template.outcome.model_copy(update={"validation": validation})
            chosen = template.model_copy(update={"outcome": outcome})
            add(store, chosen, each.cell, test + 0.1 * PATTERN[each.cell.seed])
    rows = [replace(row, label=names[row.label]) for row in rows_of(planned, store) if row.label in names]
    named = [replace(p, label=names[p.label]) for p in planned if p.label in names]
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: (rows, named, {}))
    (finding,) = judge([claim(tuned=True)], store)
    assert finding.state == "reproduced"
    assert finding.estimate == pytest.approx(3.0, abs=0.2)
    few = [*rows[:-1], replace(rows[-1], records=rows[-1].records[:3])]
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: (few, named, {}))
    (finding,) = judge([claim(tuned=True)], store)
    assert (finding.state, finding.why) == ("inconclusive", "fewer than 5 seeds of one_shot, late"), (
        "it might be chosen"
    )
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: (rows[:-1], named, {}))
    (finding,) = judge([claim(tuned=True)], store)
    assert (finding.state, finding.why) == ("not tested", "no records of one_shot, late")


def test_a_claim_about_top5_is_judged_by_top5(found: Callable[..., list[Finding]], template: Record) -> None:
    means = {"dense": 92.0, "one_cycle": 50.0, "one_shot": 50.0}
    drop = claim(kind="drops at most", against=["dense"], value=0.0, margin=0.3, metric="top5")
    (by_top5,), (by_top1,) = found(means, drop, top5=99.0), found(means, drop.model_copy(update={"metric": "top1"}))
    assert (by_top5.state, by_top1.state) == ("reproduced", "not reproduced")


def test_one_look_only_the_first_seeds_count(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (five,) = found(means, claim(n=5), seeds=5)
    (of_eight,) = found(means, claim(n=5), seeds=8)
    assert (five.seeds, of_eight.seeds) == (5, 5)
    (few,) = found(means, claim(n=5), seeds=3)
    assert (few.state, few.more_seeds) == ("inconclusive", 2)


def test_a_claim_about_several_targets_waits_for_all_of_them(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (all_of_it,) = found(means, claim())
    (half,) = found(means, claim(), unmeasured=(0.99,))
    (one,) = found(means, claim(targets=[0.99]), unmeasured=(0.99,))
    assert all_of_it.state == "reproduced"
    assert (half.state, half.why) == ("inconclusive", "1 of its 2 targets and networks have records")
    assert one.state == "not tested"


def test_what_was_not_measured_is_not_tested(found: Callable[..., list[Finding]]) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0}
    (finding,) = found(means, claim())
    assert (finding.state, finding.why) == ("not tested", "no records of one_shot")
    cost = claim(kind="costs less than", against=["dense"], value=1.0, margin=0.0)
    (on_cpu,) = found(means, cost)
    assert "hours on a CPU decide nothing" in on_cpu.why
    (on_gpu,) = found(means, cost, device="cuda")
    assert on_gpu.state == "not reproduced", "two hours are not less than one"


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


def test_two_tables_of_one_data_set_are_two_cells_of_a_claim(
    tmp_path: Path, template: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one table lacks the other cannot fill, though both name the same data, network and target."""
    path, store = tmp_path / "mine.toml", Store(tmp_path)
    path.write_text(SUITE.replace('seeds = "0-1"', 'seeds = "0-4"'))
    planned = plan(read(str(path)))
    for each in planned:
        add(store, template, each.cell, 80.0 + 5.0 * (each.label == "one_cycle") + 0.1 * PATTERN[each.cell.seed])
    rows = rows_of(planned, store)
    tables = {"here": (rows, planned, {}), "there": (rows, planned, {})}
    monkeypatch.setattr(claims, "_rows", lambda place, store, n: tables[place])
    (both,) = judge([claim(where=["here", "there"])], store)
    assert both.state == "reproduced"
    tables["there"] = [row for row in rows if row.label != "one_cycle"], planned, {}
    (half,) = judge([claim(where=["here", "there"])], store)
    assert (half.state, half.why) == ("inconclusive", "1 of its 2 targets and networks have records")
    tables["there"] = rows, [p for p in planned if p.label != "one_cycle"], {}
    (gone,) = judge([claim(where=["here", "there"])], store)
    assert (gone.state, gone.why) == ("not tested", "it asks for one_cycle, which is not in this table")


def test_one_dense_row_that_faces_many_is_one_chance() -> None:
    """Six rows no better than dense: one unlucky dense row is not six findings."""
    draw, wrong = random.Random(0), 0
    for _ in range(2000):
        dense = Side(("dense",), [draw.gauss(0, 1) for _ in range(5)])
        cells = [(Side((str(i),), [draw.gauss(0, 1) for _ in range(5)]), dense) for i in range(6)]
        wrong += estimate_of(Sample(cells)).p_above(0.0) <= 0.05
    assert 0.03 < wrong / 2000 < 0.07


def test_a_version_of_a_claim_file_that_cannot_be_read_dates_nothing() -> None:
    before = {"a": {"id": "a", "n": 3}}
    assert claim_files._claims_in("not toml [", before) == before
    assert claim_files._claims_in("claim = 3", before) == before
    assert claim_files._claims_in('[[claim]]\nn = 3\n[[claim]]\nid = "b"\n', before) == {"b": {"id": "b"}}


def test_a_claim_of_an_unknown_method_or_table_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.toml").write_text(
        '[[claim]]\nid = "a"\nsays = "s"\nreference = "r"\nkind = "beats"\nwhere = ["quick/quick-weights"]\n'
        'method = "one_cicle"\nagainst = ["agp"]\n'
    )
    good = FULL.replace("quick/weights", "quick/quick-weights")
    (tmp_path / "good.toml").write_text(good.replace('id = "a"', 'id = "b"'))
    for id, place in (
        ("c", "cifar11/structured"),
        ("d", "quick/weights"),
        ("e", "quick/quick-weights@tiny"),
        ("f", "quick/quick-weights@small"),
    ):
        (tmp_path / f"{id}.toml").write_text(FULL.replace("quick/weights", place).replace('id = "a"', f'id = "{id}"'))
    claims, wrong = read_claims(tmp_path)
    assert [claim.id for claim in claims] == ["b"]
    assert len(wrong) == 5
    said = capsys.readouterr().err
    assert "wrong.toml: claim a: unknown method 'one_cicle'; did you mean one_cycle" in said
    for id, what in (
        ("c", "unknown suite 'cifar11'"),
        ("d", "unknown table 'weights'"),
        ("e", "unknown tier 'tiny'"),
        ("f", "quick has no small tier"),
    ):
        assert f"{id}.toml: claim {id}: " in said
        assert what in said


def test_this_repositorys_claims_can_be_judged_and_printed() -> None:
    claims, wrong = read_claims()
    assert not wrong
    found = judge(claims, Store(Path("results/published")))
    assert len({f.claim.id for f in found}) >= 14
    text = as_markdown(found)
    assert text.startswith("# Claims")
    assert all(f.claim.says in text for f in found)
    assert {line["state"] for line in as_json(found)} <= {"reproduced", "not reproduced", "inconclusive", "not tested"}


@pytest.mark.parametrize(("changed", "late"), [("2026-01-03T00:00:00Z", True), ("2026-01-01T00:00:00Z", False)])
def test_a_claim_that_was_changed_after_its_first_record_says_so(
    found: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, late: bool
) -> None:
    (tmp_path / "one.toml").write_text('[[claim]]\nid = "c"\n')
    monkeypatch.setattr(ledger, "FOLDER", tmp_path)
    monkeypatch.setattr(ledger, "history", lambda path: {"c": ("aaa 2025-12-31T00:00:00Z", f"bbb {changed}")})
    (finding,) = found({"one_cycle": 90.0, "one_shot": 89.0}, claim())
    said = as_markdown([replace(finding, first_record="2026-01-02T00:00:00Z")])
    assert f"Fixed aaa 2025-12-31T00:00:00Z, changed bbb {changed}." in said
    assert ("older than the claim's last change" in said) == late


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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[claims]]\nid = "a"\n', "claim: Field required"),
        ("claim = 3\n", "claim: Input should be a valid list"),
        (FULL.replace('where = ["quick/weights"]', "where = []"), "claim a: where: List should have at least 1 item"),
        (FULL.replace("beats", "reaches"), "claim a: Value error, 'reaches' needs a value"),
        (FULL + "zeta = 3\n", "claim a: zeta: Extra inputs are not permitted"),
        (FULL.replace('["quick/weights"]', '["a/b", "a/b"]'), "claim a: Value error, where names a place twice"),
        (FULL + 'there = "a/b"\ntuned = true\n', "claim a: Value error, the rivals of a tuned claim must be in its"),
    ],
)
def test_a_wrong_claim_is_named_with_its_key_and_stops_no_other(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    right = FULL.replace("quick/weights", "quick/quick-weights")
    (tmp_path / "right.toml").write_text(right.replace('id = "a"', 'id = "b"'))
    claims, wrong = read_claims(tmp_path)
    assert [claim.id for claim in claims] == ["b"]
    (named,) = wrong
    assert f"wrong.toml: {says}" in named


def test_of_a_damaged_file_every_claim_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.toml").write_text(FULL * 3 + "[[cla")
    claims, wrong = read_claims(tmp_path)
    assert (claims, len(wrong)) == ([], 3)
    assert capsys.readouterr().err.count("torn.toml") == 1


def test_two_claims_of_one_name_are_one(tmp_path: Path) -> None:
    right = FULL.replace("quick/weights", "quick/quick-weights")
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(right)
    claims, wrong = read_claims(tmp_path)
    assert ([claim.id for claim in claims], len(wrong)) == (["a"], 1)
    assert "two.toml: claim a: another claim has this id" in wrong[0]


def test_each_claim_of_a_file_has_its_own_dates(tmp_path: Path) -> None:
    path, when = tmp_path / "one.toml", iter(f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 9))

    def commit(text: str) -> str:
        path.write_text(text)
        at = next(when)
        git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
        dates = os.environ | {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
            subprocess.run([*git, *arguments], check=True, env=dates)
        return at

    one, two = '[[claim]]\nid = "one"\nmargin = 0.2\n', '[[claim]]\nid = "two"\nmargin = 0.2\n'
    first, second = commit(one), commit(one + two)
    third = commit(one.replace("0.2", "0.3") + two)
    dated = {id: [each.partition(" ")[2] for each in pair] for id, pair in claim_files.history(path).items()}
    assert dated == {"one": [first, third], "two": [second, second]}
    path.write_text(one.replace("0.2", "0.3") + two.replace("0.2", "0.0"))
    dated = {id: [each.partition(" ")[2] for each in pair] for id, pair in claim_files.history(path).items()}
    assert dated["one"] == [first, third]
    assert claim_files.history(path)["two"][1].startswith("uncommitted 20")


def test_in_the_small_tier_a_claim_speaks_of_what_stands_for_its_networks() -> None:
    claims = [claim for claim in read_claims()[0] if claim.id == "ocspruner-beats-epoch-0"]
    whys = {finding.place: finding.why for finding in judge(claims, Store(Path("nowhere")))}
    assert set(whys.values()) == {"no records"}, "both places plan what it asks for"
    assert len(whys) == 2


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


@pytest.mark.parametrize("noted", ["never", True, float("nan")])
def test_an_epoch_that_is_no_number_tells_nothing(found: Callable[..., list[Finding]], noted: object) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 80.0}
    (finding,) = found(means, claim(kind="cuts earlier than"), stable={"one_cycle": 40, "one_shot": noted})
    assert (finding.state, "do not hold" in finding.why) == ("not tested", True)
