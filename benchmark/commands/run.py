"""`run`: which cells are due, the run itself, and its summary for a person or a machine."""

import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmark.commands.output import duration
from benchmark.commands.retime import due_among, time_again
from benchmark.errors import UnknownName, UserError
from benchmark.evidence.pins import path_for, read_pins
from benchmark.launch.shutdown import BUDGET_SPENT
from benchmark.launch.spec import How, Spec, last_spec
from benchmark.plan.suite import plan, unused
from benchmark.plan.suite_file import Suite, read
from benchmark.records.matrix import Entry, counts, matrix
from benchmark.records.store import Store
from benchmark.runs.estimate import estimate, known_hours

if TYPE_CHECKING:
    from benchmark.launch.worker import Summary

LAUNCHERS = ("inline", "process", "slurm")
DEVICES = ("auto", "cpu", "cuda")  # to choose one of several GPUs: CUDA_VISIBLE_DEVICES
OF_A_PARENT = re.compile(r"its parent \w+ \(\w+\) failed")  # it has a line of its own, with the reason
RETIMED = 0.05  # of a launch's time, spent on timing its runs again, alone
WORTHWHILE = 2.0  # seconds: for less it is not begun
SOME = 20  # cells of one kind that the end of a run names; --json has them all
Report = dict[str, Any]


@dataclass(frozen=True)
class RunOptions:
    """What the flags of `run` say."""

    dry: bool = False
    only: str = ""
    sets: tuple[str, ...] = ()
    tier: str = "full"
    budget: str = ""
    device: str = "auto"
    mode: str = "repeatable"
    threads: int | None = None
    shared: int = 1
    jobs: int = 1
    launcher: str = ""
    out: Path = Path("results")
    data: Path | None = None
    methods_from: tuple[Path, ...] = ()
    stale: bool = False
    force: bool = False
    as_json: bool = False
    debug: bool = False
    retime: bool = True

    @property
    def in_processes(self) -> bool:
        return self.launcher == "process" or (not self.launcher and self.jobs > 1)


def run_suite(name: str, asked: RunOptions) -> int:
    _check(asked)
    seconds = seconds_of(asked.budget) if asked.budget else None
    suite = read(name, asked.sets, asked.methods_from)
    if idle := unused(suite, plan(suite, asked.tier)) if asked.methods_from else []:
        raise UserError(
            f"--methods {idle[0]}: no table of {suite.name} takes a method of it; name one in a table's `methods`, "
            'or write "*" there for all that meet its targets'
        )
    asked = replace(asked, threads=asked.threads or suite.file.threads)
    store, planned = Store(asked.out), plan(suite, asked.tier, asked.only)
    entries = matrix(planned, store, device=asked.device, mode=asked.mode, methods_from=asked.methods_from)
    wanted = {"pending"} | ({"stale"} if asked.stale else set()) | ({"stale", "done"} if asked.force else set())
    todo = [entry for entry in entries if entry.state in wanted]
    if asked.dry or seconds is not None:
        estimate(todo, store, device=asked.device, threads=asked.threads, data=asked.data)
    if asked.dry:
        _say(_dry(entries, asked.threads), asked.as_json)
        return 0
    if not asked.as_json:
        print(f"{suite.name}: {counts(entries)}; {suite.file.about}")
    if not todo:
        return _close(suite.name, entries, None, asked.as_json)
    from benchmark.launch.local import run_beside, run_here

    how = _how(asked, todo)
    ordered = in_order(todo, seconds, suite.name, asked.tier)
    specs = _forced(ordered, how, store) if asked.force else [Spec(e.cell, how, e.seen) for e in ordered]
    if asked.launcher == "slurm":
        return _hand_over(suite, todo, specs, store, asked)
    if asked.in_processes:
        begun = time.monotonic()
        summary = run_beside(specs, store, asked.jobs, budget=seconds, debug=asked.debug, to_stderr=asked.as_json)
        if asked.retime and not summary.stopped:
            _time_alone(ordered, store, asked, suite.name, RETIMED * (time.monotonic() - begun))
    else:
        summary = run_here(specs, store, budget=seconds, debug=asked.debug, to_stderr=asked.as_json)
    return _close(suite.name, entries, summary, asked.as_json)


def _time_alone(entries: list[Entry], store: Store, asked: RunOptions, suite: str, seconds: float) -> None:
    """The machine is this launch's alone now: what shared it is timed again, within a share of the launch's time."""
    due = due_among([entry.id for entry in entries], store)
    if seconds < WORTHWHILE or not due:
        return
    try:
        done = time_again(due, store, asked.data, asked.methods_from, lambda line: None, seconds=seconds)
    except KeyboardInterrupt:  # the records are there, and those that were timed say so
        done = len(due) - len(due_among([entry.id for entry in entries], store))
    rest = f"; `prunebench retime {suite}` times the rest" if done < len(due) else ""
    told = f"Timed {done} of {len(due)} runs again, alone{rest}."
    print(told, file=sys.stderr if asked.as_json else sys.stdout, flush=True)


def _check(asked: RunOptions) -> None:
    allowed = {"mode": ("repeatable", "fast"), "device": DEVICES, "launcher": ("", *LAUNCHERS)}
    for option, values in allowed.items():
        if (value := getattr(asked, option)) not in values:
            raise UnknownName(option, value, filter(None, values))


def _how(asked: RunOptions, todo: list[Entry]) -> How:
    """What every worker of this launch is told. Cells that share a device are noted as such."""
    from benchmark.data.images import data_root
    from benchmark.launch.local import blocks_of, sharing

    shared = asked.shared
    if asked.in_processes:
        blocks = blocks_of(asked.device, [entry.cell for entry in todo])
        shared = max(shared, sharing(min(asked.jobs, len(todo)), blocks))
    return How(
        device=asked.device,
        mode=asked.mode,
        threads=asked.threads or (1 if asked.jobs > 1 else None),
        shared=shared,
        data=str(data_root(asked.data).resolve()),
        methods=tuple(str(path.resolve()) for path in asked.methods_from),
        launch=uuid4().hex,
    )


def _hand_over(suite: Suite, todo: list[Entry], specs: list[Spec], store: Store, asked: RunOptions) -> int:
    """Slurm does the rest; `status` shows it, and the same command later submits what is left."""
    from benchmark.launch.slurm import queued, submit

    already = queued(specs, store)
    submitted = submit(specs, known_hours(todo, store), store, suite.file.slurm, asked.jobs)
    if asked.as_json:
        print(json.dumps({"suite": suite.name, "submitted": submitted, "queued before": already}, indent=1))
    else:
        print(f"{len(submitted)} cells submitted, {len(already)} are in the queue already")
        print(f"`prunebench status {suite.name} --watch` shows them; the same `run` again submits what is left.")
    return 0


def in_order(todo: list[Entry], budget: float | None, suite: str, tier: str) -> list[Entry]:
    """With a budget: pinned cells first, then the cheapest, so that as many as possible finish.

    Parents always come before their children, whatever the order asks: a worker and its summary rely on that.
    """
    if budget is None:
        return todo
    pinned = {pin.cell for pin in read_pins(path_for(suite, tier))}
    wanted = sorted(todo, key=lambda e: (e.id not in pinned, round(e.hours or 0.0, 3), e.cell.seed))
    of_id, ordered = {entry.id: entry for entry in todo}, dict[str, Entry]()

    def place(entry: Entry) -> None:
        for parent in entry.cell.parents.values():
            if parent in of_id:
                place(of_id[parent])
        ordered.setdefault(entry.id, entry)

    for entry in wanted:
        place(entry)
    return list(ordered.values())


def _forced(todo: list[Entry], how: How, store: Store) -> list[Spec]:
    """All of it from the start. If an earlier --force of this kind was interrupted: only what that one had left."""
    from benchmark.launch.worker import unsettled

    before = {entry.id: spec for entry in todo if (spec := last_spec(entry.id, store)) and spec.forced_by}
    before = {id: spec for id, spec in before.items() if _alike(spec.how, how)}
    unfinished = {spec.forced_by for spec in before.values() if unsettled(spec, store)}
    return [
        replace(before[entry.id], how=how)
        if entry.id in before and before[entry.id].forced_by in unfinished
        else Spec(entry.cell, how, entry.seen, forced_by=how.launch)
        for entry in todo
    ]


def _alike(a: How, b: How) -> bool:
    return (a.device, a.mode, a.methods) == (b.device, b.mode, b.methods)


def _close(name: str, entries: list[Entry], summary: "Summary | None", as_json: bool) -> int:
    """The end of `run`: what is done, what is left, what failed and why; the exit code says it too."""
    stale = [entry.cell.name for entry in entries if entry.state == "stale"]
    report: Report = {
        "suite": name,
        "ran": summary.done if summary else [],
        "diverged": summary.diverged if summary else [],
        "failed": summary.failed if summary else {},
        "left": summary.left if summary else [],
        "stopped": summary.stopped if summary else "",
        "stale": [] if summary and set(stale) <= set(summary.done) else stale,
    }
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        failed = {cell: OF_A_PARENT.sub("its parent failed", why) for cell, why in report["failed"].items()}
        for why, count in Counter(failed.values()).items():
            first = next(cell for cell, reason in failed.items() if reason == why)
            print(f"failed   {first}" + (f" and {count - 1} more" if count > 1 else "") + f": {why}")
        for key in ("diverged", "left", "stale"):
            for cell in report[key][:SOME]:
                print(f"{key:8} {cell}")
            if (more := len(report[key]) - SOME) > 0:
                print(f"{key:8} and {more} more")
        if report["stale"]:
            print("`run --stale` runs cells of other code again.")
        if report["stopped"]:
            print(f"Stopped ({report['stopped']}); the same command continues from the checkpoint.")
    if report["failed"] or report["diverged"]:
        return 1
    if report["stopped"] in ("SIGINT", "SIGTERM"):
        return 130
    return 1 if report["left"] and report["stopped"] != BUDGET_SPENT else 0


def _dry(entries: list[Entry], threads: int | None) -> Report:
    lines = [
        {
            "state": entry.state,
            "cell": entry.cell.name,
            "label": entry.label,
            "id": entry.id,
            "hours": None if entry.hours is None else round(entry.hours, 6),
            "from": entry.basis,
            "why": entry.why,
        }
        for entry in entries
    ]
    hours = [entry.hours for entry in entries if entry.hours is not None]
    return {"cells": lines, "counts": counts(entries), "hours": round(sum(hours), 6), "threads": threads}


def _say(report: Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for line in report["cells"]:
        hours = "" if line["hours"] is None else f"  {duration(line['hours'])} ({line['from']})"
        label = f" ({line['label']})" if line["label"] else ""
        print(f"{line['state']:8}{line['id']}  {line['cell']}{label}{hours}  {line['why']}".rstrip())
    unknown = sum(line["hours"] is None and line["state"] in ("pending", "stale") for line in report["cells"])
    rest = f"; cost unknown for {unknown} cells: data set not prepared" if unknown else ""
    print(f"{report['counts']}; about {duration(report['hours'])} on this machine, one cell after the other{rest}")


def seconds_of(text: str) -> float:
    """`90`, `30s`, `9m`, `1.5h`."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        raise UserError(f"--budget {text}: write 30s, 9m or 1h") from None
    if not 0 < seconds < inf:
        raise UserError(f"--budget {text}: must be finite and more than 0")
    return seconds
