"""A suite: one TOML file that says which cells make up which tables.

    suite.toml ──▶ read() ──▶ Suite ──▶ plan() ──▶ [Planned(cell, table, …), …]

Every mistake is answered with file, line and the nearest name that exists.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError

from benchmark import find
from benchmark.cell import Cell, Kind, Method, Recipe, Remove, Share, Spec, canonical
from benchmark.errors import UnknownName, UserError
from benchmark.toml_lines import line_of

SUITES = Path(__file__).resolve().parent / "suites"
Seeds = str | list[int]


class Small(Spec):
    """The tier a CPU can afford: smaller models, smaller epochs, the paper's epoch numbers."""

    epoch_images: Annotated[int, Field(gt=0)]
    models: dict[str, str] = {}
    floors: dict[str, float] = {}


class Table(Spec):
    name: str
    recipe: str
    track: Literal["matched", "published"] = "matched"
    models: dict[str, float]  # model -> the accuracy its dense network must reach
    methods: list[str | dict[str, JsonValue]]
    remove: dict[Kind, list[Share]] = {}
    data: str | None = None
    seeds: Seeds | None = None
    about: str = ""


class SuiteFile(Spec):
    about: str
    data: str
    seeds: Seeds
    threads: Annotated[int, Field(gt=0)] | None = None
    recipe: dict[str, dict[str, JsonValue]]
    table: list[Table]
    small: Small | None = None


@dataclass(frozen=True)
class Suite:
    name: str
    path: Path
    file: SuiteFile
    recipes: dict[str, Recipe]
    text: str
    methods_from: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A cell and the place it takes in a table."""

    cell: Cell
    table: str
    label: str
    floor: float
    track: str


@dataclass
class Where:
    """Names a place in the suite file, for an error."""

    path: Path
    text: str
    at: tuple[str | int, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.path.name}:{line_of(self.text, self.at)}: "

    def __truediv__(self, key: str | int) -> "Where":
        return Where(self.path, self.text, (*self.at, key))


def known() -> dict[str, Path]:
    return {path.stem: path for path in sorted(SUITES.glob("*.toml"))}


def read(name: str, sets: tuple[str, ...] = (), methods_from: tuple[Path, ...] = ()) -> Suite:
    """`name` is a suite of this repository or a path to a TOML file."""
    path = Path(name) if name.endswith(".toml") else known().get(name)
    if path is None:
        raise UnknownName("suite", name, known())
    if not path.is_file():
        raise UserError(f"{path}: no such suite file")
    text = path.read_text()
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path.name}: not TOML: {error}") from None
    for assignment in sets:
        _assign(raw, assignment)
    where = Where(path, text)
    file = _validate(SuiteFile, raw, where)
    recipes = {key: _recipe(key, file.recipe, where) for key in file.recipe}
    return Suite(path.stem, path, file, recipes, text, methods_from)


def plan(suite: Suite, tier: str = "full", only: str = "") -> list[Planned]:
    """Every cell of every table, in the order of the file; one entry for each place in a table."""
    if tier == "small" and suite.file.small is None:
        raise UserError(f"{suite.path.name}: has no [small] tier")
    wanted = _only(only)
    everything = [p for i, table in enumerate(suite.file.table) for p in _plan_table(suite, i, table, tier)]
    chosen = [p for p in everything if all(_value(p, key) in values for key, values in wanted.items())]
    if not chosen:
        raise UserError(f"{suite.path.name}: --only {only}: none of its {len(everything)} cells fits")
    return chosen


def seeds_of(seeds: Seeds, where: object = "") -> list[int]:
    """`"0-4"`, `"0,3,7"` or a list."""
    if isinstance(seeds, list):
        out = seeds
    else:
        try:
            ends = [[int(end) for end in part.split("-")] for part in seeds.split(",")]
        except ValueError:
            raise UserError(f'{where}seeds {seeds!r}: write "0-4", "0,3,7" or a list') from None
        out = [seed for low, *high in ends for seed in range(low, (high or [low])[0] + 1)]
    if not out or len(set(out)) != len(out) or min(out) < 0:
        raise UserError(f"{where}seeds {seeds!r}: different whole numbers from 0, at least one")
    return out


def _plan_table(suite: Suite, index: int, table: Table, tier: str) -> Iterator[Planned]:
    where = Where(suite.path, suite.text) / "table" / index
    if table.recipe not in suite.recipes:
        raise UnknownName("recipe", table.recipe, suite.recipes, str(where / "recipe"))
    recipe = suite.recipes[table.recipe]
    if table.track == "matched" and recipe.validation == 0:
        raise UserError(f"{where / 'recipe'}a matched table needs a recipe with a validation split")
    data = table.data or suite.file.data
    find.pick("data set", data, find.datasets(), str(where / "data"))
    small = suite.file.small if tier == "small" else None
    if small:
        recipe = recipe.model_copy(update={"epoch_images": small.epoch_images})
    if recipe.epoch_images and recipe.batch > recipe.epoch_images:
        raise UserError(f"{where / 'recipe'}batch {recipe.batch} is larger than an epoch of {recipe.epoch_images}")
    methods = [(Method(name="dense", config={}), "dense", [None])] + [
        m for i, entry in enumerate(table.methods) if (m := _method(suite, entry, table, where / "methods" / i))
    ]
    for model, floor in table.models.items():
        if small:
            model, floor = small.models.get(model, model), small.floors.get(model, floor)
        find.pick("model", model, find.models(), str(where / "models" / model))
        for method, label, removes in methods:
            for remove in removes:
                for seed in seeds_of(table.seeds or suite.file.seeds, where / "seeds"):
                    cell = Cell(data=data, model=model, method=method, remove=remove, recipe=recipe, seed=seed)
                    yield Planned(cell, table.name, label, floor, table.track)


def _method(
    suite: Suite, entry: str | dict[str, JsonValue], table: Table, where: Where
) -> tuple[Method, str, list[Remove | None]] | None:
    """One entry of `methods`; dense stands in every table anyway."""
    given = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise UserError(f"{where}a method is a name or {{ name = … }}")
    found = find.pick("method", name, find.methods(suite.methods_from), str(where))
    if name == "dense":
        return None
    for key, value in given.items():
        if key not in found.defaults:
            raise UnknownName(f"option of {name}", key, found.defaults, str(where))
        if not _same_kind(value, found.defaults[key]):
            raise UserError(f"{where}{name}.{key} = {value!r}: expected a value like {found.defaults[key]!r}")
    kinds = set(found.facts.get("removes", ()))
    if wrong := set(table.remove) - kinds:
        can = ", ".join(sorted(kinds)) or "nothing"
        raise UserError(f"{where}{name} cannot remove {', '.join(sorted(wrong))}; it removes {can}")
    removes: list[Remove | None] = [Remove(kind=k, amount=a) for k, amounts in table.remove.items() for a in amounts]
    if not removes:
        raise UserError(f"{where}{name}: the table says nothing of what to remove")
    changed = {key: value for key, value in given.items() if value != found.defaults[key]}
    label = name + (f"({', '.join(f'{k}={_short(v)}' for k, v in changed.items())})" if changed else "")
    config = {key: _like(given.get(key, default), default) for key, default in found.defaults.items()}
    return Method(name=name, version=found.facts.get("version", 1), config=config), label, removes


def _recipe(key: str, recipes: dict[str, dict[str, JsonValue]], where: Where, below: tuple[str, ...] = ()) -> Recipe:
    raw = _inherit(key, recipes, where, below)
    kinds = [kind for kind in ("sgd", "adam", "adamw") if kind in raw]
    if len(kinds) != 1:
        raise UserError(f"{where / 'recipe' / key}give one of sgd, adam, adamw; found {', '.join(kinds) or 'none'}")
    options = raw.pop(kinds[0])
    if not isinstance(options, dict):
        raise UserError(f"{where / 'recipe' / key / kinds[0]}expected {{ lr = …, … }}")
    raw["optimizer"] = {"kind": kinds[0], **options}
    if isinstance(raw.get("lr"), dict):
        raw["lr"] = {"shape": "steps", **raw["lr"]}  # type: ignore[dict-item]
    return _validate(Recipe, raw, where / "recipe" / key)


def _inherit(
    key: str, recipes: dict[str, dict[str, JsonValue]], where: Where, below: tuple[str, ...]
) -> dict[str, JsonValue]:
    """`like = "other"` starts from that recipe; another optimizer replaces the inherited one."""
    if key in below:
        raise UserError(f"{where / 'recipe' / key / 'like'}recipes follow each other in a circle: {' → '.join(below)}")
    own = dict(recipes[key])
    like = own.pop("like", None)
    if like is None:
        return own
    if like not in recipes:
        raise UnknownName("recipe", str(like), recipes, str(where / "recipe" / key / "like"))
    base = _inherit(str(like), recipes, where, (*below, key))
    if {"sgd", "adam", "adamw"} & own.keys():
        base = {k: v for k, v in base.items() if k not in ("sgd", "adam", "adamw")}
    return base | own


def _validate[M: BaseModel](shape: type[M], raw: dict[str, Any], where: Where) -> M:
    try:
        return shape.model_validate_json(canonical(raw))
    except ValidationError as error:
        first = error.errors()[0]
        at, last = where, where
        for key in first["loc"]:
            last, at = at, at / key
        if first["type"] == "extra_forbidden":
            known = _fields(shape, first["loc"][:-1])
            raise UnknownName("key", str(first["loc"][-1]), known, str(at)) from None
        name = ".".join(str(k) for k in first["loc"]) or "it"
        raise UserError(f"{at}{name}: {first['msg']}") from None
    except ValueError as error:
        raise UserError(f"{where}{error}") from None


def _fields(shape: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys that would have been known at `loc`."""
    from typing import get_args

    for key in loc:
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            shape = shape.model_fields[str(key)].annotation if key in shape.model_fields else shape
        options = [a for a in get_args(shape) if isinstance(a, type) and issubclass(a, BaseModel)]
        tagged = [o for o in options for f in o.model_fields.values() if key in get_args(f.annotation)]
        shape = (tagged or options or [shape])[0]
    return list(shape.model_fields) if hasattr(shape, "model_fields") else []


def _assign(raw: dict[str, Any], assignment: str) -> None:
    """`--set recipe.matched.epochs=3`: the value is read as TOML, or as a bare word."""
    path, equals, text = assignment.partition("=")
    if not equals:
        raise UserError(f"--set {assignment}: write key.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *way, last = path.strip().split(".")
    here = raw
    for key in way:
        here = here.setdefault(key, {}) if isinstance(here, dict) else {}
    if not isinstance(here, dict):
        raise UserError(f"--set {assignment}: {'.'.join(way)} is not a table of keys")
    here[last] = value


ONLY = ("table", "method", "model", "data", "seed", "amount")


def _only(text: str) -> dict[str, set[str]]:
    """`method=agp+one_cycle,seed=0-2` -> what each key may be."""
    wanted: dict[str, set[str]] = {}
    for part in filter(None, text.split(",")):
        key, equals, values = part.partition("=")
        if key not in ONLY:
            raise UnknownName("key of --only", key, ONLY)
        if not equals or not values:
            raise UserError(f"--only {part}: write key=value or key=value+value")
        many = values.split("+")
        wanted[key] = {str(s) for v in many for s in seeds_of(v)} if key == "seed" else set(many)
    return wanted


def _value(planned: Planned, key: str) -> str:
    cell = planned.cell
    amount = f"{cell.remove.amount:g}" if cell.remove else "0"
    return {
        "table": planned.table,
        "method": cell.method.name,
        "model": cell.model,
        "data": cell.data,
        "seed": str(cell.seed),
        "amount": amount,
    }[key]


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple | list):
        return isinstance(value, list)
    return default is None or isinstance(value, type(default))


def _like(value: Any, default: Any) -> JsonValue:
    """12 and 12.0 are one setting where the default is a float; tuples are lists in JSON."""
    if isinstance(default, float) and isinstance(value, int):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
