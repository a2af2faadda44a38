"""Writes the report of a check: for people (Markdown), for CI (JUnit XML), for machines (JSON)."""

from collections import Counter
from typing import Any
from xml.etree import ElementTree as Xml

from benchmark.evidence.check import Line, Report

BAD = ("regressed", "better")


def as_json(report: Report) -> dict[str, Any]:
    lines = [
        {"tier": line.tier, "what": line.what, "verdict": line.verdict, "why": line.why, **line.numbers}
        for line in report.lines
    ]
    pinned = {"planned": report.planned, "pinned": report.pinned} if report.planned else {}
    return {"suite": report.suite, "exit": report.exit, "counts": _counts(report), **pinned, "lines": lines}


def as_markdown(report: Report, *, every: bool = False) -> str:
    """One line per tier for what passed; the rest in full, with every number used. With `every`, everything in full."""
    head = ", ".join(f"{count} {verdict}" for verdict, count in _counts(report).items())
    pinned = f" {report.pinned} of {report.planned} planned cells are pinned." if report.planned else ""
    text = [f"# check {report.suite}: exit {report.exit}", "", f"{head}.{pinned}", ""]
    for tier in dict.fromkeys(line.tier for line in report.lines):
        mine = [line for line in report.lines if line.tier == tier]
        shown = [line for line in mine if every or line.verdict != "pass"]
        text += [f"## {tier}: {_passed(mine)}", ""]
        text += [f"- **{line.verdict}** {line.what}: {line.why}{_numbers(line)}" for line in shown]
        text += [""] if shown else []
    return "\n".join(text)


def as_junit(report: Report) -> str:
    """Regressions are failures. What could not be judged is skipped, never passed."""
    suite = Xml.Element("testsuite", name=f"prunebench check {report.suite}", tests=str(len(report.lines)))
    for line in report.lines:
        case = Xml.SubElement(suite, "testcase", classname=f"{report.suite}.{line.tier}", name=line.what)
        if line.verdict in BAD:
            Xml.SubElement(case, "failure", message=f"{line.verdict}: {line.why}")
        elif line.verdict != "pass":
            Xml.SubElement(case, "skipped", message=f"{line.verdict}: {line.why}")
    suite.set("failures", str(sum(line.verdict in BAD for line in report.lines)))
    suite.set("skipped", str(sum(line.verdict not in (*BAD, "pass") for line in report.lines)))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _counts(report: Report) -> dict[str, int]:
    return dict(Counter(line.verdict for line in report.lines).most_common())


def _passed(lines: list[Line]) -> str:
    """How many pass, and whether they are equal or only within the tolerance."""
    passed = [line for line in lines if line.verdict == "pass"]
    equal = sum(line.why.startswith("equal") for line in passed)
    other = len(passed) - equal
    how = f"{equal} equal, {other} different but within what is allowed" if other else "all equal"
    return f"{len(passed)} of {len(lines)} pass" + (f" ({how})" if passed else "")


def _numbers(line: Line) -> str:
    if not line.numbers:
        return ""
    shown = (
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in line.numbers.items()
    )
    return f" ({', '.join(shown)})"
