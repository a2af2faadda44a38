"""How commands print: JSON, text, or rows in columns."""

import json
from typing import Any

import typer


def print_report(report: Any, as_json: bool) -> None:
    """A report is a text, a dict (a line for each key), or a list of dicts with the same keys."""
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    elif isinstance(report, str):
        typer.echo(report, nl=not report.endswith("\n"))
    elif isinstance(report, dict):
        width = max((len(str(key)) for key in report), default=0)
        for key, value in report.items():
            typer.echo(f"{key!s:{width}}  {value}")
    else:
        _print_rows([[str(value) for value in line.values()] for line in report])


def _print_rows(rows: list[list[str]]) -> None:
    """In columns. A row of one value is a sentence and widens no column."""
    table = [row for row in rows if any(row[1:])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in rows:
        if any(row[1:]):
            typer.echo("  ".join(f"{value:{width}}" for value, width in zip(row, widths, strict=True)).rstrip())
        else:
            typer.echo(row[0])


def duration(hours: float) -> str:
    """In the unit that a person would use."""
    seconds = 3600 * hours
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
    return f"{seconds / 60:.1f} min" if hours < 1 else f"{hours:.1f} hours"
