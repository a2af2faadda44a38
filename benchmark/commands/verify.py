"""`verify`: a network, rebuilt from its record and its weights, counted and evaluated again."""

from pathlib import Path
from typing import Any

from benchmark.records.store import Store

Report = dict[str, Any]


def verify_record(id: str, device: str, threads: int | None, out: Path, data: Path | None) -> tuple[Report, bool]:
    from benchmark.data.images import data_root
    from benchmark.runs.verify import ELSEWHERE, find_record, verify
    from benchmark.training.environment import prepare

    store = Store(out)
    stored = find_record(store, id)
    environment = prepare(device, "repeatable", threads or stored.record.how.threads)
    checks = verify(stored, store, environment, data_root(data))
    report: Report = {"record": str(stored.path), "cell": stored.record.cell.name}
    for check in checks:
        found = "" if check.found == check.recorded else f", found {check.found}"
        report[check.what] = f"{'ok' if check.ok else 'DIFFERS'}  {check.recorded}{found}"
    ok = all(check.ok for check in checks)
    if environment.fingerprint not in stored.record.how.fingerprint:
        share = f"{100 * ELSEWHERE:g} %"
        report["note"] = (
            f"not the record's machine or thread count: up to {share} of the images may be classified differently"
        )
    return report, ok
