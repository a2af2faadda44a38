"""The site in a browser: nothing from the network, usable by keyboard, on a phone, in the dark."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from scipy.stats import binomtest, ttest_ind, ttest_rel

from benchmark.commands.compare import compare_rows
from benchmark.records.store import Store
from tests.report.conftest import needs_chromium


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
    """What is seen of a column, from top to bottom."""
    heads = [text.strip() for text in page.locator("#board thead th").all_inner_texts()]
    cells = f"#board tbody tr:not(.dtrg-group) td:nth-child({heads.index(head) + 1})"
    return [text.strip() for text in page.locator(cells).all_inner_texts()]


def shown(page: Page, key: str) -> list[str]:
    """One value of each row that is left."""
    values: list[str] = page.evaluate("key => shown().map(row => row[key])", key)
    return values


def plotted(page: Page, plot: str) -> int:
    traces: list[Any] = page.evaluate("id => document.getElementById(id).data.map(t => [t.mode, t.x.length])", plot)
    return sum(length for mode, length in traces if mode == "markers")


def numbers(page: Page, head: str) -> list[float]:
    return [float(re.sub(r"[()]", "", text).split()[0]) for text in column(page, head)]


@needs_chromium
@pytest.mark.parametrize("name", ["Top-1 %", "Train"])
def test_a_click_or_a_key_sorts_within_each_block(opened: Page, name: str) -> None:
    blocks = shown(opened, "block")
    sizes = [blocks.count(block) for block in dict.fromkeys(blocks)]
    assert sizes == [3, 3]
    assert opened.locator("#board .dtrg-group").all_inner_texts() == list(dict.fromkeys(blocks))

    def ordered(*, down: bool) -> None:
        mine = numbers(opened, name)
        first, second = mine[: sizes[0]], mine[sizes[0] :]
        assert [first, second] == [sorted(first, reverse=down), sorted(second, reverse=down)]
        assert shown(opened, "block") == blocks

    head = opened.get_by_role("columnheader", name=name)
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    ordered(down=False)
    opened.keyboard.press("Enter")  # the head has the focus still
    expect(head).to_have_attribute("aria-sort", "descending")
    ordered(down=True)


@needs_chromium
def test_filters_leave_their_rows_in_the_table_and_one_block_in_the_plots(opened: Page) -> None:
    assert len(column(opened, "Method")) == 6
    assert plotted(opened, "flops") == plotted(opened, "hours") == 3
    opened.get_by_role("combobox", name="Removed").select_option("macs")
    assert column(opened, "Removed") == ["40 % of macs", "40 % of macs"]
    assert plotted(opened, "flops") == 2
    opened.get_by_label("Search").fill("laasp")
    assert column(opened, "Method") == ["LAASP(every=0.3, images=64, start=1, step=0.05)"]
    assert plotted(opened, "hours") == 1


@needs_chromium
@pytest.mark.parametrize(
    ("name", "key"), [("Block", "block"), ("Data set", "data"), ("Model", "model"), ("Track", "track")]
)
def test_every_filter_offers_what_is_there_and_nothing_else(opened: Page, name: str, key: str) -> None:
    everything = shown(opened, key)
    box = opened.locator("#filters").get_by_role("combobox", name=name)
    offered = [text for text in box.locator("option").all_inner_texts() if text != "all"]
    assert set(offered) == set(everything)
    for value in offered:
        box.select_option(value)
        assert shown(opened, key) == [each for each in everything if each == value]
        assert plotted(opened, "flops") == shown(opened, "block").count(opened.locator("#block").input_value())


@needs_chromium
def test_two_ticked_rows_are_compared_as_the_command_does(opened: Page, store: Store) -> None:
    for title in ("One-Cycle", "One-shot"):
        opened.get_by_role("checkbox", name=f"Compare {title},").check()
    opened.get_by_role("link", name="Compare One-Cycle with One-shot").click()
    expect(opened.locator("#comparison[data-ready=yes]")).to_be_attached()
    seen = json.loads(opened.locator("#difference").get_attribute("data-values") or "")
    images = json.loads(opened.locator("#images").get_attribute("data-values") or "")
    (pair,) = compare_rows(str(store.root / "mine.toml"), "one_cycle", "one_shot", stores=(store.root, store.root))
    assert seen == pytest.approx({"difference": pair.difference, "low": pair.low, "high": pair.high, "p": pair.p})
    assert pair.agreement
    assert images["p"] == pytest.approx(pair.agreement.p)
    assert [images[key] for key in ("both", "onlyA", "onlyB", "neither")] == list(vars(pair.agreement).values())[:4]
    assert f"{100 * pair.a.params_left:.1f}" != "100.0"
    assert f"{100 - 100 * pair.a.params_left:.1f}" in opened.locator("#comparison table").inner_text()


@needs_chromium
def test_a_third_tick_takes_the_first_away_and_unlike_rows_are_refused(opened: Page) -> None:
    for title in ("One-Cycle", "One-shot", "LAASP"):
        opened.get_by_role("checkbox", name=f"Compare {title}").check()
    expect(opened.get_by_role("checkbox", name="Compare One-Cycle,")).not_to_be_checked()
    opened.get_by_role("link", name="Compare One-shot with LAASP").click()
    expect(opened.locator("#comparison")).to_contain_text("They cannot be compared: another target.")
    assert opened.locator("#difference").count() == 0
    opened.goto(opened.url.partition("?")[0])
    expect(opened.locator("#comparison")).to_contain_text("Tick two rows on the leaderboard")


@needs_chromium
def test_the_statistics_of_the_page_are_those_of_scipy(opened: Page, site: Path) -> None:
    opened.goto((site / "compare.html").as_uri())
    draw = np.random.default_rng(0)
    for n, m in [(2, 2), (3, 3), (5, 5), (3, 8), (40, 40)]:
        a, b = draw.normal(90, 0.3, n), draw.normal(90.2, 0.5, m)
        kinds = {"welch": ttest_ind(a, b, equal_var=False)} | ({"paired": ttest_rel(a, b)} if n == m else {})
        for kind, expected in kinds.items():
            found = opened.evaluate(f"([a, b]) => statistics.{kind}(a, b)", [a.tolist(), b.tolist()])
            interval = expected.confidence_interval()
            assert found["p"] == pytest.approx(expected.pvalue, rel=1e-9)
            assert [found["low"], found["high"]] == pytest.approx([interval.low, interval.high], rel=1e-6)
    for k, n in [(0, 1), (3, 3), (10, 25), (1444, 2171), (20_000, 20_400), (0, 900)]:
        found = opened.evaluate("([k, n]) => statistics.mcnemar(k, n)", [k, n])
        assert found == pytest.approx(binomtest(k, n + k).pvalue, rel=1e-6)


@needs_chromium
def test_from_a_row_to_its_curves_to_a_run(opened: Page) -> None:
    opened.get_by_role("link", name=re.compile("LAASP")).first.click()
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
    ink = opened.evaluate("document.getElementById('flops').layout.font.color")
    assert ink == opened.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--text').trim()")


@needs_chromium
@pytest.mark.parametrize("opened", [{"viewport": {"width": 360, "height": 740}}], indirect=True)
def test_on_a_phone_no_page_is_wider_than_the_screen(opened: Page, site: Path) -> None:
    for page in (
        "index.html",
        "claims.html",
        "compare.html",
        *(str(p.relative_to(site)) for p in sorted(site.glob("r*/*.html"))[::4]),
    ):
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
