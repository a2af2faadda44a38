"""The TOML file of a suite, read and validated. Every error names file, line and the nearest known name."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, JsonValue, ValidationError

from benchmark.errors import UnknownName, UserError
from benchmark.plan.canonical import canonical
from benchmark.plan.cell import Amount, Kind, Recipe, Spec
from benchmark.plan.toml_lines import line_of

SUITES = Path(__file__).resolve().parents[1] / "suites"
TIERS = ("full", "short", "small")
OPTIMIZERS = ("sgd", "adam", "adamw")
M = TypeVar("M", bound=BaseModel)
Seeds = str | list[int]


class Small(Spec):
    """The tier that a CPU can afford: smaller models, smaller epochs, as many epochs as in the paper."""

    epoch_images: Annotated[int, Field(gt=0)]  # training images per epoch, drawn again for each epoch
    models: dict[str, str] = {}  # model of the full tier -> the smaller one that replaces it
    floors: dict[str, float] = {}  # model -> the accuracy that its dense network must reach in this tier


class Table(Spec):
    name: Annotated[str, Field(pattern=r"^[\w.+-]+$")]  # of its files too: letters, digits, . + -
    recipe: str  # the name of a recipe of this file
    track: Literal["matched", "published"] = "matched"  # matched: one recipe for all. published: a paper's own
    paper: str = ""  # of a `published` table: the beginning of the names of its paper's files in baselines/reported
    models: dict[str, float]  # model -> the accuracy (%) that its dense network must reach
    methods: list[str | dict[str, JsonValue]]  # a name, or { name = …, as = …, OPTION = … }; "*": those of --methods
    remove: dict[Kind, list[Amount]] = {}  # weights, macs, params or channels = the shares to remove
    data: str | None = None  # another data set than the file's
    seeds: Seeds | None = None  # other seeds than the file's
    gpus: Annotated[int, Field(gt=0)] = 1  # processes that train each cell together, one device each
    about: str = ""  # one sentence: what the table is for


class Slurm(Spec):
    """What to ask of a cluster. Without a time: estimated per class, from what similar runs took."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    mem: str | None = None  # memory of a job, as Slurm writes it
    time: Annotated[int, Field(ge=3)] | None = None  # minutes
    cpus: Annotated[int, Field(gt=0)] = 1  # of a job
    gpus: bool = False  # whether a cell's GPUs are asked for


class SuiteFile(Spec):
    about: str  # one sentence: what the suite shows
    data: str  # a data set of `prunebench show datasets`; folder:NAME, shards:NAME
    seeds: Seeds  # for tables that name none
    threads: Annotated[int, Field(gt=0)] | None = None  # CPU threads of a cell, without --threads
    smoke: bool = False  # each (small) cell is checked by itself, within a measured tolerance; else seeds against seeds
    recipe: dict[str, dict[str, JsonValue]]  # [recipe.NAME]; `like = "OTHER"` starts from another one
    table: list[Table]
    small: Small | None = None  # what `--tier small` changes
    short: bool = False  # whether there is a `--tier short`: all images, a fifth of the epochs
    slurm: Slurm = Slurm()  # what to ask of a cluster


@dataclass(frozen=True)
class Suite:
    name: str
    path: Path
    file: SuiteFile
    recipes: dict[str, Recipe]
    text: str
    methods_from: tuple[Path, ...] = ()

    @property
    def tiers(self) -> tuple[str, ...]:
        there = {"full": True, "short": self.file.short, "small": self.file.small is not None}
        return tuple(tier for tier in TIERS if there[tier])


@dataclass
class Where:
    """A place in the suite file, to name in an error."""

    path: Path
    text: str
    at: tuple[str | int, ...] = ()

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
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: not UTF-8 text: {error}") from None
    try:
        raw = tomllib.loads(text)
    except ValueError as error:  # also for a number of thousands of digits
        raise UserError(f"{path.name}: not TOML: {error}") from None
    except RecursionError:
        raise UserError(f"{path.name}: its values are nested too deeply") from None
    for assignment in sets:
        _assign(raw, assignment)
    where = Where(path, text)
    file = _validate(SuiteFile, raw, where)
    recipes = {key: _recipe(key, file.recipe, where) for key in file.recipe}
    return Suite(path.stem, path, file, recipes, text, methods_from)


def _recipe(key: str, recipes: dict[str, dict[str, JsonValue]], where: Where, below: tuple[str, ...] = ()) -> Recipe:
    raw = _inherit(key, recipes, where, below)
    kinds = [kind for kind in OPTIMIZERS if kind in raw]
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
    """`like = "other"` starts from that recipe. An optimizer given here replaces the inherited one."""
    if key in below:
        raise UserError(f"{where / 'recipe' / key / 'like'}recipes inherit in a circle: {' → '.join(below)}")
    own = dict(recipes[key])
    like = own.pop("like", None)
    if like is None:
        return own
    if not isinstance(like, str) or like not in recipes:
        raise UnknownName("recipe", str(like), recipes, where / "recipe" / key / "like")
    base = _inherit(str(like), recipes, where, (*below, key))
    if set(OPTIMIZERS) & own.keys():
        base = {k: v for k, v in base.items() if k not in OPTIMIZERS}
    return base | own


def _validate(shape: type[M], raw: dict[str, Any], where: Where) -> M:
    try:
        return shape.model_validate_json(canonical(raw))
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a typo may be why a key is missing
        at = where
        for key in first["loc"]:
            at = at / key
        if first["type"] == "extra_forbidden":
            known = _fields(shape, first["loc"][:-1])
            raise UnknownName("key", str(first["loc"][-1]), known, str(at)) from None
        name = ".".join(str(k) for k in first["loc"]) or "it"
        raise UserError(f"{at}{name}: {first['msg']}") from None
    except (ValueError, TypeError) as error:  # a date, a NaN: TOML has values that JSON has not
        raise UserError(f"{where}{error}") from None
    except RecursionError:
        raise UserError(f"{where}its values are nested too deeply") from None


def _fields(shape: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at `loc`."""
    for key in loc:
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            shape = shape.model_fields[str(key)].annotation if key in shape.model_fields else shape
        options = [a for a in get_args(shape) if isinstance(a, type) and issubclass(a, BaseModel)]
        tagged = [o for o in options for f in o.model_fields.values() if key in get_args(f.annotation)]
        shape = (tagged or options or [shape])[0]
    return list(shape.model_fields) if hasattr(shape, "model_fields") else []


def _one_value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    if read.keys() != {"value"}:
        raise UserError(f"--set: {text!r} is more than one value")
    return read["value"]


def _assign(raw: dict[str, Any], assignment: str) -> None:
    """`--set recipe.matched.epochs=3`: the value is read as TOML, or as a bare word."""
    path, equals, text = assignment.partition("=")
    if not equals:
        raise UserError(f"--set {assignment}: write key.key=value")
    try:
        value = _one_value(text)
    except RecursionError:
        raise UserError(f"--set {path}: its value is nested too deeply") from None
    *way, last = path.strip().split(".")
    here: Any = raw
    for key in way:
        if isinstance(here, list) and key in map(str, range(len(here))):
            here = here[int(key)]
        elif isinstance(here, dict):
            here = here.setdefault(key, {})
    if not isinstance(here, dict):
        raise UserError(
            f"--set {assignment}: {'.'.join(way)} is not a table of keys; table.0.seeds is the first table's"
        )
    here[last] = value
