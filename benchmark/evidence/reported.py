"""What papers, repositories and logs print: one value per row, checked before it is used.

Derived numbers (drops, gains, percentages of a dense network) are not data. A file may hold them only
to be checked against their parts. If one does not follow from its parts, the whole file is refused.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from benchmark.errors import UnknownName, UserError
from benchmark.evidence.sizes import sizes
from benchmark.plan.discovery import ROOT

FOLDER = ROOT / "baselines" / "reported"
COLUMNS = (
    "source", "place", "kind", "method", "model", "data", "target_kind", "target",
    "metric", "value", "unit", "n", "protocol",
)  # fmt: skip
KINDS = ("author_log", "author_table", "third_party")
TARGETS = ("none", "macs", "params", "weights")
# the parts of a derived metric: change = its own value minus the dense one's; percent = own / dense
CHANGES = {"top1_change": "top1", "top1_best_change": "top1_best", "top5_change": "top5"}
PERCENTS = {"params_kept_percent": "params", "macs_kept_percent": "macs"}
SHARES = {"top1", "top1_best", "top1_mean", "top1_best_mean", "top5", *PERCENTS}  # percentages, from 0 to 100
METRICS = SHARES | {*CHANGES, "params", "macs", "ops", "hours", "stable_epoch", "training_speed_up"}
DENSE = "dense"
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}
ROOM = {"params": 0.01, "macs": 0.05}  # how far from our count: other counters add biases, norms, activations


@dataclass(frozen=True)
class Reported:
    source: str
    place: str
    kind: str
    method: str
    model: str
    data: str
    target_kind: str
    target: float | None  # the share removed
    metric: str
    value: float
    unit: str
    n: int | None
    protocol: str
    digits: int  # printed after the point: a derived value may be off by this rounding
    where: str  # file and line

    @property
    def network(self) -> tuple[str, ...]:
        return (self.source, self.model, self.data)


def read_all(folder: Path = FOLDER) -> list[Reported]:
    return [row for path in sorted(folder.glob("*.csv")) for row in read(path)]


def read(path: Path) -> list[Reported]:
    """Every row, or an error that names every wrong line."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(), newline=""))
        lines = list(enumerate(reader, start=2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table ({error})") from None
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise UserError(f"{path}: its columns must be {', '.join(COLUMNS)}")
    wrong: list[str] = []
    rows: list[Reported] = []
    for line, fields in lines:
        where = f"{path.name}:{line}"
        try:
            rows.append(_row(fields, where))
        except ValueError as error:
            wrong.append(f"{where}: {error}")
    wrong += [*_twice(rows), *_sizes(rows), *_changes(rows), *_percents(rows)]
    if wrong:
        raise UserError(f"{path}: {len(wrong)} rows are wrong\n  " + "\n  ".join(wrong))
    return [row for row in rows if row.metric not in CHANGES and row.metric not in PERCENTS]


def _row(fields: dict[str, str | None], where: str) -> Reported:
    if None in fields or any(value is None for value in fields.values()):
        raise ValueError("more or fewer cells than columns; quote a comma inside a cell")
    text = {key: (value or "").strip() for key, value in fields.items()}
    if text["kind"] not in KINDS:
        raise ValueError(f"kind {text['kind']!r}: one of {', '.join(KINDS)}")
    if text["target_kind"] not in TARGETS:
        raise ValueError(f"target_kind {text['target_kind']!r}: one of {', '.join(TARGETS)}")
    if empty := [key for key in ("source", "method", "model", "data") if not text[key]]:
        raise ValueError(f"{empty[0]} is empty")
    if text["metric"] not in METRICS:
        raise ValueError(str(UnknownName("metric", text["metric"], sorted(METRICS))))
    value = _number(text["value"], "value")
    if text["metric"] in ROOM and text["unit"] not in UNITS:
        raise ValueError(f"unit {text['unit']!r} of {text['metric']}: one of {', '.join(filter(None, UNITS))}, or none")
    if text["metric"] in SHARES and not 0 <= value <= 100:
        raise ValueError(f"{text['metric']} {text['value']}: no percentage")
    if text["metric"] in SHARES - set(PERCENTS) and text["unit"] != "%":
        raise ValueError(f"{text['metric']} in {text['unit'] or 'no unit'}: accuracies are in %")
    if value < 0 and text["metric"] not in CHANGES:
        raise ValueError(f"{text['metric']} {text['value']}: below zero")
    if several := [key for key in ("method", "model", "data") if any(s in text[key] for s in (" / ", ";", "→", "\n"))]:
        raise ValueError(f"{several[0]} {text[several[0]]!r} holds several values; one a row")
    n = _number(text["n"], "n") if text["n"] else None
    if n is not None and (n < 1 or n != int(n)):
        raise ValueError(f"n {text['n']}: a number of runs")
    target = _number(text["target"], "target") if text["target"] else None
    if (target is None) != (text["target_kind"] == "none") or not 0 < (target or 0.5) < 1:
        raise ValueError(f"target {text['target']!r} of {text['target_kind']}: a share between 0 and 1, or none at all")
    return Reported(
        **{key: text[key] for key in ("source", "place", "kind", "method", "model", "data", "target_kind")},
        target=target,
        metric=text["metric"],
        value=value,
        unit=text["unit"],
        n=None if n is None else int(n),
        protocol=text["protocol"],
        digits=len(text["value"].partition(".")[2]),
        where=where,
    )


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
        if "_" in text or not isfinite(number):
            raise ValueError
        return number
    except ValueError:
        several = " holds several values; one a row" if any(sign in text for sign in "/,;→") else " is no number"
        raise ValueError(f"{what} {text!r}{several}") from None


def _twice(rows: list[Reported]) -> Iterable[str]:
    seen: dict[tuple[object, ...], Reported] = {}
    for row in rows:
        key = (*row.network, row.method, row.target_kind, row.target, row.metric, row.place)
        if key in seen:
            yield f"{row.where}: the same as {seen[key].where}"
        seen[key] = row


def _sizes(rows: list[Reported]) -> Iterable[str]:
    """If this repository has the dense network too, the printed size must agree with it."""
    for row in rows:
        known = _counted(row, row.metric) if row.method.startswith(DENSE) else None
        if known and abs(row.value - known) > ROOM[row.metric] * known + _half(row):
            yield f"{row.where}: {row.model} on {row.data} has {known:.4g} {row.unit} {row.metric}, not {row.value:g}"


def _counted(row: Reported, metric: str) -> float | None:
    """Our own count of the row's dense network, in the row's unit; None if there is no such network here."""
    found = [size for size in sizes() if (size.model, size.data) == (row.model, row.data)]
    if metric not in ROOM or not found:
        return None
    count: int = getattr(found[0], metric)
    return count / UNITS[row.unit]


def _changes(rows: list[Reported]) -> Iterable[str]:
    """A printed change must be the difference of the printed values, to the digit that was printed."""
    for row, own, dense in _derived(rows, CHANGES):
        if own is None or dense is None:
            yield f"{row.where}: a change without both of its values, or of several dense networks and none named"
            continue
        change = own.value - dense.value
        if abs(change - row.value) > _half(row) + _half(own) + _half(dense) + 1e-9:
            yield f"{row.where}: {dense.value:g} to {own.value:g} is {change:+.3f}, not {row.value:+g}"


def _percents(rows: list[Reported]) -> Iterable[str]:
    """A printed percentage implies the size of a dense network. It must agree with the known size."""
    for row, own, dense in _derived(rows, PERCENTS):
        known = own and _counted(own, own.metric)
        if own is None or (dense is None and known is None):
            yield f"{row.where}: a percentage without its value and the one dense network's"
            continue
        unit = UNITS[dense.unit] / UNITS[own.unit] if dense else 1.0
        base, off = (
            (dense.value * unit, _half(dense) * unit) if dense else (known or 0.0, ROOM[own.metric] * (known or 0.0))
        )
        low = 100 * (own.value - _half(own)) / (base + off) - _half(row)
        high = 100 * (own.value + _half(own)) / (base - off) + _half(row)
        if not low <= row.value <= high:
            implied = 100 * own.value / row.value if row.value else inf
            yield f"{row.where}: {own.value:g} at {row.value:g} % implies {implied:.4g} in all; it is {base:.4g}"


def _derived(
    rows: list[Reported], parts: dict[str, str]
) -> Iterable[tuple[Reported, Reported | None, Reported | None]]:
    """Each derived row with the two values that it is computed from."""
    for row in rows:
        if metric := parts.get(row.metric):
            yield row, _partner(rows, row, metric), _dense(rows, row, metric)


def _partner(rows: list[Reported], row: Reported, metric: str) -> Reported | None:
    """The value of the same method, network and target."""
    same = (row.network, row.method, row.target_kind, row.target, metric)
    found = [r for r in rows if (r.network, r.method, r.target_kind, r.target, r.metric) == same]
    of_it = [r for r in found if r.place == row.place] or found
    return of_it[0] if len({r.value for r in of_it}) == 1 else None


def _dense(rows: list[Reported], row: Reported, metric: str) -> Reported | None:
    """The dense network that the row is relative to: named in its protocol, or the only one."""
    dense = [r for r in rows if r.network == row.network and r.method.startswith(DENSE) and r.metric == metric]
    named = [r for r in dense if r.method in row.protocol.split("; ")]
    here = [r for r in dense if r.place == row.place]
    of_it = named or here or dense
    return of_it[0] if len({r.value for r in of_it}) == 1 else None


def _half(row: Reported) -> float:
    """Half of the last printed digit: a printed number may be off by that."""
    return 0.5 * 10.0**-row.digits
