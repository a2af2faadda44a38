"""`status`: of a suite, of one run, of a store; once, or watched."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from benchmark.errors import UserError
from benchmark.launch.lease import state
from benchmark.launch.statuses import Place, places, summary
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import known, read
from benchmark.records.matrix import matrix
from benchmark.records.store import Store
from benchmark.runs.estimate import known_hours, likely

if TYPE_CHECKING:
    from benchmark.runs.attempts import Line

LAST = 10  # lines of a run's log
EVERY = 1.0  # seconds between two looks


def show_status(
    what: str,
    tier: str,
    out: Path,
    methods_from: tuple[Path, ...],
    sets: tuple[str, ...] = (),
    mode: str = "repeatable",
) -> Any:
    store = Store(out)
    if what in known() or what.endswith(".toml"):
        found = _look(what, tier, store, methods_from, sets, mode)
        lines = [{"state": p.state, "id": p.entry.id, "cell": p.entry.name, "why": p.why} for p in found]
        return [*lines, {"state": summary(found), "id": "", "cell": "", "why": ""}]
    if what:
        return _status_of_run(what, store)
    ids = sorted(path.name for path in (out / "runs").glob("*")) if (out / "runs").is_dir() else []
    records = list(store.all())
    return {
        "store": str(out),
        "records": len(records),
        "cells recorded": len({s.record.id for s in records}),
        "run folders": len(ids),
        "hours spent": round(sum(s.record.cost.hours for s in records), 3),
    }


def watch_status(
    suite: str,
    tier: str,
    out: Path,
    methods_from: tuple[Path, ...],
    sets: tuple[str, ...] = (),
    mode: str = "repeatable",
    *,
    looks: int | None = None,
) -> None:
    """The same, redrawn every second until Ctrl-C, or until nothing is left to wait for."""
    if suite not in known() and not suite.endswith(".toml"):
        raise UserError("--watch needs a suite")
    store = Store(out)
    with Live(refresh_per_second=4) as live:
        while looks is None or looks > 0:
            found = _look(suite, tier, store, methods_from, sets, mode)
            live.update(_drawn(found, store))
            if all(place.state in ("done", "stale", "blocked") for place in found):
                break
            looks = None if looks is None else looks - 1
            time.sleep(EVERY)


def _look(
    suite: str, tier: str, store: Store, methods_from: tuple[Path, ...], sets: tuple[str, ...], mode: str
) -> list[Place]:
    planned = plan(read(suite, sets, methods_from), tier)
    entries = matrix(planned, store, device="auto", mode=mode, methods_from=methods_from)
    return places(entries, store)


def _drawn(found: list[Place], store: Store) -> RenderableType:
    """Who works on what, then the matrix in numbers, then what failed."""
    workers = Table("worker", "cell", "where it stands", "left", expand=True, box=None)
    for place in (p for p in found if p.state == "running" and p.holder):
        holder, now = place.holder, place.now or {}
        who = f"{holder.host} {holder.job or holder.pid}" if holder else ""
        left = f"{now['left'] / 60:.0f} min" if "left" in now else ""
        workers.add_row(who, place.entry.cell.name, str(now.get("facts", "begins")), left)
    failed = Table("failed", "why", expand=True, box=None)
    for place in (p for p in found if p.state == "failed"):
        failed.add_row(place.entry.cell.name, place.why)
    return Group(workers, "", f"{summary(found)}; {_hours(found, store)}", *([failed] if failed.rows else []))


def _hours(found: list[Place], store: Store) -> str:
    """Spent on what is done; left for the rest, where runs like them have been recorded."""
    spent = sum(s.record.cost.hours for p in found for s in store.of(p.entry.id)[-1:])
    rest = [p.entry for p in found if p.state in ("pending", "running", "failed")]
    hours = known_hours(rest, store, likely("auto"))
    unknown = f" ({len(rest) - len(hours)} cells unknown)" if len(hours) < len(rest) else ""
    return f"{spent:.2f} hours spent, about {sum(hours.values()):.2f} left{unknown}"


def _status_of_run(id: str, store: Store) -> dict[str, Any]:
    from benchmark.runs.attempts import Attempts

    folders: set[str] = set()
    if id.isalnum():  # anything else is no id, and might be a pattern
        folders |= {path.name for base in ("runs", "records") for path in (store.root / base).glob(f"{id}*")}
        folders |= {path.parent.name for path in (store.root / "records").glob(f"*/{id}*.json")}
    if not folders:
        raise UserError(f"no suite and no run {id!r} in {store.root}; suites: {', '.join(known())}")
    if len(folders) > 1:
        raise UserError(f"{id} is the beginning of {len(folders)} ids; give more of it")
    name = folders.pop()
    folder = store.run_folder(name)
    attempts = Attempts(folder)
    lines = attempts.lines()
    report: dict[str, Any] = {"id": name, "lost seconds": attempts.lost_seconds()} | _attempts(lines)
    last = state(folder)
    if last.holder:
        where = f"{last.holder.host}, process {last.holder.pid}" + (
            f", job {last.holder.job}" if last.holder.job else ""
        )
        alive = "killed" if last.holder.is_dead() else "at work"
        report[f"lease {last.number}"] = f"{where}: {f'{last.ending} {last.why}'.strip() or alive}"
    for stored in store.of(name):
        report[f"record {stored.content}"] = (
            f"{stored.record.ending}, {stored.record.outcome.top1:.2f} %, {stored.path}"
        )
    log = folder / "log"
    said = log.read_text(errors="replace").splitlines()[-LAST:] if log.is_file() else []
    return report | {f"log {number - len(said)}": line for number, line in enumerate(said)}


def _attempts(lines: "list[Line]") -> dict[str, str]:
    """Each attempt: when and where it began, and how it ended. A killed one has no end."""
    told: dict[str, str] = {}
    for line in lines:
        if line.event == "start":
            began = datetime.fromtimestamp(line.when, UTC)
            about = f"{began:%Y-%m-%d %H:%M:%S} on {line.host}, process {line.pid}"
            last = f"attempt {line.attempt}"
            told[last] = f"{about}: at work, or killed"
        elif told:
            told[last] = f"{about}: {line.ending} {line.why}".strip()
    return told
