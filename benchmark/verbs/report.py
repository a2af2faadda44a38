"""`report`: the site of a store."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.evidence.claims import judge, read_claims
from benchmark.report.site.build import build
from benchmark.report.table import Table, tables_of
from benchmark.store import Store
from benchmark.suite import TIERS, plan
from benchmark.suite_file import known, read


def make_report(suites: list[str], out: Path, to: Path, methods_from: tuple[Path, ...]) -> str:
    """Every table of the suites (all there are, if none is named) that has records, in both tiers."""
    store = Store(out)
    there = {path.name for path in (out / "records").glob("*")}
    tables: list[Table] = []
    for name in suites or list(known()):
        suite = read(name, (), methods_from)
        for tier in TIERS if suite.file.small else TIERS[:1]:
            planned = plan(suite, tier)
            if any(p.id in there for p in planned):
                tables += tables_of(suite, planned, store)
    if not tables:
        raise UserError(f"no records in {out} that a suite asks for; --out results/published shows what is published")
    pages = build(tables, judge(read_claims(), store), store, to)
    return f"{pages} pages; open {to / 'index.html'}\n"
