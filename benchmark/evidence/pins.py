"""Pins: what this suite measured, one row per run, as a CSV that a person can review line by line."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.canonical import digest
from benchmark.plan.cell import Cell
from benchmark.plan.suite import Planned
from benchmark.records.code import Code, code_of
from benchmark.records.record import Count, Percent, Record, Size, path_of
from benchmark.records.store import Store, Stored, write_safely

FOLDER = discovery.ROOT / "baselines" / "pinned"


@dataclass(frozen=True)
class Pin:
    cell: str  # its id
    row: str  # what was asked without the seed: cells of one row differ only in their seed
    name: str  # for people
    top1: Percent
    macs: Count
    macs_dense: Size
    params_dense: Size
    params: Count
    nonzero: Count
    macs_nonzero: Count
    training_macs: Count
    path: str  # hash of the zeros of each layer after each epoch; empty if nothing is masked
    weights: str
    code: str  # hash of the meanings of the four parts of the code
    fingerprint: str
    device: str
    mode: str
    data: str  # hash of the decoded images
    record: str
    finished: str

    @property
    def conditions(self) -> tuple[str, str, str]:
        return self.device, self.mode, self.data


def row_of(cell: Cell) -> str:
    """Everything that was asked of a cell, without its seed."""
    return digest({key: value for key, value in cell.asked().items() if key not in ("seed", "parents")})


def pin_of(stored: Stored, store: Store) -> Pin:
    record = stored.record
    return Pin(
        cell=record.id,
        row=row_of(record.cell),
        name=record.cell.name,
        top1=round(record.outcome.top1, 6),
        macs=record.network.macs,
        macs_dense=record.network.macs_dense,
        params_dense=record.network.params_dense,
        params=record.network.params,
        nonzero=record.network.nonzero,
        macs_nonzero=record.network.macs_nonzero,
        training_macs=record.cost.training_macs,
        path=masked_path(stored, store),
        weights=record.network.weights_hash,
        code=meaning(record.code),
        fingerprint=record.how.fingerprint,
        device=record.how.device,
        mode=record.how.mode,
        data=record.how.data_hash,
        record=stored.content,
        finished=record.finished,
    )


def masked_path(stored: Stored, store: Store) -> str:
    """The record's own value. Older records do not hold it; there it is computed from the curves."""
    return stored.record.network.path or path_of(store.side(stored)["curves"])


def meaning(code: Code) -> str:
    return digest(list(code.meaning))[:12]


def current(planned: Planned, store: Store) -> list[Stored]:
    """Finished records of the cell by this code, or by code shown to be equal; newest last."""
    if not (records := store.of(planned.id)):
        return []
    code = code_of(planned.cell)
    return [s for s in records if s.record.ending == "done" and s.record.code.same(code)]


def why_not(record: Record) -> str:
    """Why a record cannot be pinned."""
    if record.code.dirty:
        return "its code was not committed"
    return "two environments made it" if "+" in record.how.fingerprint else ""


def gather(planned: Iterable[Planned], store: Store) -> tuple[list[Pin], dict[str, str]]:
    """A pin for each cell that has a clean, finished, current record, and the reason for each other cell."""
    pins, left_out = [], {}
    for p in {p.id: p for p in planned}.values():
        records = current(p, store)
        clean = [s for s in records if not why_not(s.record)]
        if clean:
            pins.append(pin_of(clean[-1], store))
        elif records:
            left_out[p.cell.name] = why_not(records[-1].record)
        elif store.of(p.id):
            left_out[p.cell.name] = "its record is of other code, or diverged"
    return pins, left_out


def untouched(before: list[Pin], now: list[Pin]) -> list[Pin]:
    """Pins that no new one replaces: a cell has one pin for each device and mode."""
    replaced = {(pin.cell, pin.device, pin.mode) for pin in now}
    return [pin for pin in before if (pin.cell, pin.device, pin.mode) not in replaced]


def path_for(suite: str, tier: str) -> Path:
    return FOLDER / (f"{suite}.csv" if tier == "full" else f"{suite}-{tier}.csv")


def write(pins: list[Pin], path: Path) -> None:
    """Sorted as a person would look them up, so that a diff shows only what changed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Pin)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(pin) for pin in sorted(pins, key=lambda pin: (pin.name, pin.cell, pin.record)))
    write_safely(path, text.getvalue().encode())


def read_pins(path: Path) -> list[Pin]:
    if not path.is_file():
        return []
    columns = [field.name for field in fields(Pin)]
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(), newline=""))
        head, rows = list(reader.fieldnames or []), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table ({error})") from None
    if head != columns:
        raise UserError(f"{path}: its columns must be {', '.join(columns)}")
    if not rows:
        raise UserError(f"{path}: no pin in it")
    try:
        pins = TypeAdapter(list[Pin]).validate_python(rows)
    except ValidationError as error:
        raise UserError(f"{path}: not a pin: {error.errors()[0]['loc']} {error.errors()[0]['msg']}") from None
    seen: set[tuple[str, str, str]] = set()
    for pin in pins:
        if (key := (pin.cell, pin.fingerprint, pin.code)) in seen:
            raise UserError(f"{path}: two pins of {pin.name}, of one environment and code; one run is no two seeds")
        seen.add(key)
    return pins
