"""A number that a reader must not take as it stands carries a mark wherever it is printed, and words below."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmark.evidence.claims import Finding
from benchmark.plan.suite import Planned, plan
from benchmark.plan.suite_file import read
from benchmark.records.flags import Flag
from benchmark.records.record import Record
from benchmark.records.rows import Row, rows_of
from benchmark.records.store import Store
from benchmark.report.footnotes import RAISED, Footnotes, in_latex, in_markdown
from benchmark.report.pictures import Comparison, pictures_of
from benchmark.report.rendering import render
from benchmark.report.site.build import build
from benchmark.report.table import tables_of
from tests.conftest import SUITE
from tests.evidence.common import claim
from tests.evidence.conftest import found
from tests.records.made import add, fill
from tests.report.conftest import needs_chromium

__all__ = ["found"]
MARK = re.compile(f"[{''.join(RAISED.values())}]+")


def planned(suite: Path, only: str = "") -> list[Planned]:
    return plan(read(str(suite)), only=only)


def drawn(suite: Path, store: Store, form: str) -> str:
    return render(tables_of(read(str(suite)), planned(suite), store), form)


def by_label(suite: Path, store: Store) -> dict[str, Row]:
    return {row.label: row for row in rows_of(planned(suite), store)}


def grid(md: str) -> dict[str, list[str]]:
    """Of the first grid: the cells of each line, by method."""
    first = md.partition("### ")[2].partition("Cost:")[0]
    lines = [line.strip("| ").split("|") for line in first.splitlines() if line.startswith("|")]
    return {cells[1].strip(): [cell.strip() for cell in cells] for cells in lines[2:]}


def notes(md: str) -> dict[str, str]:
    """The words of every letter, as they stand below the first grid."""
    last = md.partition("### ")[2].partition("Cost:")[0].strip().splitlines()[-1].removesuffix(".")
    return dict(note.split(" ", 1) for note in last.split("; "))


@pytest.fixture
def flawed(tmp_path: Path, suite: Path, template: Record) -> Store:
    """Dense lies below its floor, one_shot stops at half of its target, one_cycle lacks a seed."""
    suite.write_text(SUITE.replace("resnet_tiny = 10.0", "resnet_tiny = 95.0"))
    store = Store(tmp_path / "store")
    for each in planned(suite):
        if (each.label, each.cell.seed) != ("one_cycle", 1):
            short = {"beyond": -0.4 - 0.1 * each.cell.seed} if each.label == "one_shot" else {}
            add(store, template, each.cell, 80.0 + each.cell.seed, **short)
    return store


def test_markdown_marks_what_is_flagged_and_says_what_was_reached(suite: Path, flawed: Store) -> None:
    md = drawn(suite, flawed, "md")
    cells, words = grid(md), notes(md)
    said = {label: {words[mark] for mark in MARK.findall(line[2])[0]} for label, line in cells.items()}
    floor = "dense below its floor of 95 %"
    assert said == {
        "Dense": {floor},
        "One-Cycle": {floor, "1 of 2 planned seeds"},
        "One-shot": {floor, "target missed"},
    }
    assert cells["One-shot"][0] == "90 % weights, reached 40.0 to 50.0 %"
    assert cells["One-Cycle"][0] == "90 % weights"


def test_latex_marks_it_and_has_the_words_below(suite: Path, flawed: Store) -> None:
    tex = drawn(suite, flawed, "tex")
    line = next(line for line in tex.splitlines() if " & One-shot & " in line)
    assert line.startswith(r"90 \% weights, reached 40.0 to 50.0 \% &")
    assert r" & 80.50(71){\textsuperscript{a,c}} & " in line
    below = tex.partition(r"\end{tabular}")[2]
    assert r"\item[a] dense below its floor of 95 \%" in below
    assert r"\item[b] 1 of 2 planned seeds" in below
    assert not MARK.search(tex), "LaTeX raises its letters itself"


def test_csv_has_names_for_programs_words_for_people_and_the_share_reached(suite: Path, flawed: Store) -> None:
    rows = {row["method"]: row for row in csv.DictReader(drawn(suite, flawed, "csv").splitlines())}
    assert rows["one_shot"]["flags"] == "dense below floor; target missed"
    assert rows["one_shot"]["flag_texts"].endswith("; target missed: 40.0 to 50.0 % removed")
    assert (rows["one_shot"]["target"], rows["one_shot"]["reached"]) == ("0.9", "0.45")
    assert (rows["one_cycle"]["reached"], rows["dense"]["reached"]) == ("0.9", "")


def test_a_row_of_diverged_runs_is_marked_in_its_place(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template, ending="diverged")
    md = drawn(suite, store, "md")
    cells, words = grid(md), notes(md)
    assert cells["One-shot"][2].startswith("–")
    assert "2 diverged, not in the mean" in {words[mark] for mark in cells["One-shot"][2][1:]}
    (row, *_) = csv.DictReader(drawn(suite, store, "csv").splitlines())
    assert row["flags"].endswith("diverged"), "every value under its head"
    assert None not in row.values()


def test_a_table_without_flags_has_no_notes(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    fill(store, suite, template)
    assert not MARK.search(drawn(suite, store, "md"))
    assert "textsuperscript" not in drawn(suite, store, "tex")
    assert r"\item[" not in drawn(suite, store, "tex")


def test_two_networks_of_one_line_are_told_apart(tmp_path: Path, suite: Path, template: Record) -> None:
    suite.write_text(SUITE.replace("{ resnet_tiny = 10.0 }", "{ resnet_tiny = 10.0, vgg_tiny = 10.0 }"))
    store = Store(tmp_path)
    for each in planned(suite):
        off = 0.05 if (each.label, each.cell.model) == ("one_shot", "vgg_tiny") else 0.0
        add(store, template, each.cell, 80.0 + each.cell.seed, beyond=off)
    md = drawn(suite, store, "md")
    of = {name: md.partition(f"### {name}")[2].partition("Cost:")[0] for name in ("resnet_tiny", "vgg_tiny")}
    assert ["reached 95.0 %" in of[name] for name in of] == [False, True]
    assert [bool(MARK.search(of[name])) for name in of] == [False, True]


def test_one_flag_keeps_its_letter_and_letters_do_not_run_out() -> None:
    notes = Footnotes(in_latex)
    missed = [Flag("target missed", "target missed", f"{share} % removed") for share in (40, 50)]
    others = [Flag("seeds missing", f"{n} of 99 planned seeds") for n in range(30)]
    assert notes.mark([others[0], missed[0]]) == r"\textsuperscript{a,b}"
    assert notes.mark([missed[1]]) == r"\textsuperscript{b}", "what differs from row to row stands in the row"
    letters = [notes.letter(flag) for flag in others]
    assert len(set(letters)) == 30
    assert in_markdown(["z", "aa"]) == "ᶻᵃᵃ"


def test_the_board_marks_it_and_explains_the_letters(suite: Path, flawed: Store, tmp_path: Path) -> None:
    build(tables_of(read(str(suite)), planned(suite), flawed), [], flawed, tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    (line,) = (line for line in page.split("<tr>") if ">One-shot</a>" in line)
    assert "90 % of weights, reached 40.0 to 50.0 %" in line
    title, mark = re.findall(r'<sup class="mark" title="([^"]*)">([^<]*)</sup>', line)[0]
    assert title == "dense below its floor of 95 %; target missed: 40.0 to 50.0 % removed"
    legend = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.partition('id="marks"')[2].partition("</dl>")[0]))
    assert [legend[letter] for letter in mark.split(",")] == ["dense below its floor of 95 %", "target missed"]
    (row,) = (tmp_path / "site" / "rows").glob("*one-shot*")
    assert "90 % of weights to be removed, 40.0 to 50.0 % were" in row.read_text()


# ---- rows of other conditions ----------------------------------------------------------------------


def test_a_row_of_another_device_is_shown_and_compared_with_nothing(
    tmp_path: Path, suite: Path, template: Record
) -> None:
    store = Store(tmp_path)
    for each in planned(suite):
        add(store, template, each.cell, 80.0 + each.cell.seed, device="cpu" if each.label == "one_shot" else "cuda")
    rows = by_label(suite, store)
    odd = rows["one_shot"]
    assert (odd.n, odd.top1, odd.drop, odd.times_dense_hours, odd.times_dense_macs) == (2, 80.5, None, None, None)
    text = "other device (cpu) than the rest of this block: compare with nothing here"
    assert [str(flag) for flag in odd.flags if flag.name == "unlike conditions"] == [text]
    assert not rows["dense"].flags
    assert not rows["one_cycle"].flags
    md = drawn(suite, store, "md")
    words = notes(md)
    assert text in {words[mark] for mark in MARK.findall(grid(md)["One-shot"][2])[0]}
    about = next(line for line in md.splitlines() if line.startswith("Top-1 accuracy"))
    assert "(cuda," in about
    assert "(cpu," not in about
    pictures = pictures_of(tables_of(read(str(suite)), planned(suite), store), store)
    (picture,) = (picture for picture in pictures.values() if isinstance(picture, Comparison))
    assert [bar.label for bar in picture.bars] == ["one_cycle"], "no picture holds it against the others"


def test_such_a_row_is_held_against_a_dense_network_of_its_own_device(
    tmp_path: Path, suite: Path, template: Record
) -> None:
    store = Store(tmp_path)
    for each in planned(suite):
        add(store, template, each.cell, 70.0, device="cpu" if each.label == "one_shot" else "cuda")
    for each in planned(suite, "method=dense"):
        add(store, template, each.cell, 90.0, device="cpu")
    rows = by_label(suite, store)
    assert (rows["dense"].top1, rows["one_cycle"].drop) == (70.0, 0.0), "cuda is what most rows have"
    assert rows["one_shot"].drop == 20.0
    assert rows["one_shot"].times_dense_hours == 2.0
    assert rows["one_shot"].unlike


def test_a_dense_row_of_another_device_is_no_reference(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path)
    for each in planned(suite):
        add(store, template, each.cell, 70.0, device="cpu" if each.label == "dense" else "cuda")
    rows = by_label(suite, store)
    assert rows["dense"].unlike
    assert str(rows["dense"].flags[0]).endswith("(cpu) than the rest of this block: compare with nothing here")
    assert (rows["one_shot"].drop, rows["one_shot"].flagged("no dense reference")) == (None, True)


def test_a_row_with_one_record_of_the_blocks_conditions_shows_that_one(
    tmp_path: Path, suite: Path, template: Record
) -> None:
    store = Store(tmp_path)
    for each in planned(suite):
        late = {"device": "cuda", "finished": "2026-02-01T00:00:00+00:00"}
        mine = late if (each.label, each.cell.seed) == ("one_shot", 1) else {}
        add(store, template, each.cell, 80.0 + each.cell.seed, **mine)
    row = by_label(suite, store)["one_shot"]
    assert (row.n, row.top1, row.unlike) == (1, 80.0, False)
    assert row.flagged("newer record under other conditions")


@needs_chromium
def test_such_a_row_beats_none_in_the_plots(tmp_path: Path, suite: Path, template: Record, browser: Browser) -> None:
    store, top1 = Store(tmp_path / "store"), {"dense": 90.0, "one_cycle": 70.0, "one_shot": 99.0}
    for each in planned(suite):
        add(store, template, each.cell, top1[each.label], device="cpu" if each.label == "one_shot" else "cuda")
    build(tables_of(read(str(suite)), planned(suite), store), [], store, tmp_path / "site")
    page = browser.new_page()
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.wait_for_function("document.getElementById('flops').data")
    line = page.evaluate("document.getElementById('flops').data.filter(t => t.mode === 'lines').map(t => [...t.y])")
    assert line == [[70.0, 90.0]]
    page.close()


@pytest.mark.parametrize("label", ["one_cycle", "one_shot"])
@pytest.mark.parametrize("tuned", [False, True])
def test_no_claim_is_judged_on_such_a_row(
    found: Callable[..., list[Finding]], template: Record, label: str, tuned: bool
) -> None:
    means = {"dense": 92.0, "one_cycle": 90.0, "one_shot": 88.0}
    (clean,) = found(means, claim(tuned=tuned))
    assert clean.state == "reproduced"
    odd = template.how.model_copy(update={"mode": "fast"})
    (finding,) = found(means, claim(tuned=tuned), how=odd, where=label)
    assert (finding.state, finding.why) == ("not tested", f"rows of unlike conditions: {label}")
    (other,) = found(means, claim(kind="reaches", against=[], value=80.0), how=odd, where=label)
    assert (other.state == "reproduced") == (label != "one_cycle"), "a row that it does not speak of spoils nothing"


def test_the_board_says_hours_in_the_unit_of_their_device(tmp_path: Path, suite: Path, template: Record) -> None:
    store = Store(tmp_path / "store")
    for each in planned(suite):
        add(store, template, each.cell, 80.0 + each.cell.seed, device="cpu" if each.label == "one_shot" else "cuda")
    build(tables_of(read(str(suite)), planned(suite), store), [], store, tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    hours = {
        name: next(line for line in page.split("<tr>") if f">{name}</a>" in line) for name in ("One-shot", "One-Cycle")
    }
    assert "(2.00) core h<" in hours["One-shot"]
    assert ">2.00 GPU h<" in hours["One-Cycle"]


def test_a_row_that_two_tables_share_is_on_the_board_once(tmp_path: Path, suite: Path, template: Record) -> None:
    suite.write_text(
        SUITE + SUITE[SUITE.index("[[table]]") :].replace('"first"', '"again"').replace('"one_cycle", ', "")
    )
    store = Store(tmp_path / "store")
    for each in {each.id: each for each in planned(suite)}.values():
        add(store, template, each.cell, 80.0 + each.cell.seed)
    build(tables_of(read(str(suite)), planned(suite), store), [], store, tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert [page.count(f">{name}</a>") for name in ("Dense", "One-Cycle", "One-shot")] == [1, 1, 1]
