"""`reproduce`: what is published first, what is pinned run first, and the two beside each other."""

from pathlib import Path

import pytest

from benchmark.commands import reproduce
from benchmark.commands.pin import pin_suite
from benchmark.commands.reproduce import reproduce_suite
from benchmark.commands.run import RunOptions, in_order, run_suite
from benchmark.evidence import pins
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.matrix import Entry
from tests.conftest import SUITE

ONLY = "seed=0,method=dense+one_cycle"


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite of which another store has published and pinned a part."""
    monkeypatch.setattr(pins, "FOLDER", tmp_path / "pinned")
    monkeypatch.setattr(pins, "why_not", lambda record: "")  # the working tree of a developer is dirty
    monkeypatch.setattr(reproduce, "PUBLISHED", tmp_path / "published")
    (tmp_path / "mine.toml").write_text(SUITE)
    return str(tmp_path / "mine.toml")


def published(suite: str, folder: Path) -> None:
    run_suite(suite, RunOptions(only=ONLY, device="cpu", threads=1, out=folder / "published"))
    pin_suite(suite, "full", (), folder / "published", None, [])


def again(suite: str, folder: Path) -> int:
    asked = RunOptions(budget="2m", tier="", only=ONLY, device="cpu", out=folder / "mine")
    return reproduce_suite(suite, asked)


def test_the_same_on_the_same_machine_stands_beside_what_is_published(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(suite, tmp_path)
    capsys.readouterr()
    assert again(suite, tmp_path) == 0
    said = capsys.readouterr().out
    assert said.startswith("mine, tier full: 6 cells, about ")
    before, _, after = said.partition("# Here, within 2m")
    assert "## first: mine" in before, "the published table comes before the run"
    (line,) = (
        line for line in after.splitlines() if line.startswith("| 90 % weights | one_cycle | resnet_tiny, digits")
    )
    theirs, mine, gap = (cell.strip() for cell in line.strip("| ").split("|")[4:])
    assert theirs == mine
    assert gap == "+0.00"
    assert "# check mine: exit 0" in after


def test_where_nothing_is_published_or_pinned_it_says_so(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(suite, tmp_path) == 0
    said = capsys.readouterr().out
    assert "Nothing of mine, tier full, is published in this repository. Published here: none." in said
    assert "Nothing is pinned for mine, tier full" in said


def test_within_a_budget_what_is_pinned_comes_first(suite: str, tmp_path: Path) -> None:
    cells = [p.cell for p in plan(read(suite), "full", "seed=0")]
    todo = [Entry(cell.id, cell, "pending", hours=float(n)) for n, cell in enumerate(cells)]
    assert [e.hours for e in in_order(todo, 60.0, "mine", "full")] == [0.0, 1.0, 2.0]
    pin = dict.fromkeys((f for f in pins.Pin.__dataclass_fields__), "1") | {"cell": cells[2].id}
    pins.write([pins.Pin(**pin)], pins.path_for("mine", "full"))  # type: ignore[arg-type]
    assert [e.hours for e in in_order(todo, 60.0, "mine", "full")] == [2.0, 0.0, 1.0]
    assert in_order(todo, None, "mine", "full") == todo
