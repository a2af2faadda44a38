"""The ledger of claims: one line a claim, every number that was used, for people and for machines."""

from typing import Any

from benchmark.evidence.claims import FOLDER, Finding, fixed, summary

FORMATS = ("md", "json")


def as_json(found: list[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "claim": f.claim.id,
            "says": f.claim.says,
            "reference": f.claim.reference,
            "place": f.place,
            "state": f.state,
            "indicative": f.indicative,
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


def as_markdown(found: list[Finding]) -> str:
    states = summary(found)
    counts = {state: sum(f.state == state for f in states.values()) for state in ("reproduced", "not reproduced")}
    open_ = {state: sum(f.state == state for f in states.values()) for state in ("inconclusive", "not tested")}
    lines = ["# Claims", "", ", ".join(f"{n} {state}" for state, n in (counts | open_).items()) + ".", ""]
    for path in sorted(FOLDER.glob("*.toml")):
        first, last = fixed(path)
        when = f"fixed {first}" + (f", changed {last}" if last != first else "") if first else "not committed yet"
        lines.append(f"- {path.name}: {when}")
    for id, finding in states.items():
        claim = finding.claim
        lines += ["", f"## {id}: {_state(finding)}", "", claim.says, "", f"*{claim.reference}*", ""]
        for place in (f for f in found if f.claim.id == id):
            lines.append(f"- {place.place}: {_state(place)}; {place.why}{_numbers(place)}")
    return "\n".join(lines) + "\n"


def _state(finding: Finding) -> str:
    words = "indicative: " if finding.indicative and finding.state != "not tested" else ""
    more = f" ({finding.more_seeds} more seeds)" if finding.state == "inconclusive" and finding.more_seeds else ""
    return f"{words}{finding.state}{more}"


def _numbers(finding: Finding) -> str:
    if finding.p is None:
        return ""
    margin = f", margin {finding.claim.margin:g}" if finding.claim.margin else ""
    return f"; p {finding.p:.2g}, n = {finding.claim.n}{margin}; {len(finding.records)} records"
