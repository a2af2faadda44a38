"""`check`: compares a store with the pins, or with another store."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.evidence.check import Report
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store, write_safely


def check_suite(
    name: str,
    tier: str,
    sets: tuple[str, ...],
    out: Path,
    against: Path | None,
    junit: Path | None,
    summary: Path | None,
) -> Report:
    from benchmark.evidence.check import check
    from benchmark.evidence.comparison import compare
    from benchmark.evidence.pins import path_for, read_pins
    from benchmark.report.verdicts import as_junit, as_markdown

    suite = read(name, sets)
    if against:
        lines = list(compare(Store(out), Store(against), plan(suite, tier)))
        if not lines:
            raise UserError(f"neither {out} nor {against} holds a record of {suite.name}")
        report = Report(suite.name, lines)
    else:
        pins, smoke = read_pins(path_for(suite.name, tier)), suite.file.smoke
        report = check(suite.name, plan(suite, tier), pins, Store(out), smoke=smoke, whole=not sets)
    if junit:
        write_safely(junit, as_junit(report).encode())
    if summary:
        write_safely(summary, as_markdown(report, every=True).encode())
    return report
