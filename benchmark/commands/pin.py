"""`pin`: what was measured becomes what later runs are compared with."""

from collections import Counter
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store

Report = dict[str, Any]


def pin_suite(
    name: str,
    tier: str,
    sets: tuple[str, ...],
    out: Path,
    published: Path | None,
    elsewhere: list[Path],
    *,
    replace: bool = False,
) -> Report:
    """Pin the clean, finished, current records in baselines/pinned, and copy them into the store `published`.

    Pins of other cells stay, unless `replace` drops them. `elsewhere` are stores of the same suite from other
    environments. `check` allows as much difference as there is between them.
    """
    from benchmark.evidence import tolerance
    from benchmark.evidence.pins import gather, path_for, read_pins, untouched, write

    if not (discovery.ROOT / "pyproject.toml").is_file():
        raise UserError("pins belong to a checkout, and this is an installed package; clone the repository to pin")
    suite, store = read(name, sets), Store(out)
    planned = plan(suite, tier)
    pins, left_out = gather(planned, store)
    if not pins:
        reasons = Counter(left_out.values()).most_common(1)
        raise UserError(f"nothing to pin in {out}: " + (reasons[0][0] if reasons else f"no records of {suite.name}"))
    allowed = tolerance.measure(suite.name, planned, [store, *map(Store, elsewhere)]) if elsewhere else []
    path = path_for(suite.name, tier)
    others = untouched(read_pins(path), pins)
    whole = pins if replace else [*pins, *others]
    if published and published.resolve() != out.resolve():
        for pin in pins:  # copied before the pins are written, so that no pin names a record that is not there whole
            store.copy(pin.cell, pin.record, Store(published))
    write(whole, path)
    cells = {p.id for p in planned}
    report: Report = {
        "pinned": len(pins),
        "dropped" if replace else "kept as they were": len(others),
        "planned cells with a pin": f"{len(cells & {pin.cell for pin in whole})} of {len(cells)}",
        "in": str(path),
    }
    if allowed:
        tolerance.write(allowed)
        report |= {f"tolerance of {each.model}": f"{each.points:g} points" for each in allowed}
    return report | {f"left out: {why}": count for why, count in Counter(left_out.values()).items()}
