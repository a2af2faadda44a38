"""The site: every number from the records, every link leads somewhere, no file that no record asks for."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmark.cli import main
from benchmark.commands.table import all_tables
from benchmark.evidence.claim_files import Claim
from benchmark.evidence.claims import Finding
from benchmark.records.store import Store
from benchmark.report.site.build import build
from tests.conftest import SUITE
from tests.report.conftest import CHANNELS, prunebench


class Links(HTMLParser):
    """Everything that a page loads or leads to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src", "action") and value]


def test_every_row_and_every_run_has_a_page_and_every_link_leads_somewhere(store: Store, site: Path) -> None:
    pages = list(site.rglob("*.html"))
    records = {stored.content for stored in store.all()}
    assert {page.stem for page in (site / "runs").glob("*.html")} == records
    assert len(list((site / "rows").glob("*.html"))) == 6  # dense twice: of either recipe
    for page in pages:
        for link in Links(page).found:
            where = urlsplit(link)
            assert not where.scheme or where.scheme == "data", f"{page.name} wants {link}"
            assert not where.path or where.scheme or (page.parent / where.path).resolve().exists(), f"{page}: {link}"


def test_a_run_page_says_what_its_record_says_and_how_to_do_it_again(store: Store, site: Path) -> None:
    stored = next(s for s in store.all() if s.record.cell.method.name == "one_cycle")
    page = (site / "runs" / f"{stored.content}.html").read_text()
    record = stored.record
    for value in (f"{record.outcome.top1:.2f} %", record.id, record.how.fingerprint, record.code.engine):
        assert value in page
    assert f"prunebench rerun {stored.content} --records {store.root}" in page


@pytest.mark.parametrize(
    ("kind", "count"), [("pareto", 1), ("schedule", 2), ("stability", 2), ("choices", 1), ("widths", 1)]
)
def test_figures_of_one_kind(
    store: Store, kind: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(store.root / "records", mine / "records")
    asked = ["plot", str(store.root / "mine.toml"), "--kind", kind, "--format", "svg", "--out", str(mine)]
    prunebench(*asked)
    paths = capsys.readouterr().out.split()
    assert len(paths) == count
    assert all(Path(path).read_bytes().startswith(b"<?xml") for path in paths)
    with pytest.raises(SystemExit) as end:
        main([*asked, "--only", "method=dense"])
    assert end.value.code == 2
    assert f"for a figure of kind {kind}" in capsys.readouterr().err


def test_a_row_links_the_claims_that_its_runs_decide(store: Store, tmp_path: Path) -> None:
    table = next(iter(all_tables([str(store.root / "mine.toml")], store, ()).values()))[0]
    row = next(row for row in table.rows if row.label == "one_cycle")
    claim = Claim(id="mine-is-right", says="It is.", reference="none", kind="beats", method="one_cycle", where=["a/b"])
    decided = Finding(claim, "a/b", "reproduced", "+1 point", records=tuple(s.content for s in row.records))
    build([table], [decided], store, tmp_path)
    pages = {path.name: path.read_text() for path in (tmp_path / "rows").glob("*.html")}
    assert [name for name, page in pages.items() if "claims.html#mine-is-right" in page] == [
        name for name in pages if "one-cycle" in name
    ]


def test_equal_records_give_an_equal_site(store: Store, site: Path, tmp_path: Path) -> None:
    prunebench("report", store.root / "mine.toml", "--out", store.root, "--to", tmp_path)
    files = [path.relative_to(site) for path in site.rglob("*") if path.is_file()]
    assert {name for name in files if (site / name).read_bytes() != (tmp_path / name).read_bytes()} == set()


def test_what_is_withdrawn_or_damaged_goes_from_the_site(store: Store, site: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(store.root, mine)
    report = mine / "report"
    gone, torn, *_ = sorted((mine / "records").glob("*/*.json"))
    gone.unlink()
    side = torn.parent / f"{json.loads(torn.read_text())['side']}.side.gz"
    side.write_bytes(b"torn")
    for path in (report / "data").glob("*"):
        path.unlink()
    prunebench("report", mine / "mine.toml", "--out", mine, "--to", report)
    assert not (report / "runs" / f"{gone.stem}.html").exists()
    assert not (report / "data" / f"{gone.stem}.js").exists()
    assert (report / "runs" / f"{torn.stem}.html").exists()
    assert (report / "data" / f"{torn.stem}.js").exists()


def test_text_from_a_suite_is_text(store: Store, tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        (SUITE + CHANNELS).replace('"one_shot"', '{ name = "one_shot", as = "<script>alert(1)</script>" }')
    )
    prunebench("report", suite, "--out", store.root, "--to", tmp_path / "report")
    pages = [path.read_text() for path in (tmp_path / "report").rglob("*.html")]
    assert any("&lt;script&gt;alert(1)" in page for page in pages)
    assert not any("<script>alert(1)" in page for page in pages)


def test_an_empty_store_says_where_the_published_one_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", "--out", str(tmp_path)])
    assert end.value.code == 2
    assert "results/published" in capsys.readouterr().err


def test_a_rerun_ends_in_the_same_weights(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = next(s for s in store.all() if s.record.cell.method.name == "one_shot")
    capsys.readouterr()
    prunebench("rerun", stored.content, "--records", store.root, "--out", tmp_path, "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["weights"] == "equal, bit for bit"
    assert Path(report["new record"]).is_file()
