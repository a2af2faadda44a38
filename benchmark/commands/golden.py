"""`golden`: do two versions of the code train to the same bits?"""

from typing import Any

Report = dict[str, Any]


def compare_codes(commit: str, suites: list[str], enter: bool) -> Report:
    from benchmark.runs.equal_bits import SUITES, compare
    from benchmark.runs.equal_bits import enter as write

    pairs, cells = compare(commit, suites or [str(path) for path in sorted(SUITES.glob("*.toml"))])
    report: Report = {"cells with equal weights": cells}
    report |= {f"{part} {now}": f"means what {was} meant" for part, was, now in pairs}
    if enter:
        report["entered"] = write(pairs, commit, cells)
    return report
