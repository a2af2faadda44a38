"""`table`: makes all tables and figures of a suite from its records, or compares them with what is there."""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from benchmark.errors import UnknownName, UserError
from benchmark.evidence.released import settings
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import known, read
from benchmark.records.code import code_of
from benchmark.records.rows import Row
from benchmark.records.store import Store, write_safely
from benchmark.report.audit import as_csv, as_markdown, picture
from benchmark.report.names import bibliography
from benchmark.report.pictures import Picture, pictures_of
from benchmark.report.rendering import FORMATS, PARQUET, render, write_parquet
from benchmark.report.table import Table, tables_of

DRAWING = "benchmark.report.figures"
ALL = "all"  # every suite and tier that has records
Tables = dict[str, list[Table]]  # what its files are called -> the tables of one suite and tier


def make_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """With a format: that text. Without: write every format and the figures under OUT, and return the Markdown."""
    if format == PARQUET:
        paths = []
        for stem, tables in _tables(name, tier, sets, out, methods_from).items():
            write_parquet(tables, path := out / "tables" / f"{stem}.parquet")
            paths.append(f"{path}\n")
        return "".join(paths)
    if format:
        found = _tables(name, tier, sets, out, methods_from)
    else:
        with _artist() as artist:
            found = _tables(name, tier, sets, out, methods_from)
            for path, content in _products(found, out, artist, name).items():
                write_safely(path, content)
    if old := sum(_is_old(row, methods_from) for tables in found.values() for table in tables for row in table.rows):
        print(f"{old} rows are of other code than this; `run --stale` runs them again", file=sys.stderr)
    return "\n".join(render(tables, format or "md") for tables in found.values())


def check_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """Check that the tables and figures there are those that the records give, byte for byte, and no others."""
    with _artist() as artist:
        products = _products(_tables(name, tier, sets, out, methods_from), out, artist, name)
    for path, content in products.items():
        if not path.is_file() or path.read_bytes() != content:
            raise UserError(f"{path}: not what its records give; `prunebench table {name} --out {out}` rewrites it")
    there = {path for folder in ("tables", "figures") for path in (out / folder).glob("*")}
    there = {path for path in there if path.suffix != f".{PARQUET}"}
    if name == ALL and (more := sorted(there - products.keys())):
        raise UserError(f"{more[0]}: no record gives it; delete it")
    return f"{name}: {len(products)} tables and figures equal what the records give\n"


def all_tables(names: list[str], store: Store, methods_from: tuple[Path, ...]) -> Tables:
    """The tables with records of each suite named (of all, if none is), in each tier."""
    there = {path.name for path in (store.root / "records").glob("*")}
    found: Tables = {}
    for name in names or list(known()):
        suite = read(name, (), methods_from)
        for tier in suite.tiers:
            planned = plan(suite, tier)
            if any(p.id in there for p in planned) and (tables := tables_of(suite, planned, store)):
                found[_stem(name, tier)] = tables
    return found


def _tables(name: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]) -> Tables:
    store = Store(out)
    if name == ALL:
        found = all_tables([], store, methods_from)
    else:
        suite = read(name, sets, methods_from)
        tables = tables_of(suite, plan(suite, tier), store)
        found = {_stem(name, tier): tables} if tables else {}
    if not found:
        raise UserError(f"no records of {name} (tier {tier}) in {out}; `prunebench run {name}` makes them")
    return found


def _is_old(row: Row, methods_from: tuple[Path, ...]) -> bool:
    """Whether a row is of other code than this. The table does not show that."""
    try:
        return any(not s.record.code.same(code_of(s.record.cell, methods_from)) for s in row.records[:1])
    except UnknownName:
        return True


def _stem(name: str, tier: str) -> str:
    return Path(name).stem if tier == "full" else f"{Path(name).stem}-{tier}"


@contextmanager
def _artist() -> Iterator[Executor]:
    """A process that draws. It imports matplotlib while this one reads the records, which takes as long."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(import_module, DRAWING)
        yield process


def _drawn(pictures: dict[str, Picture]) -> dict[str, bytes]:
    drawn: dict[str, bytes] = import_module(DRAWING).draw(pictures)
    return drawn


def _products(found: Tables, out: Path, artist: Executor, name: str) -> dict[Path, bytes]:
    """Everything that is made from the records; of all suites, also from the audits."""
    every = [table for tables in found.values() for table in tables]
    audited = settings(out) if name == ALL and (out / "audits").is_dir() else {}
    pictures = pictures_of(every, Store(out))
    if audited and (released := picture(audited)):
        pictures["released"] = released
    figures = artist.submit(_drawn, pictures)
    products = {
        out / "tables" / f"{stem}.{each}": render(tables, each).encode()
        for stem, tables in found.items()
        for each in FORMATS
    }
    for stem, tables in found.items():
        if papers := bibliography(row.label for table in tables for row in table.rows):
            products[out / "tables" / f"{stem}.bib"] = papers.encode()
    if audited:
        products[out / "tables" / "released.md"] = as_markdown(audited).encode()
        products[out / "tables" / "released.csv"] = as_csv(audited).encode()
    return products | {out / "figures" / file: svg for file, svg in figures.result().items()}
