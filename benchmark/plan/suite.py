"""A suite's cells: which tables it has, and which cells are in them.

suite.toml ──▶ read() ──▶ Suite ──▶ plan() ──▶ [Planned(cell, table, …), …]
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from benchmark.errors import UnknownName, UserError
from benchmark.plan import discovery
from benchmark.plan.cell import Cell, Method, Remove
from benchmark.plan.short import short_of, shortened
from benchmark.plan.suite_file import TIERS, Seeds, Suite, Table, Where

Entry = tuple[Method, str, list[Remove | None]]  # a method, its label, what it removes


@dataclass(frozen=True)
class Planned:
    """A cell and its place in a table."""

    cell: Cell
    table: str
    label: str
    floor: float
    track: str
    parents: tuple[Cell, ...] = ()  # all cells that must be done before it, in that order
    tier: str = "full"

    @cached_property
    def id(self) -> str:
        return self.cell.id


GUESTS = "*"  # in a table's methods: those of the folders given by --methods
LABEL = 80  # characters of a method's label: of tables, figures and files
MOST_SEEDS = 100_000


def plan(suite: Suite, tier: str = "full", only: str = "") -> list[Planned]:
    """Every cell of every table, in the order of the file. There is one entry for each place in a table."""
    if tier not in TIERS:
        raise UnknownName("tier", tier, TIERS)
    if tier not in suite.tiers:
        how = {"short": "short = true", "small": "a [small] table"}[tier]
        raise UserError(f"{suite.path.name}: has no tier {tier}; {how} gives it one")
    names = [table.name for table in suite.file.table]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{suite.path.name}: two tables are called {twice[0]!r}")
    wanted = _only(only)
    everything = [p for i, table in enumerate(suite.file.table) for p in _plan_table(suite, i, table, tier)]
    for key, values in wanted.items():
        there = {_value(p, key) for p in everything}
        for value in values - there:
            raise UnknownName(f"{key} of --only", value, there)
    chosen = [p for p in everything if all(_value(p, key) in values for key, values in wanted.items())]
    if not chosen:
        raise UserError(
            f"{suite.path.name}: {f'--only {only}: ' if only else ''}none of its {len(everything)} cells matches"
        )
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
        if any(len(end) > 2 for end in ends):
            raise UserError(f'{where}seeds {seeds!r}: write "0-4", "0,3,7" or a list')
        if sum(max(1, end[-1] - end[0] + 1) for end in ends) > MOST_SEEDS:
            raise UserError(f"{where}seeds {seeds!r}: more than {MOST_SEEDS}")
        out = [seed for low, *high in ends for seed in range(low, (high or [low])[0] + 1)]
    if not out or len(set(out)) != len(out) or min(out) < 0:
        raise UserError(f"{where}seeds {seeds!r}: different whole numbers from 0, at least one")
    return out


def _plan_table(suite: Suite, index: int, table: Table, tier: str) -> Iterator[Planned]:
    where = Where(suite.path, suite.text) / "table" / index
    if table.recipe not in suite.recipes:
        raise UnknownName("recipe", table.recipe, suite.recipes, where / "recipe")
    recipe = suite.recipes[table.recipe]
    if table.track == "matched" and recipe.validation == 0:
        raise UserError(f"{where / 'recipe'}a matched table needs a recipe with a validation split")
    data = table.data or suite.file.data
    discovery.pick("data set", data, discovery.datasets(), where / "data")
    small = suite.file.small if tier == "small" else None
    if small:
        size = recipe.size if "resized_crop" in recipe.augment else None  # else the size of the images
        recipe = recipe.model_copy(update={"epoch_images": small.epoch_images, "size": size})
    if tier == "short":
        recipe = recipe.stretched(shortened(recipe.epochs))
    if recipe.epoch_images and recipe.batch > recipe.epoch_images:
        raise UserError(f"{where / 'recipe'}batch {recipe.batch} is larger than an epoch of {recipe.epoch_images}")
    if recipe.batch % table.gpus:
        raise UserError(f"{where / 'gpus'}a batch of {recipe.batch} cannot be shared by {table.gpus} processes")
    methods: list[Entry] = [(_dense(), "dense", [None])]  # the reference of every table
    for entry in _with_guests(suite, table, where / "methods"):
        if entry != "dense":
            method, label, removes = _method(suite, entry, table, where / "methods")
            methods.append((short_of(method, suite.methods_from) if tier == "short" else method, label, removes))
    labels = [(label, remove) for _, label, removes in methods for remove in removes]
    if twice := [label for label, remove in labels if labels.count((label, remove)) > 1]:
        raise UserError(f"{where / 'methods'}{twice[0]} is twice in one table; give one a label with `as`")
    models = table.models
    if small:  # two models may share a small one
        models = {small.models.get(m, m): small.floors.get(small.models.get(m, m), f) for m, f in models.items()}
    for model, floor in models.items():
        discovery.pick("model", model, discovery.models(), where / "models" / model)
        for method, label, removes in methods:
            for remove in removes:
                for seed in seeds_of(table.seeds or suite.file.seeds, where / "seeds"):
                    asked = Cell(
                        data=data, model=model, method=method, remove=remove, recipe=recipe, seed=seed, gpus=table.gpus
                    )  # fmt: skip
                    cell, parents = with_parents(asked, methods, suite.methods_from, where / "methods")
                    yield Planned(cell, table.name, label, floor, table.track, parents, tier)


def with_parents(
    cell: Cell, methods: list[Entry], methods_from: tuple[Path, ...], where: object = ""
) -> tuple[Cell, tuple[Cell, ...]]:
    """The cell with its parents' ids in it, and its parents (theirs first). The method's file says which it needs."""
    found = discovery.pick("method", cell.method.name, discovery.methods(methods_from), where)
    facts, kind = found.facts, cell.remove.kind if cell.remove else ""
    config = discovery.written(found, cell.method.config, kind)
    cell = cell.model_copy(update={"method": cell.method.model_copy(update={"config": config})})
    roles: dict[str, str] = {}
    before: list[Cell] = []
    if share := cell.method.config.get(facts.get("start", "")):
        epochs = max(1, round(float(str(share)) * cell.recipe.epochs))
        if epochs >= cell.recipe.epochs:
            raise UserError(f"{where}{cell.method.name}: {facts['start']} = {share} leaves no epoch of its own")
        recipe = cell.recipe.stretched(epochs)
        start = cell.model_copy(update={"method": _dense(), "remove": None, "recipe": recipe})
        roles["start"], before = start.id, [*before, start]
    if name := cell.method.config.get(facts.get("architecture", "")):
        other = _of(str(name), methods, methods_from, where)
        removes = discovery.pick("method", other.name, discovery.methods(methods_from), where).facts.get("removes", ())
        if cell.remove and cell.remove.kind not in removes:
            raise UserError(
                f"{where}{cell.method.name}: of = {name!r} removes no {cell.remove.kind}; it has no widths to take"
            )
        parent, earlier = with_parents(cell.model_copy(update={"method": other}), methods, methods_from, where)
        roles["architecture_of"], before = parent.id, [*before, *earlier, parent]
    return (cell.model_copy(update={"parents": roles}) if roles else cell), tuple(before)


def _of(name: str, methods: list[Entry], methods_from: tuple[Path, ...], where: object) -> Method:
    """The method that `of` means: by its label in this table, by its name, or with its file's defaults."""
    for fits in ([m for m, label, _ in methods if label == name], [m for m, _, _ in methods if m.name == name]):
        if len(fits) > 1:
            raise UserError(f"{where}of = {name!r}: several rows match; give the one meant a label with `as`")
        if fits:
            return fits[0]
    return configured(name, {}, methods_from, where)[0]


def _dense() -> Method:
    return Method(name="dense", version=discovery.methods()["dense"].facts["version"])


def _with_guests(suite: Suite, table: Table, where: Where) -> list[str | dict[str, JsonValue]]:
    """The table's methods. An entry "*" means those of the folders given by --methods that meet its targets."""
    if GUESTS not in table.methods:
        return table.methods
    if table.track != "matched":
        raise UserError(f'{where}"{GUESTS}" in a published table: such a table holds only the methods of its paper')
    own, named = discovery.methods(), {m if isinstance(m, str) else m.get("name") for m in table.methods}
    guests = [
        name
        for name, found in discovery.methods(suite.methods_from).items()
        if name not in own and name not in named and set(table.remove) <= set(found.facts.get("removes", ()))
    ]
    return [each for entry in table.methods for each in (guests if entry == GUESTS else [entry])]


def unused(suite: Suite, planned: Iterable[Planned]) -> list[Path]:
    """Folders of --methods that have no method the suite uses."""
    used = {cell.method.name for p in planned for cell in (*p.parents, p.cell)}
    return [folder for folder in suite.methods_from if not any(name in used for name in discovery.guests(folder))]


def _method(suite: Suite, entry: str | dict[str, JsonValue], table: Table, where: Where) -> Entry:
    """One entry of `methods`: a name, or a name with options. Also, which of the table's targets it meets."""
    given: dict[str, JsonValue] = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise UserError(f"{where}a method is a name or {{ name = … }}")
    label = given.pop("as", None)
    method, described = configured(name, given, suite.methods_from, where)
    label = label if isinstance(label, str) else described
    if not (label.isprintable() and 0 < len(label) <= LABEL):
        raise UserError(f"{where}{label[:LABEL]!r} is no label: 1 to {LABEL} characters that can be printed")
    kinds = set(discovery.methods(suite.methods_from)[name].facts.get("removes", ()))
    if not kinds:
        return method, label, [None]
    if wrong := set(table.remove) - kinds:
        raise UserError(
            f"{where}{name} cannot remove {', '.join(sorted(wrong))}; it removes {', '.join(sorted(kinds))}"
        )
    removes: list[Remove | None] = [Remove(kind=k, amount=a) for k, amounts in table.remove.items() for a in amounts]
    if not removes:
        raise UserError(f"{where}{name}: the table does not say what to remove; add `remove`")
    return method, label, removes


def configured(
    name: str, given: dict[str, JsonValue], methods_from: tuple[Path, ...], where: object = ""
) -> tuple[Method, str]:
    """A method with all its options resolved, and its label. An option left at None is left out."""
    found = discovery.pick("method", name, discovery.methods(methods_from), where)
    variants = found.facts.get("variants", {})
    variant = given.pop("variant", "") if variants else ""
    if variant and variant not in variants:
        raise UnknownName(f"variant of {name}", str(variant), variants, where)
    for key, value in given.items():
        if key not in found.defaults:
            raise UnknownName(f"option of {name}", key, found.defaults, where)
        if not _same_kind(value, found.defaults[key]):
            raise UserError(f"{where}{name}.{key} = {value!r}: expected a value like {found.defaults[key]!r}")
        for one in value if isinstance(value, list) else [value]:
            if key in found.choices and one not in found.choices[key]:
                raise UnknownName(f"{name}.{key}", str(one), [str(choice) for choice in found.choices[key]], where)
    options = {**found.defaults, **variants.get(variant, {}), **given}
    changed = [f"{key}={_short(value)}" for key, value in given.items() if value != found.defaults[key]]
    marks = [*([str(variant)] if variant else []), *changed]
    config = {key: _like(options[key], default) for key, default in found.defaults.items() if options[key] is not None}
    method = Method(name=name, version=found.facts.get("version", 1), config=config)
    return method, name + (f"({', '.join(marks)})" if marks else "")


ONLY = ("table", "method", "model", "data", "seed", "amount")


def _only(text: str) -> dict[str, set[str]]:
    """`method=agp+one_cycle,seed=0-2` -> the values that each key allows."""
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
    """If the default is a float, 12 and 12.0 are one setting. Tuples are lists in JSON."""
    if isinstance(default, float) and isinstance(value, int):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
