"""Claims as their files state them, fixed before their data. Also: errors in a file, and when a claim was fixed.

A claim file states the estimand, places, margin and number of seeds. Its commits give its date.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from benchmark.errors import UnknownName, UserError
from benchmark.evidence.released import Source, sources
from benchmark.plan import discovery
from benchmark.plan.cell import Spec
from benchmark.plan.suite_file import TIERS, Suite, read

FOLDER = discovery.ROOT / "baselines" / "claims"
RENAMED = {"stand_in": "proxy"}  # names in old versions of a claim file; a renaming does not change a claim
Trained = Literal["beats", "as good as", "drops at most", "costs less than", "cuts earlier than", "reaches"]
Released = Literal["released reaches", "released removes", "released beats", "best epoch adds"]
Kind = Trained | Released


class Claim(Spec):
    """`kind` says what is compared; `against` are rows of the same table (or `dense`)."""

    id: str
    says: str
    reference: str  # where the paper says it; "abstract only" if no table could be read
    kind: Kind
    # suite/table, suite/table@small or released/file; pooled and judged together
    where: Annotated[list[str], Field(min_length=1)]
    proxy: list[str] = []  # smaller, affordable places; each is judged by itself, at small scale
    method: str  # of released networks: their group, or all
    against: list[str] = []
    there: str = ""  # the table of the `against` rows, if it is another one
    tuned: bool = False  # names are families (`agp, from 0.4` is an agp); of each, the best row on validation images
    targets: list[float] = []  # empty: all
    models: list[str] = []  # empty: all
    value: float | None = None  # of `drops at most` (points), `costs less than` (times) and `reaches` (%)
    metric: Literal["top1", "top5"] = "top1"  # for claims about accuracy
    margin: Annotated[float, Field(ge=0)] = 0.2
    n: Annotated[int, Field(gt=0)] = 5

    @property
    def released(self) -> bool:
        return self.kind in get_args(Released)

    @model_validator(mode="after")
    def _whole(self) -> "Claim":
        if self.kind in ("drops at most", "reaches", "released reaches", "released removes") and self.value is None:
            raise ValueError(f"{self.kind!r} needs a value")
        if self.n == 1 and not self.released:
            raise ValueError("one seed has no spread; give n")
        if len(set(self.where)) < len(self.where):
            raise ValueError("where names a place twice")
        if self.there and self.tuned:
            raise ValueError("the rivals of a tuned claim must be in its own table")
        return self


class ClaimFile(Spec):
    claim: Annotated[list[dict[str, Any]], Field(min_length=1)]


def read_claims(folder: Path = FOLDER) -> tuple[list[Claim], list[str]]:
    """The claims, and the errors of those that cannot be judged. Those are left out, but still counted."""
    claims: list[Claim] = []
    wrong: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        for place, entry in _entries(path, wrong):
            try:
                claim = Claim.model_validate(entry)
                _check(claim)
                if any(claim.id == other.id for other in claims):
                    raise UserError("another claim has this id")
                claims.append(claim)
            except UserError as error:
                wrong.append(f"{path}: {place}: {error}")
            except ValidationError as error:
                wrong.append(f"{path}: {place}: {_first(error)}")
    for each in dict.fromkeys(wrong):
        print(f"prunebench: left out: {each}", file=sys.stderr)
    return claims, wrong


def _entries(path: Path, wrong: list[str]) -> list[tuple[str, dict[str, Any]]]:
    try:
        entries = ClaimFile.model_validate(tomllib.loads(path.read_text())).claim
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        why = _first(error) if isinstance(error, ValidationError) else error
        claims = max(1, path.read_bytes().count(b"[[claim]]"))  # each counts
        wrong += [f"{path}: {why}"] * claims
        return []
    return [(f"claim {entry.get('id', number)}", entry) for number, entry in enumerate(entries, 1)]


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{key + ': ' if key else ''}{first['msg']}"


def _check(claim: Claim) -> None:
    if claim.released:
        _check_released(claim)
        return
    known = discovery.methods()
    for name in (claim.method, *claim.against):
        if name.partition("(")[0].partition(",")[0].partition(" ")[0] not in known:
            raise UnknownName("method", name, known)
    for place in (*claim.where, *claim.proxy, *([claim.there] if claim.there else [])):
        table_of(place)


def _check_released(claim: Claim) -> None:
    groups = {network.group for place in claim.where for network in _source(place).network}
    for name in (claim.method, *claim.against):
        if name not in (*groups, "all"):
            raise UnknownName("group of released networks", name, groups)


def _source(place: str) -> Source:
    kind, _, name = place.partition("/")
    if kind != "released":
        raise UserError(f"{place}: released networks are in released/NAME")
    return sources([name])[name]


def table_of(place: str) -> tuple[Suite, str, str]:
    """Suite, table and tier of `suite/table` or `suite/table@small`."""
    name, _, tier = place.partition("@")
    suite_name, _, table = name.partition("/")
    suite = read(suite_name)
    if table not in [each.name for each in suite.file.table]:
        raise UnknownName("table", table, [each.name for each in suite.file.table], f"{suite_name}: ")
    if tier not in ("", *TIERS):
        raise UnknownName("tier", tier, TIERS, f"{place}: ")
    if tier and tier not in suite.tiers:
        raise UserError(f"{place}: {suite_name} has no tier {tier}")
    return suite, table, tier or "full"


# ---- when a claim was fixed --------------------------------------------------------------------


def history(path: Path) -> dict[str, tuple[str, str]]:
    """(first commit, last change) of each claim in a file, as `hash time`; empty if git does not know it."""
    found: dict[str, tuple[str, str]] = {}
    before: dict[str, Any] = {}
    for when, text in _versions(path):
        now = _claims_in(text, before)
        for id, claim in now.items():
            if id not in found:
                found[id] = when, when
            elif claim != before.get(id):
                found[id] = found[id][0], when
        before = now
    return found


def _claims_in(text: str, before: dict[str, Any]) -> dict[str, Any]:
    """Claims by their ids. A version that cannot be read changes no date."""
    try:
        entries = ClaimFile.model_validate(tomllib.loads(text)).claim
    except (tomllib.TOMLDecodeError, ValidationError):
        return before
    renamed = [{RENAMED.get(key, key): value for key, value in entry.items()} for entry in entries]
    return {entry["id"]: entry for entry in renamed if isinstance(entry.get("id"), str)}


def _versions(path: Path) -> Iterator[tuple[str, str]]:
    """Every committed text of a file, the oldest first, and the present text if it differs."""
    text = ""
    for line in reversed(_git(path, "log", "--date=iso-strict-local", "--format=%h %cd", "--", path.name).splitlines()):
        text = _git(path, "show", f"{line.partition(' ')[0]}:./{path.name}")
        yield line, text
    if text and text != (here := path.read_text(errors="replace")):
        yield f"uncommitted {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", here


def _git(path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(path.parent), *arguments]
    surroundings = os.environ | {"TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=surroundings)
    return done.stdout if done.returncode == 0 else ""
