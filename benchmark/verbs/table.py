"""`table`: everything that is made from the records of a suite, written or held against what lies there."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.report.table import FORMATS, Table, render, tables_of
from benchmark.store import Store, write_safely
from benchmark.suite import plan
from benchmark.suite_file import read


def make_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """With a format: that text. Without: every format and the figures written under OUT, and the Markdown."""
    tables = _tables(name, tier, sets, out, methods_from)
    if format:
        return render(tables, format)
    for path, content in _products(tables, name, tier, out).items():
        write_safely(path, content)
    return render(tables, "md")


def check_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """Are the tables and figures that lie there the ones their records give, byte for byte?"""
    products = _products(_tables(name, tier, sets, out, methods_from), name, tier, out)
    for path, content in products.items():
        if not path.is_file() or path.read_bytes() != content:
            raise UserError(f"{path}: not what its records give; `prunebench table {name} --out {out}` rewrites it")
    return f"{name}: {len(products)} tables and figures equal what the records give\n"


def _tables(name: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]) -> list[Table]:
    suite = read(name, sets, methods_from)
    tables = tables_of(suite, plan(suite, tier), Store(out))
    if not tables:
        raise UserError(f"no records of {suite.name} (tier {tier}) in {out}; `prunebench run {name}` makes them")
    return tables


def _products(tables: list[Table], name: str, tier: str, out: Path) -> dict[Path, bytes]:
    """Everything that is made from the records of a suite."""
    from benchmark.report.figures import figures_of

    stem = Path(name).stem if tier == "full" else f"{Path(name).stem}-{tier}"
    products = {out / "tables" / f"{stem}.{each}": render(tables, each).encode() for each in FORMATS}
    return products | {out / "figures" / file: svg for file, svg in figures_of(tables, Store(out)).items()}
