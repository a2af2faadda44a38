"""The LaTeX of every published table compiles, and what a row is called and cites comes from its method."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.commands.table import all_tables
from benchmark.plan import discovery
from benchmark.records.store import Store
from benchmark.report.latex import document
from benchmark.report.names import bibliography, cited, title

PUBLISHED = discovery.ROOT / "results" / "published"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_every_published_table_compiles(tmp_path: Path) -> None:
    for stem, tables in all_tables([], Store(PUBLISHED), ()).items():
        (tmp_path / f"{stem}.tex").write_text(document(tables))
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{stem}.tex"]
        for _ in range(2):  # citations need a second pass
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
            assert done.returncode == 0, done.stdout[-2000:]
        log = (tmp_path / f"{stem}.log").read_text(errors="replace")
        assert "undefined" not in log, "every citation has its entry"
        assert (tmp_path / f"{stem}.pdf").stat().st_size > 10_000


def test_every_method_here_has_a_name_for_tables() -> None:
    methods = discovery.methods()
    names = {name: title(name) for name in methods}
    assert len(set(names.values())) == len(methods)
    assert names["agp"] == "AGP"
    assert not [name for name in methods if names[name] == name], "each has an `In tables:` line in its head"
    assert title("agp, global") == "AGP, global"
    assert title("lab:mine, late") == "lab:mine, late", "a method from elsewhere keeps its own name"


def test_a_paper_is_cited_once_with_its_authors_title_and_year() -> None:
    papers = cited(["one_cycle", "one_cycle, global", "dense", "lab:mine"])
    assert list(papers) == ["one_cycle"]
    entry = bibliography(["one_cycle"])
    assert "author = {Hubens and Mancas and Gosselin and Preda and Zaharia}" in entry
    assert "title = {{One-Cycle Pruning: Pruning ConvNets Under a Tight Training Budget}}" in entry
    assert "year = {2021}" in entry
