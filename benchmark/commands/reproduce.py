"""`reproduce`: what this machine can redo of a suite in a given time, beside what is published and what is pinned."""

from dataclasses import replace
from pathlib import Path

from benchmark.commands.check import check_suite
from benchmark.commands.run import RunOptions, run_suite, seconds_of
from benchmark.commands.table import make_table
from benchmark.evidence.pins import path_for, read_pins
from benchmark.plan import discovery
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import Suite, read
from benchmark.records.matrix import Entry
from benchmark.records.rows import Row
from benchmark.records.store import Store
from benchmark.report.columns import accuracy, removed
from benchmark.report.footnotes import Footnotes, in_markdown
from benchmark.report.markdown import md_grid, md_notes
from benchmark.report.rendering import render
from benchmark.report.reported_columns import beside
from benchmark.report.table import Grid, Table, tables_of
from benchmark.report.verdicts import as_markdown
from benchmark.runs.estimate import estimate

PUBLISHED = discovery.ROOT / "results" / "published"


def reproduce_suite(name: str, asked: RunOptions) -> int:
    seconds_of(asked.budget)  # reports a typo before anything is timed
    suite, published = read(name), Store(PUBLISHED)
    tier = asked.tier or _tier(suite, asked.device)
    print(_cost(suite, tier, asked.device, asked.data), flush=True)
    there = tables_of(suite, plan(suite, tier), published)
    print(f"\n# Published in this repository\n\n{render(there, 'md')}" if there else _nothing_published(suite, tier))
    print(f"# Here, within {asked.budget}, what is pinned first\n", flush=True)
    code = run_suite(name, replace(asked, tier=tier))
    if not (mine := tables_of(suite, plan(suite, tier), Store(asked.out))):
        print("\nNothing is finished yet; type the same command again to continue.")
        return code
    make_table(name, "", tier, (), asked.out, ())
    print("\n# Reported, this repository, you\n")
    print("\n".join(_side_by_side(mine, there)))
    if not read_pins(path_for(suite.name, tier)):
        print(f"\nNothing is pinned for {suite.name}, tier {tier}: there is nothing to check against.")
        return code
    report = check_suite(name, tier, (), asked.out, None, None, None)
    print(f"\n{as_markdown(report)}")
    return code or report.exit


def _tier(suite: Suite, device: str) -> str:
    """`small` without a GPU, if the suite has that tier; else `full`."""
    import torch

    gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return "full" if gpu or suite.file.small is None else "small"


def _cost(suite: Suite, tier: str, device: str, data: Path | None) -> str:
    """What the full tier would cost here, and `tier` too, if it is another."""
    lines = []
    for each in dict.fromkeys(("full", tier)):
        cells = {cell.id: cell for p in plan(suite, each) for cell in (*p.parents, p.cell)}
        entries = [Entry(id, cell, "pending") for id, cell in cells.items()]
        estimate(entries, Store(PUBLISHED), device=device, threads=suite.file.threads, data=data)
        hours = [entry.hours for entry in entries if entry.hours is not None]
        unknown = f"; {len(entries) - len(hours)} more of unknown cost" if len(hours) < len(entries) else ""
        lines.append(f"{suite.name}, tier {each}: {len(entries)} cells, about {sum(hours):,.0f} hours here{unknown}.")
    return "\n".join(lines)


def _nothing_published(suite: Suite, tier: str) -> str:
    others = ", ".join(sorted(path.stem for path in (PUBLISHED / "tables").glob("*.md")))
    nothing = f"Nothing of {suite.name}, tier {tier}, is published in this repository."
    return f"\n{nothing} Published here: {others or 'none'}.\n"


def _side_by_side(mine: list[Table], published: list[Table]) -> list[str]:
    notes = Footnotes(in_markdown)
    theirs = {_key(table, row): row for table in published for row in table.rows}
    body: Grid = []
    for table in mine:
        for row in table.rows:
            other = theirs.get(_key(table, row))
            printed = "; ".join(
                f"{each.reported.value:g}" + (f" (unlike in {', '.join(each.unlike)})" if each.unlike else "")
                for each in beside(row, table.spec, table.tier)
            )
            gap = f"{row.top1 - other.top1:+.2f}" if other and other.n and row.n else "–"
            place = f"{row.model}, {row.data}"
            both = [accuracy(each) + (notes.mark(each.flags) if each else "") for each in (other, row)]
            body.append([removed(row), row.label, place, printed or "–", *both, gap])
    head = ["removed", "method", "network", "reported", "this repository", "you", "gap to it"]
    return [*md_grid(head, body), *md_notes(notes)]


def _key(table: Table, row: Row) -> tuple[str | float, ...]:
    return table.spec.name, row.data, row.model, row.label, row.kind, row.target
