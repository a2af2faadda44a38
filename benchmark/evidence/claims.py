"""What the records say about a claim.

A verdict uses the first n planned seeds and no others, so there is one look. For each rival there is one pooled
number: the mean difference over all cells of all places, with each row's own variance (Welch and Satterthwaite).
"Reproduced" must be shown against every rival, "not reproduced" against one, corrected for their number.
Each direction has half of one error of 5 % over the whole ledger (Holm; docs/decisions/017).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from statistics import fmean
from typing import Literal

from scipy.special import ndtri

from benchmark.evidence.claim_files import Claim, table_of
from benchmark.evidence.differences import Sample, enough, estimate_of, faces, p_wrong, sample_of, told
from benchmark.evidence.released import settings
from benchmark.evidence.released_claims import Evaluated, look
from benchmark.evidence.statistics import Estimate, holm
from benchmark.plan.suite import Planned, plan
from benchmark.records.rows import Row, rows_of
from benchmark.records.store import Store

LEVEL, POWER = 0.05, 0.8
EACH = LEVEL / 2  # of the error of the ledger: for "reproduced", and for "not reproduced"
State = Literal["reproduced", "not reproduced", "inconclusive", "not tested"]


@dataclass(frozen=True)
class Finding:
    """A claim at all its places together, or at one of its proxies, with every number that was used."""

    claim: Claim
    place: str
    state: State
    why: str
    small_scale: bool = False
    estimate: float | None = None
    low: float | None = None  # bounds at the levels that decide
    high: float | None = None
    p: float | None = None  # one-sided, for "reproduced"; against the rival that it beats least
    p_not: float | None = None  # one-sided, for "not reproduced"; corrected for the number of its rivals
    sides: tuple[Estimate, Estimate] | None = None  # of these two rivals
    rivals: int = 1
    seeds: int = 0
    more_seeds: int = 0
    records: tuple[str, ...] = ()
    first_record: str = ""  # when its oldest record was finished


@dataclass(frozen=True)
class Site:
    """A place, restricted to one claim's targets, networks and first n seeds."""

    rows: list[Row]
    planned: list[Planned]
    models: list[str]  # the claim's, or their replacements in the small tier


def judge(claims: Sequence[Claim], store: Store, *, unread: int = 0) -> list[Finding]:
    """Judge every claim at its places together, then at each proxy. Holm over the judged ones and the `unread`."""
    tables: dict[tuple[str, int], tuple[list[Row], list[Planned], dict[str, str]]] = {}

    def site(claim: Claim, place: str) -> Site:
        key = place, claim.n
        if key not in tables:
            tables[key] = _rows(place, store, claim.n)
        return _site(claim, *tables[key])

    found = []
    audited = settings(store.root) if any(claim.released for claim in claims) else {}
    for claim in claims:
        if claim.released:
            found.append(_released(claim, look(claim, audited)))
            continue
        rivals = [row for row in site(claim, claim.there).rows if row.label in claim.against] if claim.there else []
        for together in (claim.where, *([place] for place in claim.proxy)):
            found.append(_at(claim, together, [site(claim, place) for place in together], rivals))
    return _after_holm(found, unread)


def _released(claim: Claim, seen: Evaluated) -> Finding:
    """By looking at the networks; or undecided, with the numbers to be tested."""
    finding = Finding(claim, " + ".join(claim.where), "not tested", seen.why, first_record=seen.oldest)
    if seen.samples:
        return _faced(replace(finding, seeds=min(sample.seeds for sample in seen.samples)), list(seen.samples))
    if seen.right is None:
        return finding
    return replace(finding, state="reproduced" if seen.right else "not reproduced", estimate=seen.off)


def _site(claim: Claim, rows: list[Row], planned: list[Planned], smaller: dict[str, str]) -> Site:
    models = [smaller.get(model, model) for model in claim.models]

    def of_it(model: str, target: float) -> bool:
        return (not models or model in models) and (not claim.targets or target in (*claim.targets, 0.0))

    return Site(
        [row for row in rows if of_it(row.model, row.target)],
        [p for p in planned if of_it(p.cell.model, p.cell.remove.amount if p.cell.remove else 0.0)],
        models,
    )


def _rows(place: str, store: Store, n: int) -> tuple[list[Row], list[Planned], dict[str, str]]:
    """The rows that have records, the planned cells of the first n seeds, and model -> its replacement there."""
    suite, table, tier = table_of(place)
    planned = first_seeds(plan(suite, tier, f"table={table}"), n)
    small = suite.file.small if tier == "small" else None
    return rows_of(planned, store), planned, small.models if small else {}


def first_seeds(planned: list[Planned], n: int) -> list[Planned]:
    """The cells of the first n seeds. Later seeds never matter: not their accuracies, conditions or endings."""
    first = sorted({p.cell.seed for p in planned})[:n]
    return [p for p in planned if p.cell.seed in first]


def _at(claim: Claim, places: list[str], sites: list[Site], rivals: list[Row]) -> Finding:
    small_scale = places != claim.where or any("@" in place and not place.endswith("@full") for place in places)
    nothing = Finding(claim, " + ".join(places), "not tested", "no records", small_scale=small_scale)
    if lacking := _lacking(claim, sites):
        return replace(nothing, why=f"it asks for {', '.join(lacking)}, which is not in this table")
    if unlike := _unlike(claim, [*rivals, *(row for site in sites for row in site.rows)]):
        return replace(nothing, why=f"rows of unlike conditions: {', '.join(unlike)}")
    if claim.tuned:
        if trials := {trial for site in sites for trial in _trials(claim, site, 1)}:
            return replace(nothing, why=f"no records of {', '.join(sorted(trials))}")
        if trials := {trial for site in sites for trial in _trials(claim, site, claim.n)}:
            why = f"fewer than {claim.n} seeds of {', '.join(sorted(trials))}"
            return replace(nothing, state="inconclusive", why=why, more_seeds=claim.n)
        if blind := [row.label for site in sites for row in site.rows if None in row.values("outcome.validation")]:
            return replace(nothing, why=f"records of {', '.join(blind)} have no accuracy on validation images")
        sites = [replace(site, rows=_tuned(site.rows)) for site in sites]
    away = claim.against if claim.there else []
    mine = [
        (row, [*rivals, *(other for other in site.rows if other.label not in away)])
        for site in sites
        for row in site.rows
        if row.label == claim.method and row.n
    ]
    if not mine:
        return nothing
    if claim.kind == "costs less than" and any(s.record.how.device == "cpu" for row, _ in mine for s in row.records):
        return replace(nothing, why="hours on a CPU decide nothing about cost")
    others = [] if claim.kind == "reaches" else claim.against or ["dense"]
    concerned = [row for row, _ in mine]
    for row, beside in mine:
        concerned += [r for r in beside for other in others if faces(r, row, other) and r not in concerned]
    if unsaid := [row.label for row in concerned if None in told(claim, row)]:
        return replace(nothing, why=f"records of {', '.join(unsaid)} do not hold what it is about")
    if spoilt := [f"{row.label} {flag}" for row in concerned for flag in row.flags if _spoils(flag.name, claim)]:
        return replace(nothing, why=f"not to be trusted: {', '.join(spoilt)}")
    if claim.kind == "costs less than" and (
        company := [r.label for r in concerned if any(s.shared for s in r.records)]
    ):
        return replace(nothing, why=f"hours shared with other runs ({', '.join(company)}): `prunebench retime` first")
    if claim.kind == "costs less than" and len(machines := _machines(concerned)) > 1:
        return replace(nothing, why=f"hours of unlike machines: {', '.join(machines)}")
    samples = [sample for other in claim.against or [""] if (sample := sample_of(claim, mine, other)) is not None]
    if len(samples) < max(1, len(claim.against)):
        missing = [other for other in claim.against if sample_of(claim, mine, other) is None]
        return replace(nothing, why=f"no records of {', '.join(missing) or 'its rivals'}")
    if (wanted := sum(_wanted(claim, site) for site in sites)) > len(mine):
        why = f"{len(mine)} of its {wanted} targets and networks have records"
        return replace(nothing, state="inconclusive", why=why, more_seeds=claim.n)
    used = list({s.content: s for row in concerned for s in row.records}.values())
    records = tuple(s.content for s in used)
    seeds = min(sample.seeds for sample in samples)
    first = min(s.record.finished for s in used)
    finding = replace(nothing, records=records, seeds=seeds, first_record=first)
    if seeds < claim.n:
        more = claim.n - seeds
        return replace(finding, state="inconclusive", why=f"{seeds} of {claim.n} seeds", more_seeds=more)
    return _faced(finding, samples)


def _faced(finding: Finding, samples: list[Sample]) -> Finding:
    """The finding with the comparison against its rivals, one sample each."""
    claim, estimates = finding.claim, [estimate_of(sample) for sample in samples]
    beaten_least = max(estimates, key=lambda each: each.p_above(enough(claim)))
    worst = min(estimates, key=lambda each: p_wrong(claim, each))
    return replace(
        finding,
        state="inconclusive",
        p=beaten_least.p_above(enough(claim)),
        p_not=min(1.0, len(estimates) * p_wrong(claim, worst)),
        sides=(beaten_least, worst),
        rivals=len(estimates),
    )


def _lacking(claim: Claim, sites: list[Site]) -> list[str]:
    """What the claim names but none of its places plans. Judged without that, it would be another claim."""
    planned = [p for site in sites for p in site.planned]
    labels = [{family(p.label) if claim.tuned else p.label for p in site.planned} for site in sites]
    targets = {p.cell.remove.amount for p in planned if p.cell.remove}
    there = [{p.cell.model for p in site.planned} for site in sites]
    rivals = [] if claim.there else claim.against
    return [
        *(label for label in (claim.method, *rivals) if not all(label in here for here in labels)),
        *(f"{100 * target:g} %" for target in claim.targets if target not in targets),
        *(
            model
            for i, model in enumerate(claim.models)
            if not any(site.models[i] in models for site, models in zip(sites, there, strict=True))
        ),
    ]


def _machines(rows: list[Row]) -> list[str]:
    """The machines used. Hours can be compared only if there is one kind, used in one way."""
    how = {s.timed_on for row in rows for s in row.records}
    return sorted(f"{name}, {threads} threads, {packed} packed, {mark}" for name, threads, packed, mark in how)


def _spoils(flag: str, claim: Claim) -> bool:
    """Whether a flag forbids a verdict. A diverged run would be replaced by a luckier seed.

    A row that removed more than asked has a harder task against a printed number, and an unfair one against rows.
    """
    if flag == "target passed":
        return claim.kind not in ("drops at most", "reaches")
    return flag in (
        "target missed", "uncommitted code", "two environments", "one network under several seeds", "diverged"
    )  # fmt: skip


def _unlike(claim: Claim, rows: list[Row]) -> list[str]:
    """The claim's rows that cannot be compared with others."""
    named = [claim.method, *([] if claim.kind == "reaches" else claim.against or ["dense"])]
    return [row.label for row in rows if row.unlike and (family(row.label) if claim.tuned else row.label) in named]


def _wanted(claim: Claim, site: Site) -> int:
    """How many rows the claim is about. It is judged on all of them, never on only those that have records."""
    mine = [p for p in site.planned if claim.method == (family(p.label) if claim.tuned else p.label)]
    return len({(p.cell.data, p.cell.model, p.cell.remove) for p in mine if p.cell.remove})


def family(label: str) -> str:
    return label.partition(",")[0]


def _trials(claim: Claim, site: Site, n: int) -> set[str]:
    """The rows of the families concerned that have records of fewer than `n` seeds."""
    planned = {p.label for p in site.planned if family(p.label) in (claim.method, *claim.against)}
    return planned - {row.label for row in site.rows if row.n >= n}


def _tuned(rows: list[Row]) -> list[Row]:
    """The row of each family that is best on validation images, under the family's name. Test images are not used."""
    best: dict[tuple[object, ...], Row] = {}
    for row in (row for row in rows if row.n):
        key = (row.data, row.model, row.kind, row.target, family(row.label))
        if key not in best or fmean(row.values("outcome.validation")) > fmean(best[key].values("outcome.validation")):
            best[key] = row
    return [replace(row, label=family(row.label)) for row in best.values()]


# ---- the verdicts ------------------------------------------------------------------------------


def _after_holm(found: list[Finding], unread: int) -> list[Finding]:
    """Decide each direction by Holm's procedure at half of the ledger's error. Bounds have the levels that decided."""
    reproduced, tail = holm([f.p for f in found], EACH, unread)
    wrong, other_tail = holm([f.p_not for f in found], EACH, unread)
    return [
        _decided(finding, reproduced[i], tail[i], wrong[i], other_tail[i]) if finding.sides else finding
        for i, finding in enumerate(found)
    ]


def _decided(finding: Finding, reproduced: bool, tail: float, wrong: bool, other_tail: float) -> Finding:
    assert finding.sides
    claim, (least_beaten, worst) = finding.claim, finding.sides
    shown, against = (worst, other_tail / finding.rivals) if wrong and not reproduced else (least_beaten, tail)
    low, high = shown.mean - shown.reach(against), shown.mean + shown.reach(other_tail / finding.rivals)
    state: State = "reproduced" if reproduced else "not reproduced" if wrong else "inconclusive"
    more = 0 if state != "inconclusive" else _more(claim, shown.error * sqrt(finding.seeds), tail)
    numbers = replace(finding, state=state, estimate=shown.mean, low=low, high=high, more_seeds=more)
    return replace(numbers, why=_words(claim, shown.mean, low, high))


def _words(claim: Claim, estimate: float, low: float, high: float) -> str:
    unit = {"cuts earlier than": "epochs", "costs less than": "minutes"}.get(claim.kind, "points")
    if unit == "minutes":
        estimate, low, high = 60 * estimate, 60 * low, 60 * high
    return f"{estimate:+.2f} {unit} ({low:+.2f} to {high:+.2f})"


def _more(claim: Claim, error: float, level: float) -> int:
    """How many more seeds would find an effect of the margin with power .8 at this level."""
    if not claim.margin:
        return 0
    wanted = ceil(((float(ndtri(1 - level)) + float(ndtri(POWER))) * error / claim.margin) ** 2)
    return max(0, wanted - claim.n)
