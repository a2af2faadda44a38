"""`pin`, `check`, `claims`, `golden`: what was measured against what is expected of it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UnknownName, UserError
from benchmark.store import Store, write_safely
from benchmark.suite import plan
from benchmark.suite_file import read

if TYPE_CHECKING:
    from benchmark.evidence.check import Report as Checked

Report = dict[str, Any]


def pin_suite(
    name: str,
    tier: str,
    sets: tuple[str, ...],
    out: Path,
    published: Path | None,
    elsewhere: list[Path],
    *,
    replace: bool = False,
) -> Report:
    """Write what is clean, finished and current into baselines/pinned, and its records where they are published.

    Pins of other cells stay, unless `replace` drops them. `elsewhere` are stores of the same suite from other
    environments: what they differ by is what `check` allows.
    """
    from benchmark.evidence import tolerance
    from benchmark.evidence.pins import gather, path_for, read_pins, untouched, write

    suite, store = read(name, sets), Store(out)
    planned = plan(suite, tier)
    pins, left_out = gather(planned, store)
    if not pins:
        reasons = Counter(left_out.values()).most_common(1)
        raise UserError(f"nothing to pin in {out}: " + (reasons[0][0] if reasons else f"no records of {suite.name}"))
    allowed = tolerance.measure(suite.name, planned, [store, *map(Store, elsewhere)]) if elsewhere else []
    path = path_for(suite.name, tier)
    others = untouched(read_pins(path), pins)
    whole = pins if replace else [*pins, *others]
    if published and published.resolve() != out.resolve():
        for pin in pins:  # before they are pinned: a pin never names a record that is not there whole
            store.copy(pin.cell, pin.record, Store(published))
    write(whole, path)
    cells = {p.id for p in planned}
    report: Report = {
        "pinned": len(pins),
        "dropped" if replace else "kept as they were": len(others),
        "planned cells with a pin": f"{len(cells & {pin.cell for pin in whole})} of {len(cells)}",
        "in": str(path),
    }
    if allowed:
        tolerance.write(allowed)
        report |= {f"tolerance of {each.model}": f"{each.points:g} points" for each in allowed}
    return report | {f"left out: {why}": count for why, count in Counter(left_out.values()).items()}


def check_suite(
    name: str,
    tier: str,
    sets: tuple[str, ...],
    out: Path,
    against: Path | None,
    junit: Path | None,
    summary: Path | None,
) -> "Checked":
    from benchmark.evidence.check import Report as Checked
    from benchmark.evidence.check import check, compare
    from benchmark.evidence.pins import path_for, read_pins
    from benchmark.report.verdicts import as_junit, as_markdown

    suite = read(name, sets)
    if against:
        lines = list(compare(Store(out), Store(against), plan(suite, tier)))
        if not lines:
            raise UserError(f"neither {out} nor {against} holds a record of {suite.name}")
        report = Checked(suite.name, lines)
    else:
        pins, smoke = read_pins(path_for(suite.name, tier)), suite.file.smoke
        report = check(suite.name, plan(suite, tier), pins, Store(out), smoke=smoke, whole=not sets)
    if junit:
        write_safely(junit, as_junit(report).encode())
    if summary:
        write_safely(summary, as_markdown(report, every=True).encode())
    return report


def list_claims(format: str, out: Path) -> tuple[Any, bool]:
    """What papers claim and what the records under OUT say to it; and whether it is for a machine."""
    from benchmark.evidence.claim_files import read_claims
    from benchmark.evidence.claims import judge
    from benchmark.evidence.ledger import FORMATS, as_json, as_markdown

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    claims, wrong = read_claims()
    found = judge(claims, Store(out), unread=len(wrong))
    if format == "json":
        return as_json(found), True
    if format == "html":
        from benchmark.report.site.build import ledger_page

        return ledger_page(found), False
    return as_markdown(found), False


def compare_codes(commit: str, suites: list[str], enter: bool) -> Report:
    from benchmark.golden import SUITES, compare
    from benchmark.golden import enter as write

    pairs, cells = compare(commit, suites or [str(path) for path in sorted(SUITES.glob("*.toml"))])
    report: Report = {"cells with equal weights": cells}
    report |= {f"{part} {now}": f"means what {was} meant" for part, was, now in pairs}
    if enter:
        report["entered"] = write(pairs, commit, cells)
    return report
