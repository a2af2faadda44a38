"""Finds methods, models and data sets by looking into their folders. Reads text, imports nothing.

A thing is a function under `@method`, `@model` or `@dataset`. Nothing but its file needs to be added. The
file may be a folder's `__init__.py`, and may import others of its folder by relative imports (siblings.py).
Its facts (the decorator's arguments) and its configuration (its keyword-only defaults) are literals, so a
suite's cells and their ids can be known without torch.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from benchmark.errors import UnknownName, UserError
from benchmark.plan import registry
from benchmark.plan.canonical import digest
from benchmark.plan.cell import Kind, Scope
from benchmark.plan.siblings import imported, parse

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent
Epochs = int  # marks an option in epochs, which the tier `short` scales with the recipe
FOLDERS = {"method": ROOT / "methods", "model": HERE / "models", "dataset": HERE / "data"}


@dataclass(frozen=True)
class Found:
    kind: str
    name: str
    path: Path
    folder: Path  # where it was found
    helpers: tuple[Path, ...]  # files of the folder that it imports, and that those import
    about: str
    facts: dict[str, Any]
    defaults: dict[str, Any]
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # options that are one of a few
    epochs: tuple[str, ...] = ()  # options that are marked as Epochs

    @property
    def function(self) -> str:
        return self.name.rpartition(":")[2]


def methods(extra: tuple[Path, ...] = ()) -> dict[str, Found]:
    """The repository's methods, and those of other folders as `folder:name`."""
    found = dict(_in_folder("method", FOLDERS["method"], ""))
    for folder in extra:
        if not folder.is_dir():
            raise UserError(f"--methods {folder}: no such folder")
        mine = guests(folder)
        if not mine:
            raise UserError(f"--methods {folder}: no function under @method in any of its files")
        if twice := sorted(found.keys() & mine.keys()):
            raise UserError(f"--methods {folder}: {twice[0]} is already there; rename one of the two folders")
        found |= mine
    return found


def guests(folder: Path) -> dict[str, Found]:
    """The methods of a folder outside the repository."""
    return _in_folder("method", folder.resolve(), f"{folder.resolve().name}:")


def models() -> dict[str, Found]:
    return _in_folder("model", FOLDERS["model"], "")


def datasets() -> dict[str, Found]:
    return {name.replace("_", "-"): f for name, f in _in_folder("dataset", FOLDERS["dataset"], "").items()}


def pick(kind: str, name: str, among: dict[str, Found], where: object = "") -> Found:
    """A data set is found by the part before the colon of `folder:NAME`. A method's colon is part of its name."""
    key = name.partition(":")[0] if kind == "data set" else name
    if key not in among:
        raise UnknownName(kind, name, among, where)
    return among[key]


def load(found: Found) -> Callable[..., Any]:
    """Import the file and return the function. Only here is a found thing imported."""
    function: Callable[..., Any] = getattr(_module(found.path, found.folder), found.function)
    return function


def written(found: Found, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A method's options as a cell that removes `kind` writes them: without options at their `implied` values."""
    implied = found.facts.get("implied", {})
    return {key: value for key, value in config.items() if implied.get(key, {}).get(kind, ...) != value}


def options(found: Found, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The reverse of `written`: the options to call the method with."""
    implied = found.facts.get("implied", {})
    return {key: of[kind] for key, of in implied.items() if kind in of} | dict(config)


@cache
def _module(path: Path, folder: Path) -> ModuleType:
    within = path.parent if path.name == "__init__.py" and path.parent != folder else path.with_suffix("")
    importlib.invalidate_caches()
    return importlib.import_module(".".join((_package(folder), *within.relative_to(folder).parts)))


def _package(folder: Path) -> str:
    """The package that a folder's files are imported from. A folder outside is made one, for relative imports.

    The `__init__.py` of such a folder is not run and not hashed.
    """
    if folder in FOLDERS.values():
        return ".".join(folder.relative_to(ROOT).parts)
    name = f"_outside_{digest(str(folder))}"
    package = sys.modules.setdefault(name, ModuleType(name))
    package.__path__ = [str(folder)]
    return name


@cache
def _in_folder(kind: str, folder: Path, prefix: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")]):
        for thing in _in_file(kind, path, folder, prefix):
            if thing.name in found:
                raise UserError(f"{path}: {kind} {thing.name!r} is already in {found[thing.name].path}; rename one")
            found[thing.name] = thing
    return found


def _in_file(kind: str, path: Path, folder: Path, prefix: str) -> Iterable[Found]:
    tree = parse(path)
    head = ast.get_docstring(tree) or ""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == kind:
                about = (ast.get_docstring(node) or head).partition("\n")[0]
                facts = {k.arg: _literal(k.value, path) for k in mark.keywords if k.arg}
                _check_facts(kind, facts, f"{path}:{node.lineno}: ")
                defaults, helpers = _defaults(node, path), imported(path, folder)
                yield Found(
                    kind,
                    prefix + node.name,
                    path,
                    folder,
                    helpers,
                    about,
                    facts,
                    defaults,
                    _choices(node),
                    _epochs(node),
                )


def _check_facts(kind: str, facts: dict[str, Any], where: str) -> None:
    known = list(signature(getattr(registry, kind)).parameters)
    for fact in facts.keys() - set(known):
        raise UnknownName(f"argument of @{kind}", fact, known, where)
    for target in set(facts.get("removes", ())) - set(get_args(Kind)):
        raise UnknownName("kind of target in `removes`", str(target), get_args(Kind), where)


def _defaults(node: ast.FunctionDef, path: Path) -> dict[str, Any]:
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    bare = [arg.arg for arg, default in pairs if default is None]
    if bare:
        raise UserError(f"{path}:{node.lineno}: {node.name}: give {', '.join(bare)} a default; it is the configuration")
    return {
        arg.arg: _literal(default, path)
        for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default is not None
    }


def _choices(node: ast.FunctionDef) -> dict[str, tuple[Any, ...]]:
    """The values that `Literal["a", "b"]`, `Criterion` and `Scope` in the signature allow; `| None` may follow."""
    found: dict[str, tuple[Any, ...]] = {}
    for arg in node.args.kwonlyargs:
        for part in ast.walk(arg.annotation) if arg.annotation else ():
            match part:
                case ast.Subscript(value=ast.Name(id="Literal"), slice=allowed):
                    value = ast.literal_eval(allowed)
                    found[arg.arg] = value if isinstance(value, tuple) else (value,)
                case ast.Name(id="Criterion"):
                    found[arg.arg] = criteria()
                case ast.Name(id="Scope"):
                    found[arg.arg] = get_args(Scope)
    return found


def _epochs(node: ast.FunctionDef) -> tuple[str, ...]:
    marked = [(arg.arg, ast.walk(arg.annotation)) for arg in node.args.kwonlyargs if arg.annotation]
    return tuple(name for name, parts in marked if any(isinstance(p, ast.Name) and p.id == "Epochs" for p in parts))


@cache
def criteria() -> tuple[str, ...]:
    """The criteria: functions of (view, group) in pruning/criteria.py, and magnitude for single weights."""
    tree = ast.parse((HERE / "pruning" / "criteria.py").read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))
    return ("magnitude", *(f.name for f in functions if [a.arg for a in f.args.args[:2]] == ["view", "group"]))


def _literal(node: ast.expr, path: Path) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        what = f"{ast.unparse(node)!r} must be a literal: it is read, not run"
        raise UserError(f"{path}:{node.lineno}: {what}") from None
