"""What each verb of the command line does: puts the parts together. Heavy imports only where needed."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import find
from benchmark.errors import UnknownName, UserError
from benchmark.matrix import Entry, estimate, matrix
from benchmark.report.table import FORMATS, Table, render, tables_of
from benchmark.store import Store, write_safely
from benchmark.suite import plan
from benchmark.suite_file import known, read

if TYPE_CHECKING:
    from benchmark.evidence.check import Report as Checked
    from benchmark.launch.inline import Summary

Report = dict[str, Any]
DEVICES = ("auto", "cpu", "cuda")  # one of several GPUs: CUDA_VISIBLE_DEVICES
TEMPLATE = find.HERE / "method_template.py.txt"


def run_suite(
    name: str,
    *,
    dry: bool,
    only: str,
    sets: tuple[str, ...],
    tier: str,
    budget: str,
    device: str,
    mode: str,
    threads: int | None,
    packed: int,
    out: Path,
    data: Path | None,
    methods_from: tuple[Path, ...],
    stale: bool,
    force: bool,
    as_json: bool,
    debug: bool,
) -> int:
    if mode not in ("repeatable", "fast"):
        raise UnknownName("mode", mode, ("repeatable", "fast"))
    if device not in DEVICES:
        raise UnknownName("device", device, DEVICES)
    suite = read(name, sets, methods_from)
    store = Store(out)
    seconds = seconds_of(budget) if budget else None
    entries = matrix(plan(suite, tier, only), store, device=device, mode=mode, methods_from=methods_from)
    wanted = {"pending"} | ({"stale"} if stale else set()) | ({"stale", "done"} if force else set())
    todo = [entry for entry in entries if entry.state in wanted]
    threads = threads or suite.file.threads
    if dry or seconds is not None:
        estimate(todo, store, device=device, threads=threads)
    if dry:
        _say(_dry(entries, threads), as_json)
        return 0
    if not as_json:
        print(f"{suite.name}: {_counts(entries)}; {suite.file.about}")
    summary = None
    if todo:
        from benchmark.data.images import data_root
        from benchmark.engine.environment import prepare
        from benchmark.execute import Desk
        from benchmark.launch.inline import run_cells

        environment = prepare(device, "fast" if mode == "fast" else "repeatable", threads)
        desk = Desk(store, environment, data_root(data), methods_from, packed=packed)
        summary = run_cells(todo, desk, budget=seconds, force=force, debug=debug, to_stderr=as_json)
    return _close(suite.name, entries, summary, as_json)


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
        for why, count in Counter(report["failed"].values()).items():
            first = next(cell for cell, reason in report["failed"].items() if reason == why)
            print(f"failed   {first}" + (f" and {count - 1} more" if count > 1 else "") + f": {why}")
        for key in ("diverged", "left", "stale"):
            for cell in report[key]:
                print(f"{key:8} {cell}")
        if report["stale"]:
            print("`run --stale` redoes what is of other code.")
        if report["stopped"]:
            print(f"Stopped ({report['stopped']}); the same command goes on from the checkpoint.")
    if report["failed"] or report["diverged"]:
        return 1
    return 130 if report["stopped"] in ("SIGINT", "SIGTERM") else 0


def _dry(entries: list[Entry], threads: int | None) -> Report:
    lines = [
        {
            "state": entry.state,
            "cell": entry.cell.name,
            "id": entry.cell.id,
            "hours": None if entry.hours is None else round(entry.hours, 6),
            "from": entry.basis,
            "why": entry.why,
        }
        for entry in entries
    ]
    hours = [entry.hours for entry in entries if entry.hours is not None]
    return {"cells": lines, "counts": _counts(entries), "hours": round(sum(hours), 6), "threads": threads}


def _say(report: Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for line in report["cells"]:
        hours = "" if line["hours"] is None else f"  {60 * line['hours']:8.2f} min ({line['from']})"
        print(f"{line['state']:8}{line['id']}  {line['cell']}{hours}  {line['why']}".rstrip())
    print(f"{report['counts']}; about {report['hours']:.2f} hours on this machine, one cell after the other")


def _counts(entries: list[Entry]) -> str:
    counts = Counter(entry.state for entry in entries)
    return ", ".join(f"{counts[state]} {state}" for state in ("done", "pending", "stale", "blocked") if counts[state])


def seconds_of(text: str) -> float:
    """`90`, `30s`, `9m`, `1.5h`."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        raise UserError(f"--budget {text}: write 30s, 9m or 1h") from None
    if seconds <= 0:
        raise UserError(f"--budget {text}: give it some time")
    return seconds


def show_status(what: str, tier: str, out: Path, methods_from: tuple[Path, ...]) -> Any:
    store = Store(out)
    if what in known() or what.endswith(".toml"):
        suite = read(what, (), methods_from)
        entries = matrix(plan(suite, tier), store, device="auto", mode="repeatable", methods_from=methods_from)
        lines = [{"state": f"{e.state:8}", "id": e.cell.id, "cell": e.cell.name, "why": e.why} for e in entries]
        return [*lines, {"state": _counts(entries), "id": "", "cell": "", "why": ""}]
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


def _status_of_run(id: str, store: Store) -> Report:
    from benchmark.engine.attempts import Attempts

    folders = {path.name for base in ("runs", "records") for path in (store.root / base).glob(f"{id}*")}
    if not folders:
        raise UserError(f"no suite and no run {id!r} in {store.root}; suites: {', '.join(known())}")
    if len(folders) > 1:
        raise UserError(f"{id} is the beginning of {len(folders)} ids; give more of it")
    name = folders.pop()
    attempts = Attempts(store.run_folder(name))
    lines = attempts.lines()
    report: Report = {"id": name, "open attempts": sum(line["event"] == "start" for line in lines)}
    report["lost seconds"] = attempts.lost_seconds()
    if lines:
        report["last"] = f"{lines[-1]['event']} {lines[-1].get('ending', '')} {lines[-1].get('why', '')}".strip()
    for stored in store.of(name):
        report[f"record {stored.content}"] = f"{stored.record.ending}, {stored.record.outcome.top1:.2f} %"
    return report


def make_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """With a format: that text. Without: every format and the figures written under OUT, and the Markdown."""
    tables = _tables(name, tier, sets, out, methods_from)
    if format:
        return render(tables, format)
    for path, content in _products(tables, name, tier, out).items():
        write_safely(path, content)
    return render(tables, "md")


def check_table(
    name: str, format: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]
) -> str:
    """Are the tables and figures that lie there the ones their records give, byte for byte?"""
    products = _products(_tables(name, tier, sets, out, methods_from), name, tier, out)
    for path, content in products.items():
        if not path.is_file() or path.read_bytes() != content:
            raise UserError(f"{path}: not what its records give; `prunebench table {name} --out {out}` rewrites it")
    return f"{name}: {len(products)} tables and figures equal what the records give\n"


def _tables(name: str, tier: str, sets: tuple[str, ...], out: Path, methods_from: tuple[Path, ...]) -> list[Table]:
    suite = read(name, sets, methods_from)
    tables = tables_of(suite, plan(suite, tier), Store(out))
    if not tables:
        raise UserError(f"no records of {suite.name} (tier {tier}) in {out}; `prunebench run {name}` makes them")
    return tables


def _products(tables: list[Table], name: str, tier: str, out: Path) -> dict[Path, bytes]:
    """Everything that is made from the records of a suite."""
    from benchmark.report.figures import figures_of

    stem = Path(name).stem if tier == "full" else f"{Path(name).stem}-{tier}"
    products = {out / "tables" / f"{stem}.{each}": render(tables, each).encode() for each in FORMATS}
    return products | {out / "figures" / file: svg for file, svg in figures_of(tables, Store(out)).items()}


def verify_record(id: str, device: str, threads: int | None, out: Path, data: Path | None) -> tuple[Report, bool]:
    from benchmark.data.images import data_root
    from benchmark.engine.environment import prepare
    from benchmark.verify import find_record, verify

    store = Store(out)
    stored = find_record(store, id)
    environment = prepare(device, "repeatable", threads or stored.record.how.threads)
    checks = verify(stored, store, environment, data_root(data))
    report: Report = {"record": str(stored.path), "cell": stored.record.cell.name}
    for check in checks:
        found = "" if check.ok else f", found {check.found}"
        report[check.what] = f"{'ok' if check.ok else 'DIFFERS'}  {check.recorded}{found}"
    ok = all(check.ok for check in checks)
    if not ok and environment.fingerprint not in stored.record.how.fingerprint:
        report["note"] = "this machine or its thread count is not the record's: a few images may be judged otherwise"
    return report, ok


def count_model(name: str, dataset: str, input: str) -> Report:
    from benchmark.network.count import every_count

    model = find.pick("model", name, find.models())
    shape, classes = model.facts["input"], model.facts["classes"]
    if dataset:
        facts = find.pick("data set", dataset, find.datasets()).facts
        if not facts.get("shape") or not facts.get("classes"):
            raise UserError(f"{dataset}: its shape is only known from its files; use --input 3x224x224")
        shape, classes = facts["shape"], facts["classes"]
    if input:
        try:
            channels, height, width = (int(side) for side in input.split("x"))
        except ValueError:
            raise UserError(f"--input {input}: write 3x224x224") from None
        shape = (channels, height, width)
    try:
        counts = every_count(find.load(model)(classes), shape)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{name} does not run on an input of {'x'.join(map(str, shape))}: {error}") from error
    return {"model": name, "input": "x".join(map(str, shape)), "classes": classes} | counts


def look_at_data(name: str, check: bool, prepare: bool, size: int | None, data: Path | None) -> Report:
    from benchmark.data.images import Place, data_root

    found = find.pick("data set", name, find.datasets())
    root = data_root(data)
    if not (check or prepare):
        return {"data set": name, "about": found.about, "looked for in": str(root), "next": "--check or --prepare"}
    images = find.load(found)(Place(root, name.partition(":")[2], size, offline=check))
    return {
        "data set": name,
        "training images": f"{len(images.train)} of {'x'.join(map(str, images.train.shape[1:]))}",
        "test images": len(images.test),
        "classes": len(images.classes),
        "decoder": images.decoder,
        "hash of the pixels": images.hash,
    }


def pin_suite(name: str, tier: str, sets: tuple[str, ...], out: Path, published: Path | None) -> Report:
    """Write what is clean, finished and current into baselines/pinned, and its records where they are published."""
    from benchmark.evidence.pins import gather, path_for, write

    suite, store = read(name, sets), Store(out)
    pins, left_out = gather(plan(suite, tier), store)
    if not pins:
        reasons = Counter(left_out.values()).most_common(1)
        raise UserError(f"nothing to pin in {out}: " + (reasons[0][0] if reasons else f"no records of {suite.name}"))
    path = path_for(suite.name, tier)
    write(pins, path)
    if published and published.resolve() != out.resolve():
        for pin in pins:
            store.copy(pin.cell, pin.record, Store(published))
    report: Report = {"pinned": len(pins), "in": str(path)}
    return report | {f"left out: {why}": count for why, count in Counter(left_out.values()).items()}


def check_suite(
    name: str,
    tier: str,
    sets: tuple[str, ...],
    out: Path,
    against: Path | None,
    junit: Path | None,
    summary: Path | None,
) -> "Checked":
    from benchmark.evidence.check import Report as Checked
    from benchmark.evidence.check import check, compare
    from benchmark.evidence.pins import path_for, read_pins
    from benchmark.report.verdicts import as_junit, as_markdown

    suite = read(name, sets)
    if against:
        lines = list(compare(Store(out), Store(against)))
        if not lines:
            raise UserError(f"no cell in common between {out} and {against}")
        report = Checked(suite.name, lines)
    else:
        report = check(suite.name, plan(suite, tier), read_pins(path_for(suite.name, tier)), Store(out))
    if junit:
        write_safely(junit, as_junit(report).encode())
    if summary:
        write_safely(summary, as_markdown(report, every=True).encode())
    return report


def list_claims(format: str, out: Path) -> tuple[Any, bool]:
    """What papers claim and what the records under OUT say to it; and whether it is for a machine."""
    from benchmark.evidence.claims import judge, read_claims
    from benchmark.evidence.ledger import FORMATS, as_json, as_markdown

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    found = judge(read_claims(), Store(out))
    return (as_json(found), True) if format == "json" else (as_markdown(found), False)


def compare_codes(commit: str, suites: list[str], enter: bool) -> Report:
    from benchmark.golden import SUITES, compare
    from benchmark.golden import enter as write

    pairs, cells = compare(commit, suites or [str(path) for path in sorted(SUITES.glob("*.toml"))])
    report: Report = {"cells with equal weights": cells}
    report |= {f"{part} {now}": f"means what {was} meant" for part, was, now in pairs}
    if enter:
        report["entered"] = write(pairs, commit, cells)
    return report


def show_things(what: str, methods_from: tuple[Path, ...]) -> Any:
    lists = {"methods": find.methods(methods_from), "models": find.models(), "datasets": find.datasets()}
    if what in lists:
        return [{"name": f"{name:18}", "about": found.about} for name, found in lists[what].items()]
    if what == "suites":
        return [{"name": f"{name:18}", "about": read(name).file.about} for name in known()]
    if what == "method-template":
        return TEMPLATE.read_text()
    if what == "env":
        return _environment()
    for found in lists.values():
        if what in found:
            return found[what].path.read_text()
    if what in known():
        return known()[what].read_text()
    everything = [*lists, "suites", "env", "method-template", *known(), *(n for found in lists.values() for n in found)]
    raise UnknownName("thing", what, everything)


def _environment() -> Report:
    from benchmark.engine.environment import prepare

    env = prepare()
    report: Report = {"python": sys.version.split()[0], "device": env.device_name, "threads": env.threads}
    return report | {"fingerprint": env.fingerprint} | env.versions()
