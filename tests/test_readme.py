"""What the README prints is what the published records give."""

import re

from benchmark.find import ROOT


def test_the_table_in_the_readme_is_the_published_one() -> None:
    readme = (ROOT / "README.md").read_text().partition("<!-- published:begin -->")[2]
    shown = [line for line in readme.partition("<!-- published:end -->")[0].splitlines() if line.startswith("|")]
    published = (ROOT / "results" / "published" / "tables" / "cifar10-jpeg.md").read_text()
    grid = [line for line in published.partition("### ")[0].splitlines() if line.startswith("|")]
    assert shown == grid


def test_the_method_in_the_readme_is_the_file() -> None:
    method = (ROOT / "methods" / "one_cycle.py").read_text()
    readme = (ROOT / "README.md").read_text()
    assert method[method.index("@method") :].strip() in readme


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
