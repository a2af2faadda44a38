"""Tables as Markdown."""

from benchmark.report.footnotes import Footnotes, in_markdown
from benchmark.report.table import Block, Cell, Grid, Table

SCALES = {
    "small": "The small tier runs at a small scale. It settles no claim of a paper.",
    "short": "The short tier trains a fifth of the epochs. It ranks under that budget and settles no claim of a paper.",
}


def md_table(table: Table) -> str:
    notes = Footnotes(in_markdown)
    lines = [f"## {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}", ""]
    if table.spec.about:
        lines += [table.spec.about, ""]
    lines += [f"Recipe: {table.recipe}."]
    if table.tier in SCALES:
        lines += [SCALES[table.tier]]
    for block in table.blocks:
        lines += _block(block, notes)
    for note in table.notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _block(block: Block, notes: Footnotes) -> list[str]:
    head, body = block.paper()
    lines = ["", f"### {block.model}, {block.data}", "", block.caption(), ""]
    before = len(notes.texts())
    lines += md_grid(head, [[_cell(cell, notes) for cell in line] for line in body])
    used = {letter for line in body for cell in line for letter in map(notes.letter, cell.flags)}
    lines += md_notes(notes, used) if used or before != len(notes.texts()) else []
    head, body = block.cost()
    lines += ["", "Cost:", "", *md_grid(head, [[cell.text for cell in line] for line in body])]
    if printed := block.printed():
        lines += ["", "What papers print beside it; a gap only where both followed one protocol:", ""]
        lines += md_grid(["removed", "method", "here", "printed", "gap", "unlike ours in", "where"], printed)
    return lines


def _cell(cell: Cell, notes: Footnotes) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    return text + notes.mark(cell.flags)


def md_notes(notes: Footnotes, used: set[str] | None = None) -> list[str]:
    """The words of the marks that were used, as a paragraph below the grid."""
    texts = [f"{in_markdown([letter])} {text}" for letter, text in notes.texts() if used is None or letter in used]
    return ["", "; ".join(texts) + "."] if texts else []


def md_grid(head: list[str], body: Grid) -> list[str]:
    head, *body = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in [head, *body]]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, body)]
