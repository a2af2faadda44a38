"""Which files a method's file imports from its own folder. Reads text, imports nothing.

All of them belong to its code (code.py), so an edit of a helper makes a record stale. Only relative
imports are followed: `from .helper import x`, `from . import helper`. An absolute import of a file
in the same folder would run code that is not hashed, so it is refused.
"""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from benchmark.errors import UserError


def parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text())
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}") from None


def imported(path: Path, folder: Path) -> tuple[Path, ...]:
    """The files of `folder` that `path` imports, and those that they import, without `path` itself."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        new = set(_imports(file, folder)) - found
        found |= new
        waiting += new
    return tuple(sorted(found - {path}))


def _imports(path: Path, folder: Path) -> Iterator[Path]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from _relative(node, path, folder)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for alias in node.names:
                _check_absolute(".".join([*module, alias.name]).split("."), node, path, folder)


def _relative(node: ast.ImportFrom, path: Path, folder: Path) -> Iterator[Path]:
    text, where = ast.unparse(node), f"{path}:{node.lineno}: "
    base = path.parent
    for _ in range(node.level - 1):
        base = base.parent
    if not base.is_relative_to(folder):
        raise UserError(f"{where}`{text}` leaves the folder {folder}; its code would not be hashed")
    for part in node.module.split(".") if node.module else ():
        yield from _packages(base, folder)
        if (base / f"{part}.py").is_file() and not (base / part / "__init__.py").is_file():
            base = base / f"{part}.py"
        else:
            base = base / part
    if base.is_file():
        yield base
        return
    if not base.is_dir():
        raise UserError(f"{where}`{text}`: there is no {base}.py")
    yield from _packages(base, folder)
    for alias in node.names:
        inner = (base / f"{alias.name}.py", base / alias.name / "__init__.py")
        there = [file for file in inner if file.is_file()]
        if not there and (base == folder or not (base / "__init__.py").is_file()):
            raise UserError(f"{where}`{text}`: there is no {inner[0]}")
        yield from there


def _packages(base: Path, folder: Path) -> Iterator[Path]:
    """The files that run when a package is imported. The folder's own is not run (discovery.py) or imports nothing."""
    if base != folder and (base / "__init__.py").is_file():
        yield base / "__init__.py"


def _check_absolute(name: list[str], node: ast.stmt, path: Path, folder: Path) -> None:
    """Refuse `import helper` and `import lab.helper`, where lab is the folder."""
    if name[0] == "benchmark" or _installed(name[0], folder):  # `import random` beside a method random.py
        return
    inner = name[1:] if name[0] == folder.name and len(name) > 1 else name
    for base in (path.parent, folder):
        if (base / f"{inner[0]}.py").is_file() or (base / inner[0] / "__init__.py").is_file():
            relative = f"from . import {inner[0]}"
            raise UserError(
                f"{path}:{node.lineno}: `{ast.unparse(node)}`: write `{relative}`, so that its code is hashed"
            )


def _installed(name: str, folder: Path) -> bool:
    """Whether the name is found outside of the folder."""
    if name in sys.stdlib_module_names:
        return True
    spec = PathFinder.find_spec(name)
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return bool(places) and not any(place and Path(place).resolve().is_relative_to(folder) for place in places)
