"""The data of a table's figures, as plain numbers. `figures.py` draws them and does not know records."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmark.records.flags import TOLERANCE
from benchmark.records.rows import Row
from benchmark.records.store import Store, Stored
from benchmark.report.table import Table

SEEDS = 5  # traces drawn into one figure
DOTS = 50  # seeds drawn as single dots
Curve = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Bar:
    """One row: how it removed, and what was left."""

    label: str
    removed: Curve  # epochs, and percent removed by then; of one seed, because the path depends on the method only
    values: list[float]
    mean: float
    std: float | None


@dataclass(frozen=True)
class Comparison:
    """The methods of a table at its hardest target."""

    title: str
    bars: list[Bar]
    dense: float | None


@dataclass(frozen=True)
class Trace:
    """What a method noted in one run, with the accuracy and the cuts."""

    seed: int
    noted: dict[str, list[tuple[int, float]]]
    choices: dict[str, Counter[str]]  # notes that are words, and how often each was made
    widths: dict[str, tuple[int, int]]  # group -> its dense width and its final width
    test: list[tuple[int, float]]
    cuts: list[int]


@dataclass(frozen=True)
class Traces:
    title: str
    traces: list[Trace]


@dataclass(frozen=True)
class Choices:
    title: str
    traces: list[Trace]


@dataclass(frozen=True)
class Offer:
    """One method: for each of its targets the accuracy, and the cost by name of the axis."""

    label: str
    top1: list[float]
    std: list[float | None]
    takes: dict[str, list[float]]


@dataclass(frozen=True)
class TradeOff:
    title: str
    offers: list[Offer]
    dense: float


@dataclass(frozen=True)
class Widths:
    """Channels of each group, dense and at the end, of the first seed of each row."""

    title: str
    dense: dict[str, int]
    left: dict[str, dict[str, int]]  # row -> group -> channels


@dataclass(frozen=True)
class Released:
    """Networks of others: printed and evaluated accuracy, and best epoch on the test set minus last epoch."""

    title: str
    pairs: list[tuple[float, float]]
    gains: list[float]


Picture = Comparison | Traces | Choices | TradeOff | Widths | Released
KINDS: dict[str, type[Picture]] = {
    "pareto": TradeOff,
    "schedule": Comparison,
    "stability": Traces,
    "choices": Choices,
    "widths": Widths,
}


def pictures_of(tables: list[Table], store: Store) -> dict[str, Picture]:
    """File name -> picture: one for each table, data set and model with something removed, and those of the runs."""
    return dict(picture for table in tables for picture in _pictures(table, store))


def widths_of(tables: list[Table], store: Store) -> dict[str, Picture]:
    """File name -> the widths that the rows of one target leave, for each network whose channels were cut."""
    found: dict[str, Picture] = {}
    for table in tables:
        for row in (row for row in table.rows if row.n):
            side = store.side_or_none(row.records[0]) or {}
            if dense := side.get("dense_widths"):
                share = f"{100 * row.target:g}"
                words = (
                    table.suite,
                    table.spec.name,
                    row.model,
                    *([table.tier] if table.tier != "full" else []),
                    share,
                )
                title = f"{row.model}, {row.data}: {share} % of {row.kind} removed"
                picture = found.setdefault(f"{'-'.join(words)}-widths", Widths(title, dense, {}))
                assert isinstance(picture, Widths)
                picture.left[row.label] = {name: len(kept) for name, kept in side["kept"].items()}
    return found


def _pictures(table: Table, store: Store) -> Iterator[tuple[str, Picture]]:
    for data, model in dict.fromkeys((row.data, row.model) for row in table.rows if row.kind and row.n):
        rows = [row for row in table.rows if (row.data, row.model) == (data, model) and row.n]
        alike = [row for row in rows if not row.unlike]  # rows that one picture may show together
        name = "-".join((table.suite, table.spec.name, model, *([table.tier] if table.tier != "full" else [])))
        if any(row.kind for row in alike):
            yield name, _comparison(alike, f"{model}, {data}", store)
        for kind, trade_off in _trade_offs(alike, f"{model}, {data}"):
            yield f"{name}-{kind}-trade-off", trade_off
        for row in rows:
            if traces := [trace for trace in (_trace(stored, store) for stored in row.records[:SEEDS]) if trace]:
                label = "".join(c if c.isalnum() else "-" for c in row.label)
                where, share = f"{row.label}, {row.model}, {row.data}", f"{100 * row.target:g} % of {row.kind}"
                yield f"{name}-{label}-{100 * row.target:g}", Traces(f"{where}: {share} removed", traces)
                if traces[0].choices:
                    yield f"{name}-{label}-{100 * row.target:g}-choices", Choices(f"{where}: {share}", traces)


def _comparison(rows: list[Row], title: str, store: Store) -> Comparison:
    hardest = max(row.target for row in rows)
    pruned = [row for row in rows if row.target == hardest]
    dense = next((row.top1 for row in rows if row.label == "dense"), None)
    bars = [_bar(row, store) for row in pruned]
    return Comparison(f"{title}: {100 * hardest:g} % of {pruned[0].kind} removed", bars, dense)


def _trade_offs(rows: list[Row], title: str) -> Iterator[tuple[str, TradeOff]]:
    """One for each unit of a target. None without a dense network, with one method only, or if all values are alike."""
    dense = next((row.top1 for row in rows if row.label == "dense"), None)
    for kind in dict.fromkeys(row.kind for row in rows if row.kind):
        pruned: dict[str, list[Row]] = {}
        for row in sorted((row for row in rows if row.kind == kind and row.dense), key=lambda row: row.target):
            pruned.setdefault(row.label, []).append(row)
        facing = [row for mine in pruned.values() for row in mine]
        axes = [name for name, of in TAKES.items() if len(pruned) > 1 and _differ([of(row) for row in facing])]
        if dense is not None and axes:
            shares = ", ".join(f"{100 * target:g} %" for target in sorted({row.target for row in facing}))
            offers = [_offer(label, mine, axes) for label, mine in pruned.items()]
            yield kind, TradeOff(f"{title}: {shares} of {kind} removed", offers, dense)


def _offer(label: str, rows: list[Row], axes: list[str]) -> Offer:
    takes = {name: [TAKES[name](row) for row in rows] for name in axes}
    return Offer(label, [row.top1 for row in rows], [row.std for row in rows], takes)


def _differ(values: list[float]) -> bool:
    """Whether they differ by more than two networks that met one target may."""
    return max(values) - min(values) > 2 * TOLERANCE * max(values)


TAKES: dict[str, Callable[[Row], float]] = {
    "parameters left, %": lambda row: 100 * row.params_left,
    "MACs left, zeros skipped, %": lambda row: 100 * row.macs_nonzero_left,
    "MACs to train, × the dense network's": lambda row: row.times_dense_macs or 0.0,
}


def _bar(row: Row, store: Store) -> Bar:
    sides = (side for stored in row.records if (side := store.side_or_none(stored)))
    curve = [point for point in next(sides, {"curves": []})["curves"] if point["kind"] == "train"]
    removed = [p["at"] + 1 for p in curve], [100 * p["removed"] for p in curve]
    return Bar(row.label, removed, row.values("outcome.top1")[:DOTS], row.top1, row.std)


def _trace(stored: Stored, store: Store) -> Trace | None:
    """None if nothing was noted more than twice, because single values are no curve."""
    if (side := store.side_or_none(stored)) is None:
        return None
    noted: dict[str, list[tuple[int, float]]] = {}
    words: dict[str, Counter[str]] = {}
    for entry in side["journal"]:
        if entry["call"] == "note":
            for name, value in entry["result"].items():
                if isinstance(value, int | float):
                    noted.setdefault(name, []).append((entry["epoch"], value))
                elif isinstance(value, str):
                    words.setdefault(name, Counter())[value] += 1
    curves = {name: points for name, points in noted.items() if len(points) > 2}
    if not curves:
        return None
    test = [(p["at"] + 1, p["test"]) for p in side["curves"] if p["kind"] == "train" and "test" in p]
    cuts = [entry["epoch"] for entry in side["journal"] if entry["call"] == "cut"]
    choices = {name: counts for name, counts in words.items() if counts.total() > 2}
    widths = {name: (dense, len(side["kept"][name])) for name, dense in side.get("dense_widths", {}).items()}
    return Trace(stored.record.seed, curves, choices, widths, test, cuts)
