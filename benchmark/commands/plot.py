"""`plot`: the figures of a suite, of one kind."""

from pathlib import Path

from benchmark.errors import UnknownName, UserError
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store, write_safely
from benchmark.report.pictures import KINDS, pictures_of, widths_of
from benchmark.report.table import tables_of

FORMATS = ("pdf", "svg", "png")


def plot(name: str, kind: str, format: str, *, tier: str, only: str, out: Path, methods_from: tuple[Path, ...]) -> str:
    """Write them into OUT/figures; their paths, a line each."""
    if kind not in KINDS:
        raise UnknownName("kind of figure", kind, KINDS)
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    suite, store = read(name, (), methods_from), Store(out)
    tables = tables_of(suite, plan(suite, tier, only), store)
    found = widths_of(tables, store) if kind == "widths" else pictures_of(tables, store)
    wanted = {stem: picture for stem, picture in found.items() if isinstance(picture, KINDS[kind])}
    if not wanted:
        raise UserError(f"{out}: no records of {suite.name} (tier {tier}) for a figure of kind {kind}")
    from benchmark.report.figures import draw

    drawn = draw(wanted, (format,))
    for file, content in drawn.items():
        write_safely(out / "figures" / file, content)
    return "".join(f"{out / 'figures' / file}\n" for file in drawn)
