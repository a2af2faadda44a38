"""The formats of a table."""

import io
from collections.abc import Iterable
from pathlib import Path

from benchmark.errors import UnknownName
from benchmark.records.rows import Row
from benchmark.records.store import write_safely
from benchmark.report.latex import document, tex_table
from benchmark.report.markdown import md_table
from benchmark.report.table import Table
from benchmark.report.table_csv import csv_of

FORMATS = ("md", "tex", "csv")
PARQUET = "parquet"  # a file, not text
WHOLE = "document"  # of LaTeX: to be compiled as it is


def render(tables: list[Table], format: str) -> str:
    if format == WHOLE:
        return document(tables)
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    if format == "csv":
        return csv_of(csv_lines(tables))
    draw = md_table if format == "md" else tex_table
    return "\n".join(draw(table) for table in tables)


def write_parquet(tables: list[Table], path: Path) -> None:
    """The same rows and columns as the CSV, with their types."""
    import pandas  # takes a second to import

    frame = pandas.read_csv(io.StringIO(render(tables, "csv")), dtype={"records": "string"})
    write_safely(path, frame.to_parquet(index=False))


def csv_lines(tables: list[Table]) -> Iterable[tuple[Iterable[str], Row]]:
    return (((t.suite, t.spec.name, t.spec.track, t.tier), row) for t in tables for row in t.rows)
