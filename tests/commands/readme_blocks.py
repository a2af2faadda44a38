"""The parts of README.md and docs/ that come from the published records, or from the code.

`python -m tests.commands.readme_blocks` writes them anew; tests/commands/test_readme.py holds the files to them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import judge
from benchmark.evidence.ledger import state_of
from benchmark.plan.discovery import ROOT
from benchmark.records.store import Store

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
    yield Path("docs/audit.md"), "released", (PUBLISHED / "tables" / "released.md").read_text().splitlines()
    yield Path("README.md"), "released", released_by_paper()
    yield Path("docs/architecture.md"), "rooms", ["```", *rooms(), "```"]


ROOMS = (
    *(
        "commands",
        "launch",
        "report",
        "evidence",
        "audit",
        "runs",
        "training",
        "data",
        "models",
        "pruning",
        "records",
        "plan",
    ),
)


def rooms() -> list[str]:
    """Every file of benchmark/, room by room as imports go down, with the first sentence of its docstring."""
    here = ROOT / "benchmark"
    lines = ["benchmark/"]
    loose = [here / f"{name}.py" for name in ("__init__", "__main__", "cli", "errors")]
    lines += [_line("  ", path) for path in loose]
    for room in ROOMS:
        lines += ["", f"  {room}/".ljust(26) + _first(here / room / "__init__.py")]
        files = sorted(path for path in (here / room).glob("*.py") if path.name != "__init__.py")
        lines += [_line("    ", path) for path in files]
        inner = sorted(path.parent for path in (here / room).glob("*/__init__.py"))
        lines += [f"    {folder.name}/".ljust(26) + _first(folder / "__init__.py") for folder in inner]
    return [*lines, "", "  suites/".ljust(26) + "One TOML file a suite."]


def _line(indent: str, path: Path) -> str:
    return f"{indent}{path.name}".ljust(26) + _first(path)


def _first(path: Path) -> str:
    """The first sentence of a file's docstring, as far as one line holds it."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?])\s", text.removeprefix("READ THIS FIRST. "))[0]
    return shorten(sentence, 100, placeholder=" …")


def grid(file: str, table: str) -> list[str]:
    """The first grid of a published table, with the notes below it."""
    text = (PUBLISHED / "tables" / f"{file}.md").read_text().partition(f"## {table}: ")[2].partition("Cost:")[0]
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    return "\n".join(lines[first:]).strip().splitlines()


def released_by_paper() -> list[str]:
    """The summary of the audit and its first grid."""
    return (PUBLISHED / "tables" / "released.md").read_text().partition("Setting by setting:")[0].strip().splitlines()


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
