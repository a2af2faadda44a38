"""The site: every number from the records, nothing from the network, usable by keyboard, on a phone, in the dark."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmark.cli import main
from benchmark.records.store import Store
from benchmark.report import figures
from tests.conftest import SUITE

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; `apt-get install chromium`")

CHANNELS = """
[recipe.longer]
like = "matched"
epochs = 6

[[table]]
name = "second"
recipe = "longer"
models = { resnet_tiny = 10.0 }
methods = [
    { name = "ocspruner", monitor = 0, sl_start = 0, sl_end = 4, eps = 2.0 },
    { name = "laasp", start = 1, images = 64, step = 0.05, every = 0.3 },
]
remove = { macs = [0.4] }
"""


def prunebench(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert not end.value.code


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("site")
    (folder / "mine.toml").write_text(SUITE + CHANNELS)
    prunebench("run", folder / "mine.toml", "--out", folder, "--threads", 1)
    return Store(folder)


@pytest.fixture(scope="module")
def site(store: Store) -> Path:
    prunebench("report", store.root / "mine.toml", "--out", store.root, "--to", store.root / "report")
    return store.root / "report"


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


def test_figures_are_there_for_screen_and_paper(site: Path) -> None:
    for form, begins in {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}.items():
        drawn = list((site / "figures").glob(f"*.{form}"))
        assert len(drawn) == 6, "each table, what it weighs, the paths of ocspruner and laasp, and laasp's choices"
        assert all(path.read_bytes().startswith(begins) for path in drawn)


def test_a_figure_is_drawn_again_only_where_it_shows_something_else(
    store: Store, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(site, mine)
    drawn: list[str] = []
    whole = figures.draw

    def draw(pictures: dict[str, Any], forms: tuple[str, ...]) -> dict[str, bytes]:
        drawn.extend(pictures)
        return whole(pictures, forms)

    monkeypatch.setattr(figures, "draw", draw)
    again = ("report", store.root / "mine.toml", "--out", store.root, "--to", mine)
    prunebench(*again)
    assert not drawn
    lost = next((mine / "figures").glob("*.pdf"))
    lost.unlink()
    known = json.loads((mine / ".figures.json").read_text())
    other = next(stem for stem in known if stem != lost.stem)
    (mine / ".figures.json").write_text(json.dumps(known | {other: "it showed something else"}))
    prunebench(*again)
    assert sorted(drawn) == sorted([lost.stem, other])
    assert lost.is_file()


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


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, site: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The leaderboard. Whatever the console complains of, and whatever leaves the machine, fails the test."""
    page = browser.new_context(**getattr(request, "param", {})).new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.goto((site / "index.html").as_uri())
    yield page
    assert wrong == []
    page.context.close()


def column(page: Page, head: str) -> list[str]:
    heads = [text.strip() for text in page.locator("#board thead th").all_inner_texts()]
    return page.locator(f"#board tbody td:nth-child({heads.index(head) + 1})").all_inner_texts()


def plotted(page: Page) -> int:
    traces: list[Any] = page.evaluate("document.getElementById('macs').data.map(t => [t.mode, t.x.length])")
    return sum(length for mode, length in traces if mode == "markers")


@needs_chromium
def test_a_click_or_a_key_sorts(opened: Page) -> None:
    head = opened.get_by_role("columnheader", name="Top-1 %")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    values = [float(text.split()[0]) for text in column(opened, "Top-1 %")]
    assert values == sorted(values)
    opened.keyboard.press("Enter")  # the head has the focus still
    expect(head).to_have_attribute("aria-sort", "descending")
    assert [float(text.split()[0]) for text in column(opened, "Top-1 %")] == sorted(values, reverse=True)


@needs_chromium
def test_filters_leave_their_rows_in_the_table_and_in_the_plots(opened: Page) -> None:
    assert plotted(opened) == len(column(opened, "Of")) == 6
    opened.get_by_role("combobox", name="Removed").select_option("macs")
    assert column(opened, "Of") == ["macs", "macs"]
    assert plotted(opened) == 2
    opened.get_by_label("Search").fill("laasp")
    assert len(column(opened, "Of")) == 1


@needs_chromium
@pytest.mark.parametrize("name", ["Data set", "Model", "Track"])
def test_every_filter_offers_what_is_there_and_nothing_else(opened: Page, name: str) -> None:
    everything = column(opened, name)
    box = opened.get_by_role("combobox", name=name)
    offered = [text for text in box.locator("option").all_inner_texts() if text != "all"]
    assert set(offered) == set(everything)
    for value in offered:
        box.select_option(value)
        assert column(opened, name) == [each for each in everything if each == value]
        assert plotted(opened) == len(column(opened, name))


@needs_chromium
def test_from_a_row_to_its_curves_to_a_run(opened: Page) -> None:
    opened.get_by_role("link", name=re.compile("laasp")).first.click()
    expect(opened.locator("#curves[data-ready=yes]")).to_be_attached(timeout=15_000)
    captions = opened.locator("figcaption").all_inner_texts()
    assert {"accuracy on test, %", "noted: loss", "chosen, how often", "channels left in each group"} <= set(captions)
    opened.locator("table a").first.click()
    expect(opened.locator("#curves[data-ready=yes]")).to_be_attached(timeout=15_000)
    assert "prunebench rerun" in opened.locator("pre").inner_text()


@needs_chromium
@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_both_themes_follow_the_system_until_the_button_is_used(opened: Page, request: pytest.FixtureRequest) -> None:
    def paper() -> int:
        return sum(map(int, re.findall(r"\d+", opened.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]))

    dark = request.node.callspec.params["opened"]["color_scheme"] == "dark"
    assert (paper() < 200) is dark
    opened.locator("#theme").press("Enter")
    assert (paper() < 200) is not dark
    opened.reload()
    assert (paper() < 200) is not dark, "the choice is kept"
    ink = opened.evaluate("document.getElementById('macs').layout.font.color")
    assert ink == opened.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--text').trim()")


@needs_chromium
@pytest.mark.parametrize("opened", [{"viewport": {"width": 360, "height": 740}}], indirect=True)
def test_on_a_phone_no_page_is_wider_than_the_screen(opened: Page, site: Path) -> None:
    for page in ("index.html", "claims.html", *(str(p.relative_to(site)) for p in sorted(site.glob("r*/*.html"))[::4])):
        opened.goto((site / page).as_uri())
        opened.wait_for_timeout(300)
        assert opened.evaluate("document.documentElement.scrollWidth") <= 360, page


@needs_chromium
def test_everything_can_be_reached_by_keyboard(opened: Page) -> None:
    reached = set()
    for _ in range(40):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "SELECT", "INPUT"} <= reached
