"""What the README prints is what the published records give."""

import re

import pytest

from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import judge
from benchmark.evidence.ledger import state_of
from benchmark.find import ROOT
from benchmark.store import Store


@pytest.mark.parametrize(
    ("place", "file", "table"),
    [
        ("published", "cifar10-jpeg", "one-cycle"),
        ("published-structured", "cifar10-jpeg-small", "structured"),
        ("published-laasp-criteria", "cifar10-jpeg-small", "laasp-criteria"),
    ],
)
def test_the_tables_in_the_readme_are_the_published_ones(place: str, file: str, table: str) -> None:
    readme = (ROOT / "README.md").read_text().partition(f"<!-- {place}:begin -->")[2]
    shown = [line for line in readme.partition(f"<!-- {place}:end -->")[0].splitlines() if line.startswith("|")]
    published = (ROOT / "results" / "published" / "tables" / f"{file}.md").read_text()
    grid = published.partition(f"## {table}: ")[2].partition("### ")[0]
    assert shown
    assert shown == [line for line in grid.splitlines() if line.startswith("|")]


def test_the_ledger_in_the_readme_is_what_the_records_say() -> None:
    claims, wrong = read_claims()
    found = judge(claims, Store(ROOT / "results" / "published"), unread=len(wrong))
    judged = [f"| {f.claim.id} | {state_of(f)} | {f.why} | {f.claim.n} |" for f in found if f.p is not None]
    readme = (ROOT / "README.md").read_text().partition("<!-- ledger:begin -->")[2].partition("<!-- ledger:end -->")[0]
    assert [line for line in readme.splitlines() if line.startswith("|")][2:] == judged


def test_the_method_in_the_readme_is_the_file() -> None:
    method = (ROOT / "methods" / "one_cycle.py").read_text()
    readme = (ROOT / "README.md").read_text()
    assert method[method.index("@method") :].strip() in readme


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
