"""Which code ran: hashes of what can change a number, over the syntax tree without docstrings.

Comments, docstrings and layout do not count; neither do reports, launchers or the command line.
The dump below is our own because `ast.dump` prints differently from one Python to the next.
"""

import ast
import hashlib
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from benchmark import find
from benchmark.cell import Cell, Spec

HERE = Path(__file__).resolve().parent
ENGINE = ("run.py", "registry.py", "engine/*.py", "network/*.py", "data/images.py")


class Code(Spec):
    engine: str
    method: str
    model: str
    data: str
    commit: str = ""
    dirty: bool = False

    def same(self, other: "Code") -> bool:
        """Equal in all that can change a number; the commit may differ."""
        mine, theirs = self.model_dump(exclude={"commit", "dirty"}), other.model_dump(exclude={"commit", "dirty"})
        return mine == theirs


def code_of(cell: Cell, methods_from: tuple[Path, ...] = ()) -> Code:
    def one(kind: str, name: str, among: dict[str, find.Found]) -> str:
        return _hash((find.pick(kind, name, among).path,))

    return Code(
        engine=_hash(tuple(path for pattern in ENGINE for path in sorted(HERE.glob(pattern)))),
        method=one("method", cell.method.name, find.methods(methods_from)),
        model=one("model", cell.model, find.models()),
        data=one("data set", cell.data, find.datasets()),
        commit=_git("rev-parse", "HEAD"),
        dirty=bool(_git("status", "--porcelain", "--untracked-files=no")),
    )


@cache
def _hash(paths: tuple[Path, ...]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.name}\n{''.join(_dump(_bare(ast.parse(path.read_text()))))}\n".encode())
    return whole.hexdigest()[:12]


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return tree


def _dump(node: Any) -> Iterable[str]:
    """Every field that is set: fields that newer Pythons add stay unset in older code."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value is not None and value != []:
                yield f" {name}="
                yield from _dump(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _dump(item)
            yield ","
        yield "]"
    else:
        yield repr(node)


@cache
def _git(*arguments: str) -> str:
    """Empty where there is no git or no checkout: a record says so by an empty commit."""
    try:
        out = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return out.stdout.strip() if out.returncode == 0 else ""
