"""The audit as tables: what authors print of a network they released, beside what it does here."""

import csv
import io
from collections.abc import Iterable, Mapping
from statistics import fmean, stdev

from benchmark.evidence.released import Audited, Printed, Setting
from benchmark.report.columns import NONE, number
from benchmark.report.markdown import md_grid
from benchmark.report.pictures import Released
from benchmark.report.table import Grid

NEAR = 0.1  # points: devices and libraries differ by a few images of ten thousand
NEAR_SIZE = 0.5  # points of the FLOPs removed
Settings = Mapping[str, list[Setting]]
HEAD = ["Paper", "Networks", "Runs", "Printed %", "Best on test %", "Last epoch %", "Best - last", "FLOPs ↓ printed %",
        "counted %", "Params ↓ %"]  # fmt: skip
COLUMNS = ("source", "repository", "commit", "path", "sha256", "model", "data", "group", "checkpoint", "run",
           "printed_top1", "top1", "printed_flops_removed", "flops_removed", "params_removed", "macs", "macs_tp",
           "macs_thop", "params", "loss", "place", "record")  # fmt: skip


def as_markdown(found: Settings) -> str:
    """One line a setting; means over runs, with the sample deviation."""
    short, whole = md_grid(BY_PAPER, by_paper(found)), md_grid(HEAD, grid(found))
    return "\n".join([summary(found), "", *short, "", "Setting by setting:", "", *whole]) + "\n"


def grid(found: Settings) -> Grid:
    lines = [_line(setting) for settings in found.values() for setting in settings]
    return [line for line in lines if line]


def summary(found: Settings) -> str:
    """What all networks say together."""
    every = list(_networks(found))
    done = [each for each in every if each.audit]
    far = [abs(off) for each in done if (off := _off(each)) is not None]
    text = f"{len(done)} of {len(every)} released networks are evaluated, of {len(found)} repositories."
    if far:
        within = sum(each <= NEAR + 1e-9 for each in far)
        text += f" Of {len(far)} with a printed accuracy of their own, {within} reach it within {NEAR:g} points."
    gains = [gain for settings in found.values() for setting in settings for gain in setting.gains]
    if len(gains) > 1:
        text += f" The best epoch on the test set is {fmean(gains):.2f} ± {stdev(gains):.2f} points above the last one"
        text += f" ({len(gains)} runs)."
    return text


BY_PAPER = ["Paper", "Networks", "Accuracy as printed", "Largest gap", "FLOPs ↓ as printed", "Largest gap "]


def by_paper(found: Settings) -> Grid:
    """One line a repository: how many of its networks are as accurate and as small as is printed of them."""
    lines = []
    for settings in found.values():
        mine = [each for setting in settings for each in setting.networks if each.audit]
        accuracy = [off for each in mine if (off := _off(each)) is not None]
        size = [off for each in mine if (off := _off_size(each)) is not None]
        if mine:
            lines.append([settings[0].source.paper, str(len(mine)), *_held(accuracy, NEAR), *_held(size, NEAR_SIZE)])
    return lines


def _held(gaps: list[float], near: float) -> list[str]:
    if not gaps:
        return [NONE, NONE]
    return [f"{sum(abs(gap) <= near + 1e-9 for gap in gaps)} of {len(gaps)}", f"{max(gaps, key=abs):+.2f}"]


def _off_size(each: Audited) -> float | None:
    """Counted minus printed, in points of the dense network's FLOPs."""
    printed = each.network.printed
    if printed is None or printed.flops_removed is None or each.audit is None:
        return None
    return 100 * (each.audit.counted.flops_removed - printed.flops_removed)


def picture(found: Settings) -> Released | None:
    """Printed against evaluated, network by network; and what the best epoch adds."""
    pairs = [
        (each.network.printed.top1, each.audit.judged.top1)
        for each in _networks(found)
        if each.audit and each.network.printed and each.network.printed.top1 is not None
    ]
    gains = [gain for settings in found.values() for setting in settings for gain in setting.gains]
    return Released("Networks that authors released", pairs, gains) if pairs and gains else None


def _off(each: Audited) -> float | None:
    printed = each.network.printed
    if printed is None or printed.top1 is None or each.audit is None:
        return None
    return each.audit.judged.top1 - printed.top1


def _line(setting: Setting) -> list[str]:
    audits = [each.audit for each in setting.networks if each.audit]
    if not audits:
        return []
    printed, told = setting.printed, _range if setting.series else _spread
    shares = [audit.counted.flops_removed for audit in audits]
    claimed = printed.flops_removed if printed else _mean(_claims(setting, "flops_removed"))
    top1 = printed.top1 if printed else _mean(_claims(setting, "top1"))
    other = [audit.judged.top1 for c in ("cut", "dense") for audit in setting.audits(c).values()]
    return [
        setting.source.paper,
        setting.name,
        str(len({each.network.run for each in setting.networks if each.audit})),
        number(top1, ".2f"),
        told(setting.top1("best")),
        told(setting.top1("last") or other),
        number(fmean(setting.gains) if setting.gains else None, "+.2f"),
        number(100 * claimed if claimed is not None else None, ".1f"),
        told([100 * share for share in shares], ".1f"),
        told([100 * audit.counted.params_removed for audit in audits], ".1f"),
    ]


def _claims(setting: Setting, what: str) -> list[float]:
    """What is printed of each run: of the best epoch where there is one, else of the others."""
    best = [each for each in setting.networks if each.network.checkpoint == "best"] or list(setting.networks)
    values = (getattr(each.network.printed, what) for each in best if each.network.printed)
    return [value for value in values if value is not None]


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def _spread(values: list[float], form: str = ".2f") -> str:
    if not values:
        return NONE
    mean = format(fmean(values), form)
    return f"{mean} ± {stdev(values):{form}}" if len(values) > 1 and form == ".2f" else mean


def _range(values: list[float], form: str = ".2f") -> str:
    """Of networks that are no replicates."""
    ends = [format(end, form) for end in (min(values), max(values))] if values else [NONE]
    return " to ".join(dict.fromkeys(ends))


def _networks(found: Settings) -> Iterable[Audited]:
    return (each for settings in found.values() for setting in settings for each in setting.networks)


def as_csv(found: Settings) -> str:
    """One line a network."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, settings in found.items():
        for setting in settings:
            for each in setting.networks:
                if each.audit:
                    writer.writerow(_row(name, setting, each))
    return text.getvalue()


def _row(name: str, setting: Setting, each: Audited) -> list[object]:
    network, audit, source = each.network, each.audit, setting.source
    assert audit
    printed, counted = network.printed or Printed(place=""), audit.counted
    return [
        name, source.repository, network.commit or source.commit, network.path, network.sha256, network.model,
        source.data, network.group, network.checkpoint, network.run, _or_empty(printed.top1), audit.judged.top1,
        _or_empty(printed.flops_removed), round(counted.flops_removed, 6), round(counted.params_removed, 6),
        counted.macs, counted.macs_tp, counted.macs_thop, counted.params, round(audit.judged.loss, 6), printed.place,
        audit.asked.id,
    ]  # fmt: skip


def _or_empty(value: float | None) -> object:
    return "" if value is None else value
