"""What papers call a method, and whom to cite for it: two fields in the head of the method's file.

In tables: AGP
Paper:     Zhu, Gupta, "To prune, or not to prune: …", arXiv 1710.01878 (2017).
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmark.plan import discovery

PAPER = re.compile(r'(?P<authors>[^"]+), "(?P<title>[^"]+?),?", (?P<where>.+)')


@cache
def _heads() -> dict[str, dict[str, str]]:
    return {name: _fields(found.path) for name, found in discovery.methods().items()}


def _fields(path: Path) -> dict[str, str]:
    """`Name: value` at the left of the head; a value goes on where the next lines are indented."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = re.findall(r"^([A-Z][a-z ]+): +((?:.|\n(?= +\S))+)", text, re.M)
    return {name: " ".join(value.split()) for name, value in found}


def key(label: str) -> str:
    """The method of a row's label: `agp, global` is an agp, and so is `agp(scope=global)`."""
    return re.split(r"[, (]", label)[0]


def title(label: str) -> str:
    """`agp, global` -> `AGP, global`. What a suite adds to the name stays; a method from elsewhere keeps its own."""
    name = key(label)
    return _heads().get(name, {}).get("In tables", name) + label[len(name) :]


@dataclass(frozen=True)
class Paper:
    authors: str
    title: str
    where: str

    @property
    def bibtex(self) -> str:
        year = re.search(r"\b(?:19|20)\d\d\b", self.where)
        fields = {
            "author": self.authors.replace(", ", " and "),
            "title": f"{{{self.title}}}",
            "note": self.where,
            "year": year[0] if year else "",
        }
        return "".join(f"  {field} = {{{value}}},\n" for field, value in fields.items() if value)

    def __str__(self) -> str:
        return f"{self.authors}. {self.title}. {self.where}."


def cited(labels: Iterable[str]) -> dict[str, Paper]:
    """Key -> the paper behind it, of the methods in these rows that have one."""
    heads = {key(label): PAPER.match(_heads().get(key(label), {}).get("Paper", "")) for label in labels}
    return {
        name: Paper(found["authors"], found["title"], found["where"].partition(". ")[0].rstrip("."))
        for name, found in sorted(heads.items())
        if found
    }


def bibliography(labels: Iterable[str]) -> str:
    return "".join(f"@misc{{{name},\n{paper.bibtex}}}\n" for name, paper in cited(labels).items())
