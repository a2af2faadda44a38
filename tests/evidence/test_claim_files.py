"""Claim files and the ledger: what is wrong is named and stops nothing else; every claim has its dates."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.evidence import claim_files, ledger
from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import Finding, judge
from benchmark.evidence.ledger import as_json, as_markdown
from benchmark.records.store import Store
from tests.evidence.common import claim

FULL = '[[claim]]\nid = "a"\nsays = "x"\nreference = "y"\nkind = "beats"\nwhere = ["quick/weights"]\nmethod = "agp"\n'


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
        ("f", "quick has no tier small"),
    ):
        assert f"{id}.toml: claim {id}: " in said
        assert what in said


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


def test_a_version_of_a_claim_file_that_cannot_be_read_dates_nothing() -> None:
    before = {"a": {"id": "a", "n": 3}}
    assert claim_files._claims_in("not toml [", before) == before
    assert claim_files._claims_in("claim = 3", before) == before
    assert claim_files._claims_in('[[claim]]\nn = 3\n[[claim]]\nid = "b"\n', before) == {"b": {"id": "b"}}


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


def test_this_repositorys_claims_can_be_judged_and_printed() -> None:
    claims, wrong = read_claims()
    assert not wrong
    found = judge(claims, Store(Path("results/published")))
    assert len({f.claim.id for f in found}) >= 14
    text = as_markdown(found)
    assert text.startswith("# Claims")
    assert all(f.claim.says in text for f in found)
    assert {line["state"] for line in as_json(found)} <= {"reproduced", "not reproduced", "inconclusive", "not tested"}
