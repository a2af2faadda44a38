"""The record of an audit: what one file of somebody else's network computes, and how often it is right.

audits/<id>/<content>.json     named as records are: by what was asked, and by the bytes
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from benchmark.errors import Damaged
from benchmark.plan.canonical import digest
from benchmark.plan.cell import Normalise, Spec
from benchmark.records.code import Code
from benchmark.records.record import Count, Hours, Latencies, Percent, Size
from benchmark.records.store import write_safely


class Asked(Spec):
    """What was evaluated. Its hash names the record."""

    sha256: str  # of the file
    key: str = ""  # which of several networks in it
    model: str
    data: str
    normalise: Normalise | None = None  # None: the data set's own
    names: dict[str, str] = {}  # model layer -> layer of the file, where somebody said so
    without: tuple[str, ...] = ()  # blocks of the model that the network lacks
    pixel_mean: bool = False  # images are centred by the mean training image, and not scaled
    LATER = ("key", "names", "without", "pixel_mean")

    @property
    def id(self) -> str:
        return digest(self.model_dump(mode="json"))[:16]


class Matching(Spec):
    kind: str  # of the file: safetensors, a state_dict, a pickled module
    place: str  # in the file
    how: str  # by name, by structure, as mapped
    unused: tuple[str, ...]  # tensors and layers that the model has no place for


class Counted(Spec):
    macs: Count
    macs_closed_form: Count
    macs_nonzero: Count
    macs_tp: Count
    macs_thop: Count
    macs_dense: Size
    params: Count
    params_dense: Size
    nonzero: Count
    latency: Latencies | None = None
    LATER = ("latency",)

    @property
    def flops_removed(self) -> float:
        """By the protocol's counter; of a network with zeros, what they would save."""
        return 1 - self.macs_nonzero / self.macs_dense

    @property
    def params_removed(self) -> float:
        return 1 - self.nonzero / self.params_dense


class Judged(Spec):
    top1: Percent
    top5: Percent | None
    mean_class: Percent
    loss: float
    n: Count
    classes: Size
    bits: str  # base64; for each test image, whether it was classified correctly


class Audit(Spec):
    format: Literal[1] = 1
    kind: Literal["audit"] = "audit"
    asked: Asked
    matching: Matching
    counted: Counted
    judged: Judged
    noted: dict[str, bool | int | float | str]  # numbers and words beside the weights, as the authors wrote them
    data_hash: str
    device: str
    device_name: str
    fingerprint: str
    versions: dict[str, str]
    code: Code  # in the place of a method: what reads and matches the file
    hours: Hours
    finished: str


def write_audit(store: Path, audit: Audit) -> Path:
    text = (json.dumps(audit.model_dump(mode="json"), indent=1) + "\n").encode()
    path = store / "audits" / audit.asked.id / f"{hashlib.sha256(text).hexdigest()[:16]}.json"
    write_safely(path, text)
    return path


def all_audits(store: Path) -> Iterator[tuple[Path, Audit]]:
    """Every audit of a store; of one question the newest last. One that cannot be trusted is reported and left out."""
    for folder in sorted((store / "audits").glob("*")):
        found = [(path, audit) for path in sorted(folder.glob("*.json")) if (audit := _read_or_none(path))]
        yield from sorted(found, key=lambda pair: pair[1].finished)


def _read_or_none(path: Path) -> Audit | None:
    try:
        return read_audit(path)
    except Damaged as error:
        print(f"prunebench: left out: {error}", file=sys.stderr)
        return None


def read_audit(path: Path) -> Audit:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest()[:16] != path.stem:
            raise Damaged(f"{path}: its bytes are not those it is named after (edited or damaged)")
        audit = Audit.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise Damaged(f"{path}: not an audit: {str(error).splitlines()[0]}") from None
    if audit.asked.id != path.parent.name:
        raise Damaged(f"{path}: its id is not that of what it asked")
    return audit
