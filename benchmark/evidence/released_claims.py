"""What the released networks say about a claim.

A released network is evaluated, not sampled: whether it has the printed accuracy or size needs no test and has no p.
Two kinds of claims are about how such networks come to be. They are tested like any other claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmark.evidence.claim_files import Claim
from benchmark.evidence.differences import Sample, Side
from benchmark.evidence.released import Checkpoint, Setting
from benchmark.records.audit import Audit


@dataclass(frozen=True)
class Evaluated:
    """For `released reaches` and `released removes`: right or wrong. For the others: what is to be tested."""

    why: str
    right: bool | None = None  # None: not decided by looking
    off: float | None = None  # evaluated minus printed, in points
    samples: tuple[Sample, ...] = ()
    oldest: str = ""  # when the first of the audits was made


def look(claim: Claim, found: Mapping[str, list[Setting]]) -> Evaluated:
    every = [setting for place in claim.where for setting in found[place.partition("/")[2]]]
    mine = [setting for setting in every if claim.method in (setting.name, "all")]
    audits = [each.audit for setting in mine for each in setting.networks if each.audit]
    if not audits:
        return Evaluated("none of its networks is evaluated; `prunebench audit --from`")
    oldest = min(audit.finished for audit in audits)
    if claim.kind == "best epoch adds":
        gains = {run: gain for setting in mine for run, gain in _gains(setting).items()}
        if len(gains) < claim.n:
            return Evaluated(f"{len(gains)} of {claim.n} runs have both epochs evaluated")
        sample = Sample([(Side(tuple(gains), list(gains.values())), None)])
        return Evaluated("", samples=(sample,), oldest=oldest)
    if claim.kind == "released beats":
        rivals = [next((s for s in every if s.name == name), None) for name in claim.against]
        if lacking := [n for n, s in zip(claim.against, rivals, strict=True) if s is None or not s.audits("last")]:
            return Evaluated(f"not evaluated: {', '.join(lacking)}")
        if (least := min(len(s.audits("last")) for s in (mine[0], *rivals) if s)) < claim.n:
            return Evaluated(f"{least} of {claim.n} runs of a group evaluated")
        samples = tuple(Sample([(_last(mine[0]), _last(rival))]) for rival in rivals if rival)
        return Evaluated("", samples=samples, oldest=oldest)
    named = _named(mine[0])
    if len(named) < claim.n:
        return Evaluated(f"{_count(named)} of {claim.n} evaluated")
    return _looked_at(claim, named, oldest)


def _looked_at(claim: Claim, audits: list[Audit], oldest: str) -> Evaluated:
    printed = claim.value or 0.0
    if claim.kind == "released removes":
        value, room = 100 * fmean([audit.counted.flops_removed for audit in audits]), 100 * claim.margin
        right = abs(value - 100 * printed) <= room
        words = f"{value:.2f} % of the FLOPs are removed, {100 * printed:g} % printed"
        return Evaluated(f"{words}; {_count(audits)}", right, value - 100 * printed, oldest=oldest)
    value = fmean([audit.judged.top1 for audit in audits])
    words = f"evaluated {value:.2f} %, printed {printed:g} %"
    return Evaluated(f"{words}; {_count(audits)}", value >= printed - claim.margin, value - printed, oldest=oldest)


def _named(setting: Setting) -> list[Audit]:
    """The networks that are printed: the best epochs if they were released, else the last ones, else the rest."""
    kinds: tuple[Checkpoint, ...] = ("best", "last", "cut", "dense")
    return next((list(audits.values()) for kind in kinds if (audits := setting.audits(kind))), [])


def _gains(setting: Setting) -> dict[str, float]:
    best, last = setting.audits("best"), setting.audits("last")
    return {best[run].asked.id: best[run].judged.top1 - last[run].judged.top1 for run in best if run in last}


def _last(setting: Setting) -> Side:
    audits = setting.audits("last").values()
    return Side(tuple(audit.asked.id for audit in audits), [audit.judged.top1 for audit in audits])


def _count(audits: list[Audit]) -> str:
    return f"{len(audits)} network" + ("s" if len(audits) > 1 else "")
