"""What a reader must know about a row before using its numbers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from statistics import fmean

from benchmark.plan.suite import Planned
from benchmark.records.record import Record
from benchmark.records.store import Stored

TOLERANCE = 0.005  # how far from its target a network may end, in shares

# The name of each part of a record's conditions, in the order of `rows.conditions`.
CONDITIONS = ("device", "mode", "images", "engine code", "model code", "data code")


@dataclass(frozen=True)
class Flag:
    """Code uses the name, which never changes. The text is for people."""

    name: str
    text: str
    detail: str = ""  # of this row alone; rows that differ in it share one footnote

    def __str__(self) -> str:
        return f"{self.text}: {self.detail}" if self.detail else self.text


@dataclass(frozen=True)
class Facts:
    """The facts that the flags of a row are made from."""

    places: list[Planned]
    records: list[Stored]
    dense: list[Stored]
    timed: tuple[Stored, ...]
    diverged: int
    left_out: bool  # there is a newer record that is not used
    unlike: str  # the conditions in which the row differs from its block


def flags_of(row: Facts) -> tuple[Flag, ...]:
    records, dense, n = row.records, row.dense, len(row.records)
    floor = row.places[0].floor
    lacking = sorted({s.record.seed for s in records} - {s.record.seed for s in dense})
    alone = sum(s.alone is not None for s in row.timed)
    beyond = [_beyond(s.record) for s in records]
    shares = f"{reached(records)} removed"
    faced = bool(dense) and row.places[0].label != "dense"
    advice = "drop against dense runs of the same, compare with no other row" if faced else "compare with nothing here"
    flags = {
        Flag("unlike conditions", f"other {row.unlike} than the rest of this block: {advice}"): bool(row.unlike),
        Flag("dense below floor", f"dense below its floor of {floor:g} %"): (
            bool(dense) and fmean([s.record.outcome.top1 for s in dense]) < floor
        ),
        Flag("no dense reference", "no dense reference"): not dense,
        Flag("dense lacks seeds", f"dense lacks seed {_list(lacking)}"): bool(dense) and bool(lacking),
        Flag("target missed", "target missed", shares): any(share < -TOLERANCE for share in beyond),
        Flag("target passed", "target passed", shares): any(share > TOLERANCE for share in beyond),
        Flag("seeds missing", f"{n} of {len(row.places)} planned seeds"): n < len(row.places),
        Flag("diverged", f"{row.diverged} diverged, not in the mean"): row.diverged > 0,
        Flag(
            "newer record under other conditions", "a newer record, made under other conditions, is left out"
        ): row.left_out,
        Flag("uncommitted code", "uncommitted code"): any(s.record.code.dirty for s in records),
        Flag("one network under several seeds", f"one network under seeds {copied(records)}"): bool(copied(records)),
        Flag("hours shared", "hours shared with other runs"): any(s.shared for s in row.timed),
        Flag("hours timed alone", f"hours of {alone} seed{'s' * (alone > 1)} timed again alone"): alone > 0,
        Flag("input-bound", "input-bound: the network waited for its images"): (
            any(s.record.cost.input_bound for s in records)
        ),
        Flag("two environments", "two environments: begun in one, ended in another"): (
            any("+" in s.record.how.fingerprint for s in records)
        ),
    }
    return tuple(flag for flag, raised in flags.items() if raised)


def reached(records: Collection[Stored]) -> str:
    """The share that is really gone: from the least to the most, if seeds differ."""
    shares = [100 * s.record.network.removed for s in records]
    ends = dict.fromkeys(f"{share:.1f}" for share in (min(shares, default=0.0), max(shares, default=0.0)))
    return f"{' to '.join(ends)} %"


def unlike(mine: tuple[str, ...], block: tuple[str, ...]) -> str:
    """The conditions in which two rows differ, in words."""
    differs = [name for name, one, other in zip(CONDITIONS, mine, block, strict=True) if one != other]
    told = {"device": f"device ({mine[0]})", "mode": f"mode ({mine[1]})"}
    return _list([told.get(name, name) for name in differs])


def copied(records: Iterable[Stored]) -> str:
    """Seeds that have equal weights, which two real seeds never have. Empty if all differ."""
    seeds: dict[str, set[int]] = {}
    for s in records:
        seeds.setdefault(s.record.network.weights_hash, set()).add(s.record.seed)
    return " and ".join(str(seed) for same in seeds.values() if len(same) > 1 for seed in sorted(same))


def _beyond(record: Record) -> float:
    """How much more was removed than was asked."""
    return record.network.removed - record.cell.remove.amount if record.cell.remove else 0.0


def _list(words: Iterable[object]) -> str:
    *first, last = [str(word) for word in words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
