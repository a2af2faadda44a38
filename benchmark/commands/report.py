"""`report`: the site of a store."""

from pathlib import Path

from benchmark.commands.table import all_tables
from benchmark.errors import UserError
from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.claims import judge
from benchmark.evidence.released import settings
from benchmark.records.store import Store
from benchmark.report.site.build import build


def make_report(suites: list[str], out: Path, to: Path, methods_from: tuple[Path, ...]) -> str:
    """Every table of the suites (all there are, if none is named) that has records, in both tiers."""
    store = Store(out)
    found = all_tables(suites, store, methods_from)
    if not found:
        raise UserError(f"no records in {out} that a suite asks for; --out results/published shows what is published")
    tables = [table for each in found.values() for table in each]
    claims, wrong = read_claims()
    pages = build(tables, judge(claims, store, unread=len(wrong)), store, to, settings(out))
    return f"{pages} pages; open {to / 'index.html'}\n"
