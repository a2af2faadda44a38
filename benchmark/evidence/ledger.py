"""The ledger of claims: one line per claim, with every number that was used, for people and for machines."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from benchmark.evidence.claim_files import FOLDER, history
from benchmark.evidence.claims import Finding, State

FORMATS = ("md", "html", "json")


def as_json(found: list[Finding]) -> list[dict[str, Any]]:
    dates = {entry.id: entry.fixed for entry in entries(found)}
    return [
        {
            "claim": f.claim.id,
            "says": f.claim.says,
            "reference": f.claim.reference,
            "fixed": dates[f.claim.id],
            "place": f.place,
            "state": f.state,
            "small_scale": f.small_scale,
            "why": f.why,
            "estimate": f.estimate,
            "low": f.low,
            "high": f.high,
            "p": f.p,
            "seeds": f.seeds,
            "seeds asked": f.claim.n,
            "more seeds": f.more_seeds,
            "records": list(f.records),
        }
        for f in found
    ]


@dataclass(frozen=True)
class Place:
    """What the records of one place say about a claim, in words."""

    where: str
    words: str
    why: str
    numbers: str
    records: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One claim of the ledger, in words."""

    id: str
    state: State
    words: str
    says: str
    reference: str
    fixed: str
    places: list[Place]


def entries(found: list[Finding]) -> list[Entry]:
    dates = {id: dated for path in sorted(FOLDER.glob("*.toml")) for id, dated in history(path).items()}

    def place(finding: Finding) -> Place:
        changed = dates.get(finding.claim.id, ("", ""))[1].partition(" ")[2]
        before = bool(finding.first_record) and finding.first_record < changed
        why = finding.why + ("; its oldest record is older than the claim's last change" if before else "")
        return Place(finding.place, state_of(finding), why, _numbers(finding), finding.records)

    return [
        Entry(
            id=id,
            state=finding.state,
            words=state_of(finding),
            says=finding.claim.says,
            reference=finding.claim.reference,
            fixed=_fixed(*dates.get(id, ("", ""))),
            places=[place(each) for each in found if each.claim.id == id],
        )
        for id, finding in summary(found).items()
    ]


def as_markdown(found: list[Finding]) -> str:
    claims = entries(found)
    counts = {state: sum(claim.state == state for claim in claims) for state in get_args(State)}
    lines = ["# Claims", "", ", ".join(f"{n} {state}" for state, n in counts.items()) + "."]
    for claim in claims:
        lines += ["", f"## {claim.id}: {claim.words}", "", claim.says, "", f"*{claim.reference}. {claim.fixed}*", ""]
        lines += [f"- {place.where}: {place.words}; {place.why}{place.numbers}" for place in claim.places]
    return "\n".join(lines) + "\n"


def _fixed(first: str, last: str) -> str:
    if not first:
        return "Not committed yet."
    return f"Fixed {first}" + (f", changed {last}." if last != first else ".")


def state_of(finding: Finding) -> str:
    words = "small-scale: " if finding.small_scale and finding.state != "not tested" else ""
    more = f" ({finding.more_seeds} more seeds)" if finding.state == "inconclusive" and finding.more_seeds else ""
    return f"{words}{finding.state}{more}"


def _numbers(finding: Finding) -> str:
    if finding.p is None:
        return ""
    margin = f", margin {finding.claim.margin:g}" if finding.claim.margin else ""
    records = f"; {len(finding.records)} records" if finding.records else ""
    return f"; p {finding.p:.2g}, n = {finding.seeds if finding.claim.released else finding.claim.n}{margin}{records}"


def summary(found: Iterable[Finding]) -> dict[str, Finding]:
    """A claim's state is that of its own places. If they were not tested, it is that of the first tested proxy."""
    best: dict[str, Finding] = {}
    for finding in found:
        if finding.claim.id not in best or best[finding.claim.id].state == "not tested" != finding.state:
            best[finding.claim.id] = finding
    return best
