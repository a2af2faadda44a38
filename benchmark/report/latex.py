"""Tables as LaTeX: booktabs, siunitx columns, notes below by threeparttable, and the papers they cite."""

import re
from collections.abc import Mapping

from benchmark.report.columns import NONE
from benchmark.report.footnotes import Footnotes, in_latex
from benchmark.report.names import cited, key
from benchmark.report.table import CUT, Block, Cell, Table

PACKAGES = r"""\usepackage{booktabs}
\usepackage{threeparttable}
\usepackage{siunitx}
\sisetup{separate-uncertainty = true, detect-weight = true, mode = text}
"""
SPECIAL = {
    **{letter: rf"\{letter}" for letter in "%_&#${}"},
    **{"–": "--", "×": r"$\times$", "±": r"$\pm$", "Δ": r"$\Delta$", "↓": r"$\downarrow$", "\n": " "},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
}
SIMPLE = re.compile(r"[+-]?\d+(\.\d+)?")
BEHIND = re.compile(r"\(\d+\)(\{.+?\}\}|\{.+?\})")  # what stands behind 86.04(41)
MEASURED = re.compile(r"(\d+\.\d\d) ± (\d+)\.(\d\d)(.*)")  # 86.04 ± 0.41


def escaped(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def tex_table(table: Table) -> str:
    """One table a data set and network, to be put into a document that loads PACKAGES."""
    return "\n".join(_block(block) for block in table.blocks)


def document(tables: list[Table]) -> str:
    """A whole document with its bibliography, to look at them."""
    papers = cited(row.label for table in tables for row in table.rows)
    entries = "".join(rf"\bibitem{{{name}}} {escaped(str(paper))}" + "\n" for name, paper in papers.items())
    listed = r"\begin{thebibliography}{9}" + f"\n{entries}" + r"\end{thebibliography}" if entries else ""
    body = "\n".join(map(tex_table, tables))
    return (
        "\\documentclass{article}\n\\usepackage[a4paper, margin = 2cm]{geometry}\n"
        f"{PACKAGES}\\begin{{document}}\n{body}\n{listed}\n\\end{{document}}\n"
    )


def _block(block: Block) -> str:
    notes = Footnotes(in_latex)
    head, body = block.paper()
    papers = cited(row.label for row in block.rows)
    lines, before = [], ""
    for line in body:
        if before and line[0].text != before:
            lines.append(r"\midrule")  # between targets
        first, *others = line
        target = escaped(first.text) if first.text != before else ""
        before = first.text
        lines.append(" & ".join([target, *(_cell(each, notes, papers) for each in others)]) + r" \\")
    table = block.table
    columns = "".join(_column(body, i) for i in range(3, len(head)))
    about = f"{block.model} on {block.data}. {table.spec.about} {block.caption()} Recipe: {table.recipe}."
    texts = [rf"\item[{letter}] {escaped(text)}" for letter, text in notes.texts()]
    extra = [rf"\item {escaped(note.replace('`', ''))}" for note in table.notes if note != CUT]
    return "\n".join(
        [
            f"% {table.spec.name}: {table.suite}, track {table.spec.track}, tier {table.tier}",
            r"\begin{table}[ht]",
            r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
            r"\begin{threeparttable}",
            rf"\caption{{{escaped(about)}}}",
            rf"\begin{{tabular}}{{ll{_accuracy_column(lines)}{columns}}}",
            r"\toprule",
            " & ".join(f"{{{escaped(each)}}}" for each in head) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            *([r"\begin{tablenotes}\footnotesize", *texts, *extra, r"\end{tablenotes}"] if texts or extra else []),
            r"\end{threeparttable}",
            r"\end{table}",
            "",
        ]
    )


def _accuracy_column(lines: list[str]) -> str:
    """With room behind the number for the longest marks."""
    behind = [found for line in lines for found in BEHIND.findall(line)]
    room = f", table-space-text-post = {max(behind, key=len)}" if behind else ""
    return f"S[table-format = 2.2(2){room}]"


def _column(body: list[list[Cell]], column: int) -> str:
    """Aligned at the decimal point where it holds numbers."""
    numbers = [text for line in body if SIMPLE.fullmatch(text := line[column].text)]
    if len(numbers) < sum(line[column].text != NONE for line in body) or not numbers:
        return "r"
    whole = max(len(number.partition(".")[0].lstrip("+-")) for number in numbers)
    sign = "-" if any(number[0] in "+-" for number in numbers) else ""
    return f"S[table-format = {sign}{whole}.{max(len(number.partition('.')[2]) for number in numbers)}]"


def _cell(cell: Cell, notes: Footnotes, papers: Mapping[str, object]) -> str:
    marks = notes.mark(cell.flags)
    if cell.cite:
        return escaped(cell.text) + (rf"~\cite{{{key(cell.cite)}}}" if key(cell.cite) in papers else "")
    bold = {1: r"\bfseries ", 2: ""}.get(cell.rank, "")
    if measured := MEASURED.fullmatch(cell.text):
        value, whole, part, more = measured.groups()
        number = f"{value}({int(whole + part)})"
        if cell.rank == 2:  # an S column cannot underline its numbers
            return rf"{{\underline{{\num{{{number}}}}}}}{marks}"
        return f"{bold}{number}{{{escaped(more)}{marks}}}" if more or marks else bold + number
    text = escaped(cell.text)
    if SIMPLE.fullmatch(cell.text):
        return f"{text}{{{marks}}}" if marks else text
    return f"{{{text}{marks}}}"  # braces keep an S column from reading it
