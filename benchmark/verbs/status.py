"""`status`: of a suite, of one run, of a store."""

from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.matrix import counts, matrix
from benchmark.store import Store
from benchmark.suite import plan
from benchmark.suite_file import known, read


def show_status(what: str, tier: str, out: Path, methods_from: tuple[Path, ...]) -> Any:
    store = Store(out)
    if what in known() or what.endswith(".toml"):
        suite = read(what, (), methods_from)
        entries = matrix(plan(suite, tier), store, device="auto", mode="repeatable", methods_from=methods_from)
        lines = [{"state": f"{e.state:8}", "id": e.cell.id, "cell": e.cell.name, "why": e.why} for e in entries]
        return [*lines, {"state": counts(entries), "id": "", "cell": "", "why": ""}]
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


def _status_of_run(id: str, store: Store) -> dict[str, Any]:
    from benchmark.engine.attempts import Attempts

    folders = {path.name for base in ("runs", "records") for path in (store.root / base).glob(f"{id}*")}
    if not folders:
        raise UserError(f"no suite and no run {id!r} in {store.root}; suites: {', '.join(known())}")
    if len(folders) > 1:
        raise UserError(f"{id} is the beginning of {len(folders)} ids; give more of it")
    name = folders.pop()
    attempts = Attempts(store.run_folder(name))
    lines = attempts.lines()
    report: dict[str, Any] = {"id": name, "open attempts": sum(line["event"] == "start" for line in lines)}
    report["lost seconds"] = attempts.lost_seconds()
    if lines:
        report["last"] = f"{lines[-1]['event']} {lines[-1].get('ending', '')} {lines[-1].get('why', '')}".strip()
    for stored in store.of(name):
        report[f"record {stored.content}"] = f"{stored.record.ending}, {stored.record.outcome.top1:.2f} %"
    return report
