"""Which code ran: hashes of what can change a number, over the syntax tree without docstrings.

Comments, docstrings, layout, reports, launchers and the command line do not count.
Two versions whose golden cells end in equal weights can be entered as equal (`prunebench golden`), so that
a change that changes no number does not make every record stale.
The dump below is our own because `ast.dump` differs between Python versions.
"""

import ast
import csv
import hashlib
import subprocess
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.cell import Cell, Spec

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent
ENGINE = (
    *("plan/canonical.py", "plan/cell.py", "plan/registry.py", "pruning/*.py", "training/*.py"),
    *(f"data/{name}.py" for name in ("images", "files", "archive", "tree")),
    *(f"runs/{name}.py" for name in ("run", "work", "schedules", "execute", "result", "parent")),
    *(f"runs/{name}.py" for name in ("attempts", "checkpoint")),
)
EQUAL = ROOT / "baselines" / "code_equal.csv"
PARTS = ("engine", "method", "model", "data")


class Code(Spec):
    engine: str
    method: str
    model: str
    data: str
    commit: str = ""
    dirty: bool = False
    version: str = ""  # of this package; older records have none
    LATER = ("version",)

    @property
    def meaning(self) -> tuple[str, ...]:
        """The hash of each part, or the oldest hash that was shown to be equal to it."""
        return _meaning(self.engine, self.method, self.model, self.data)

    def same(self, other: "Code") -> bool:
        """Equal in everything that can change a number. The commit may differ."""
        return self.meaning == other.meaning


@cache
def _meaning(*parts: str) -> tuple[str, ...]:
    return tuple(map(_oldest, parts))


def _oldest(hash: str) -> str:
    equal, seen = _equal(), set[str]()
    while hash in equal:
        if hash in seen:
            raise UserError(f"{EQUAL}: {hash} is said to be older than itself")
        seen.add(hash)
        hash = equal[hash]
    return hash


@cache
def _equal() -> dict[str, str]:
    """Newer hash -> older hash of the same meaning."""
    if not EQUAL.is_file():
        return {}
    with EQUAL.open(newline="") as file:
        try:
            return {row["now"]: row["was"] for row in csv.DictReader(file)}
        except KeyError as error:
            raise UserError(f"{EQUAL}: it has no column {error}") from None


def code_of(cell: Cell, methods_from: tuple[Path, ...] = ()) -> Code:
    return _code_of(cell.method.name, cell.model, cell.data, methods_from)


@cache
def _code_of(method_name: str, model_name: str, data_name: str, methods_from: tuple[Path, ...]) -> Code:
    found = [
        discovery.pick("method", method_name, discovery.methods(methods_from)),
        discovery.pick("model", model_name, discovery.models()),
        discovery.pick("data set", data_name, discovery.datasets()),
    ]
    return _code([(each.path, *each.helpers) for each in found])


def code_of_audit(model: str, data: str) -> Code:
    """In the place of a method stands what reads and matches the file."""
    found = [discovery.pick("model", model, discovery.models()), discovery.pick("data set", data, discovery.datasets())]
    return _code([tuple(sorted(HERE.glob("audit/*.py"))), *((each.path, *each.helpers) for each in found)])


def _code(paths: list[tuple[Path, ...]]) -> Code:
    """Of a method, a model and a data set."""
    method, model, data = map(_hash, paths)
    commit = _git("rev-parse", "HEAD")
    dirty = bool(_git("status", "--porcelain", "--untracked-files=no")) or not all(map(_tracked, chain(*paths)))
    return Code(
        engine=_engine(),
        method=method,
        model=model,
        data=data,
        commit=commit,
        dirty=bool(commit) and dirty,
        version=__version__,
    )


@cache
def _engine() -> str:
    return _hash(tuple(path for pattern in ENGINE for path in sorted(HERE.glob(pattern))))


@cache
def _hash(paths: tuple[Path, ...]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.name}\n{''.join(_dump(_bare(ast.parse(path.read_text())), []))}\n".encode())
    return whole.hexdigest()[:12]


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return tree


def _dump(node: Any, into: list[str]) -> list[str]:
    """Every field that is set. Fields that newer Pythons add are not set in older code."""
    if isinstance(node, ast.AST):
        into.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != []:
                into.append(f" {name}=")
                _dump(value, into)
        into.append(")")
    elif isinstance(node, list):
        into.append("[")
        for item in node:
            _dump(item, into)
            into.append(",")
        into.append("]")
    else:
        into.append(repr(node))
    return into


@cache
def _tracked(path: Path) -> bool:
    """False for a file outside the repository, which is in no commit of it."""
    return path.is_relative_to(ROOT) and bool(_git("ls-files", str(path)))


def _git(*arguments: str) -> str:
    """Empty without git or without a checkout of this project. The record then has an empty commit."""
    return _asked(*arguments) if _is_own_checkout() else ""


@cache
def _is_own_checkout() -> bool:
    """An installed package may be inside another repository, whose commits say nothing about it."""
    top = _asked("rev-parse", "--show-toplevel")
    return bool(top) and Path(top).resolve() == ROOT


@cache
def _asked(*arguments: str) -> str:
    try:
        out = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return out.stdout.strip() if out.returncode == 0 else ""
