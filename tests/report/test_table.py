"""A table is what its rows are, in every format: bytes repeatable, touched files found out, odd labels harmless."""

from pathlib import Path
from statistics import fmean

import pandas
import pytest

from benchmark.commands.table import check_table, make_table
from benchmark.errors import UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.report.pictures import TradeOff, pictures_of
from benchmark.report.rendering import render
from benchmark.report.table import tables_of
from tests.conftest import SUITE
from tests.records.made import TOP1, add, fill


def test_the_three_formats_hold_the_same_numbers(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    tables = tables_of(read(str(suite)), plan(read(str(suite))), store)
    md, tex, csv = (render(tables, f) for f in ("md", "tex", "csv"))
    assert "| 90 % weights | One-shot  | **82.00 ± 2.83** | -9.00" in md
    assert r" & One-shot & \bfseries 82.00(283) & -9.00 & 90.0 & " in tex
    assert tex.count(r"90 \% weights &") == 1, "said once for its rows"
    assert ",one_shot,weights,0.9,0.9,2,2,82,2.82843," in csv
    with pytest.raises(UserError, match="unknown format 'html'; known: csv, md, tex"):
        render(tables, "html")


def test_parquet_holds_what_the_csv_holds(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    assert make_table(str(suite), "parquet", "full", (), tmp_path, ()) == f"{tmp_path / 'tables' / 'mine.parquet'}\n"
    text = make_table(str(suite), "csv", "full", (), tmp_path, ())
    frame = pandas.read_parquet(tmp_path / "tables" / "mine.parquet")
    assert list(frame.columns) == text.splitlines()[0].split(",")
    assert frame.set_index("method")["top1_mean"].to_dict() == {name: fmean(values) for name, values in TOP1.items()}
    assert frame["n"].dtype.kind == "i"


def test_equal_records_give_equal_bytes_whatever_order_they_came_in(
    tmp_path: Path, suite: Path, template: Record
) -> None:
    texts = set()
    for name, reverse in (("a", False), ("b", True)):
        store = Store(tmp_path / name)
        for planned in sorted(plan(read(str(suite))), key=lambda p: p.cell.id, reverse=reverse):
            add(store, template, planned.cell, TOP1[planned.cell.method.name][planned.cell.seed])
        texts.add("".join(render(tables_of(read(str(suite)), plan(read(str(suite))), store), f) for f in ("md", "csv")))
    assert len(texts) == 1


def test_accuracy_is_weighed_against_what_differs(tmp_path: Path, suite: Path, template: Record) -> None:
    """Where every method leaves and costs the same there is nothing to weigh."""
    text = suite.read_text().replace("[0.9]", "[0.5, 0.9]")
    suite.write_text(text)
    planned = plan(read(str(suite)))
    for name, dearer in (("same", 1), ("dearer", 2)):
        store = Store(tmp_path / name)
        for each in planned:
            top1 = 90.0 - (10 * each.cell.remove.amount if each.cell.remove else 0)
            times = dearer if each.label == "one_shot" else 1
            cost = template.cost.model_copy(update={"training_macs": times * 10**9})
            add(store, template.model_copy(update={"cost": cost}), each.cell, top1)
        pictures = pictures_of(tables_of(read(str(suite)), planned, store), store)
        assert ("mine-first-resnet_tiny-weights-trade-off" in pictures) == (name == "dearer")
    found = pictures["mine-first-resnet_tiny-weights-trade-off"]
    assert isinstance(found, TradeOff)
    assert found.title.endswith("50 %, 90 % of weights removed")
    assert (found.dense, [offer.label for offer in found.offers]) == (90.0, ["one_cycle", "one_shot"])
    assert [offer.top1 for offer in found.offers] == [[85.0, 81.0]] * 2
    assert [offer.takes for offer in found.offers] == [{"MACs to train, × the dense network's": [n, n]} for n in (1, 2)]


def test_a_table_that_was_touched_is_found_out(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    make_table(str(suite), "", "full", (), tmp_path, ())
    assert "equal what the records give" in check_table(str(suite), "", "full", (), tmp_path, ())
    assert (tmp_path / "figures" / "mine-first-resnet_tiny.svg").is_file()
    path = tmp_path / "tables" / "mine.md"
    path.write_text(path.read_text().replace("82.00", "88.00"))
    with pytest.raises(UserError, match=r"mine\.md: not what its records give"):
        check_table(str(suite), "", "full", (), tmp_path, ())


def test_all_finds_every_suite_with_records_and_files_that_nothing_makes(tmp_path: Path, template: Record) -> None:
    store = Store(tmp_path)
    planned = plan(read("quick"), only="table=quick-weights,method=dense")
    add(store, template, planned[0].cell, 50.0)
    make_table("all", "", "full", (), tmp_path, ())
    assert (tmp_path / "tables" / "quick.md").is_file()
    assert "equal what" in check_table("all", "", "full", (), tmp_path, ())
    (tmp_path / "tables" / "old.md").write_text("of records long gone")
    with pytest.raises(UserError, match=r"old\.md: no record gives it"):
        check_table("all", "", "full", (), tmp_path, ())


def test_a_table_of_diverged_runs_can_be_drawn(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template, ending="diverged")
    text = make_table(str(suite), "", "full", (), tmp_path, ())
    assert "2 diverged" in text


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_damaged_side_costs_its_picture_and_nothing_else(
    damage: str, tmp_path: Path, suite: Path, template: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    whole = make_table(str(suite), "", "full", (), tmp_path, ())
    for path in (tmp_path / "records").glob("*/*.side.gz"):
        path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-9])
    assert make_table(str(suite), "", "full", (), tmp_path, ()) == whole
    assert ".side.gz: " + ("missing" if damage == "missing" else "its bytes are not") in capsys.readouterr().err


def test_odd_labels_break_no_table(tmp_path: Path, suite: Path, template: Record) -> None:
    odd = r"a|b$c^d~e{f}\\g"
    suite.write_text(SUITE.replace('"one_shot"', f'{{ name = "one_shot", as = "{odd}" }}'))
    fill(Store(tmp_path), suite, template)
    lines = make_table(str(suite), "md", "full", (), tmp_path, ()).splitlines()
    grid = [line.replace(r"\|", "") for line in lines if line.startswith("|")]
    assert any("a\\|b$c^d~e{f}\\g" in line for line in lines)
    assert len({line.count("|") for line in grid[:4]}) == 1
    tex = make_table(str(suite), "tex", "full", (), tmp_path, ())
    assert r"a|b\$c\textasciicircum{}d\textasciitilde{}e\{f\}\textbackslash{}g" in tex
    suite.write_text(SUITE.replace('name = "first"', 'name = "../../first"'))
    with pytest.raises(UserError, match="name"):
        read(str(suite))


def test_no_records_no_table(tmp_path: Path, suite: Path) -> None:
    with pytest.raises(UserError, match=r"no records of \S*mine"):
        make_table(str(suite), "md", "full", (), tmp_path, ())
