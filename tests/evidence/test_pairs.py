"""`compare`: the numbers that scipy gives on the records, and a refusal where two rows cannot be compared."""

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.cli import main
from benchmark.commands.compare import as_markdown, compare_rows
from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import Record
from benchmark.records.store import Store, pack_side
from benchmark.report.rendering import render
from benchmark.report.table import tables_of
from tests.conftest import SUITE
from tests.records.made import add

TOP1 = {"dense": (90.0, 91.0, 92.0), "one_cycle": (85.0, 86.5, 87.0), "one_shot": (84.0, 86.0, 85.0)}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE.replace('"0-1"', '"0-2"'))
    return path


@pytest.fixture
def store(tmp_path: Path, suite: Path, template: Record) -> Store:
    store = Store(tmp_path / "store")
    for each in plan(read(str(suite))):
        add(store, template, each.cell, TOP1[each.label][each.cell.seed])
    return store


def values(suite: Path, store: Store) -> dict[str, dict[int, float]]:
    """By way of the CSV: the accuracy of each seed of each method."""
    text = render(tables_of(read(str(suite)), plan(read(str(suite))), store), "csv")
    found: dict[str, dict[int, float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        for name in row["records"].split():
            (path,) = store.root.glob(f"records/*/{name}.json")
            record = json.loads(path.read_text())
            found.setdefault(row["method"], {})[record["cell"]["seed"]] = record["outcome"]["top1"]
    return found


def test_it_is_what_scipy_gives_on_the_records_of_the_csv(suite: Path, store: Store) -> None:
    (pair,) = compare_rows(str(suite), "one_cycle", "one_shot", stores=(store.root, store.root))
    seen = values(suite, store)
    expected = stats.ttest_rel([seen["one_cycle"][s] for s in range(3)], [seen["one_shot"][s] for s in range(3)])
    assert pair.p == pytest.approx(expected.pvalue)
    assert (pair.low, pair.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert pair.difference == pytest.approx(
        np.mean(list(seen["one_cycle"].values())) - np.mean(list(seen["one_shot"].values()))
    )
    assert pair.how == "paired by seed"
    assert pair.more_seeds > 0
    assert "+1.17 points" in as_markdown([pair])


def test_without_common_seeds_it_is_welchs_test(suite: Path, store: Store, template: Record, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    moved = tmp_path / "moved" / "mine.toml"
    moved.parent.mkdir()
    moved.write_text(suite.read_text().replace('"0-2"', '"0-6"'))
    for each in plan(read(str(moved)), only="method=one_cycle,seed=3-6"):
        add(other, template, each.cell, 80.0 + each.cell.seed)
    (pair,) = compare_rows(str(moved), "one_cycle", "one_cycle", stores=(store.root, other.root))
    expected = stats.ttest_ind(TOP1["one_cycle"], [83.0, 84.0, 85.0, 86.0], equal_var=False)
    assert (pair.seeds, pair.p) == ((3, 4), pytest.approx(expected.pvalue))
    assert pair.agreement is None


def test_images_are_compared_one_by_one(suite: Path, template: Record, tmp_path: Path) -> None:
    store, right = Store(tmp_path / "bits"), {"one_cycle": "11110000", "one_shot": "11001000"}
    for each in plan(read(str(suite)), only="method=one_cycle+one_shot,seed=0-1"):
        packed = np.packbits(np.array(list(right[each.label])) == "1").tobytes()
        side, content = pack_side({"curves": [], "journal": [], "bits": base64.b64encode(packed).decode()})
        outcome = template.outcome.model_copy(update={"n": 8, "top1": 50.0 + each.cell.seed})
        network = template.network.model_copy(update={"weights_hash": each.id})
        changed = {"id": each.id, "cell": each.cell, "side": side, "outcome": outcome, "network": network}
        store.add(template.model_copy(update=changed), content)
    (pair,) = compare_rows(str(suite), "one_cycle", "one_shot", stores=(store.root, store.root))
    seen = pair.agreement
    assert seen
    assert (seen.both, seen.only_a, seen.only_b, seen.neither) == (4, 4, 2, 6)
    assert seen.p == pytest.approx(stats.binomtest(4, 6).pvalue)


def test_rows_of_another_device_or_recipe_are_refused_with_the_reason(
    suite: Path, store: Store, template: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Store(tmp_path / "other")
    for each in plan(read(str(suite)), only="method=one_cycle"):
        add(other, template, each.cell, 80.0 + each.cell.seed, device="cuda")
    with pytest.raises(UserError, match="one_cycle and one_cycle cannot be compared: other device"):
        compare_rows(str(suite), "one_cycle", "one_cycle", stores=(store.root, other.root))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(suite), "one_cycle", "--out", str(store.root), "--against", str(other.root)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UserError, match="unknown row 'one_shto'; did you mean one_shot"):
        compare_rows(str(suite), "one_cycle", "one_shto", stores=(store.root, store.root))


def test_json_holds_every_number(suite: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(suite), "one_cycle", "one_shot", "--out", str(store.root), "--format", "json"])
    assert not ended.value.code
    (pair,) = json.loads(capsys.readouterr().out)
    assert pair["difference"] == pytest.approx(7 / 6)
    assert len(pair["records"][0]) == 3
