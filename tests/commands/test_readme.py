"""What README and docs print is what the published records give, and what they name is there."""

import re
from pathlib import Path

import pytest

from benchmark.plan.discovery import ROOT
from tests.commands.readme_blocks import blocks, shown

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_tables_and_ledger_are_what_the_published_records_give() -> None:
    """`python -m tests.commands.readme_blocks` writes them anew."""
    for path, name, lines in blocks():
        assert lines
        assert shown(path, name) == lines, (path, name)


def test_the_method_in_the_readme_is_the_file() -> None:
    method = (ROOT / "methods" / "one_cycle.py").read_text()
    readme = (ROOT / "README.md").read_text()
    assert method[method.index("@method") :].strip() in readme


def test_the_readme_is_short() -> None:
    words = (ROOT / "README.md").read_text().split()
    assert sum(any(character.isalnum() for character in word) for word in words) <= 900, "bars of tables are no words"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
