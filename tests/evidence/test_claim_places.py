"""Where a claim looks: several tables are one number, a rival may stand in another, a tuned one is chosen."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.evidence import claims
from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import judge
from benchmark.evidence.ledger import summary
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import Record
from benchmark.records.rows import rows_of
from benchmark.records.store import Store
from tests.conftest import SUITE
from tests.evidence.common import PATTERN, claim
from tests.records.made import add


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


def test_in_the_small_tier_a_claim_speaks_of_what_stands_for_its_networks() -> None:
    claims = [claim for claim in read_claims()[0] if claim.id == "ocspruner-beats-epoch-0"]
    whys = {finding.place: finding.why for finding in judge(claims, Store(Path("nowhere")))}
    assert set(whys.values()) == {"no records"}, "both places plan what it asks for"
    assert len(whys) == 2
