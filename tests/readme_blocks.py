"""The parts of README.md and docs/RESULTS.md that come from the published records.

`python -m tests.readme_blocks` writes them anew; tests/test_readme.py holds the files to them.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import judge
from benchmark.evidence.ledger import state_of
from benchmark.find import ROOT
from benchmark.store import Store

PUBLISHED = ROOT / "results" / "published"
RESULTS = Path("docs/RESULTS.md")
TABLES = [  # file, name of the block, file of the table, name of the table
    (Path("README.md"), "published", "cifar10-jpeg", "one-cycle"),
    (RESULTS, "published-structured", "cifar10-jpeg-small", "structured"),
    (RESULTS, "published-laasp-criteria", "cifar10-jpeg-small", "laasp-criteria"),
]


def blocks() -> Iterator[tuple[Path, str, list[str]]]:
    """File, name and lines of each block."""
    for path, name, file, table in TABLES:
        yield path, name, grid(file, table)
    yield RESULTS, "ledger", ledger()


def grid(file: str, table: str) -> list[str]:
    """The first grid of a published table, with the notes below it."""
    text = (PUBLISHED / "tables" / f"{file}.md").read_text().partition(f"## {table}: ")[2].partition("### ")[0]
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    return "\n".join(lines[first:]).strip().splitlines()


def ledger() -> list[str]:
    claims, wrong = read_claims()
    found = judge(claims, Store(PUBLISHED), unread=len(wrong))
    judged = [f"| {f.claim.id} | {state_of(f)} | {f.why} | {f.claim.n} |" for f in found if f.p is not None]
    return ["| claim | verdict | difference (corrected interval) | n |", "|---|---|---|---|", *judged]


def shown(path: Path, name: str) -> list[str]:
    text = (ROOT / path).read_text()
    return text.partition(f"<!-- {name}:begin -->\n")[2].partition(f"<!-- {name}:end -->")[0].strip().splitlines()


if __name__ == "__main__":
    for path, name, lines in blocks():
        head, begin, rest = (ROOT / path).read_text().partition(f"<!-- {name}:begin -->\n")
        _, end, tail = rest.partition(f"<!-- {name}:end -->")
        (ROOT / path).write_text("".join([head, begin, "\n".join(lines), "\n", end, tail]))
