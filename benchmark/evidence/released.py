"""Networks that authors released: where each file is, which checkpoint it is, and what is printed of it.

baselines/released/<name>.toml lists the files of one repository at one commit. The files are not part of this
repository; `prunebench audit --from DIR` evaluates those that lie in DIR.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from benchmark.errors import UnknownName, UserError
from benchmark.plan.cell import Normalise, Share, Spec
from benchmark.plan.discovery import ROOT
from benchmark.plan.toml_lines import line_of
from benchmark.records.audit import Asked, Audit, all_audits
from benchmark.records.record import Percent

FOLDER = ROOT / "baselines" / "released"
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Checkpoint = Literal[
    "last", "best", "cut", "dense"
]  # last epoch; best epoch on the test set; right after a cut; not cut


class Printed(Spec):
    """What paper, page or log says of a network, or of the mean of several."""

    place: str
    top1: Percent | None = None
    flops_removed: Share | None = None
    params_removed: Share | None = None


class Network(Spec):
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model: str
    group: str  # what the runs of one setting have in common
    checkpoint: Checkpoint
    run: Annotated[int, Field(gt=0)] = 1
    key: str = ""
    names: dict[str, str] = {}
    without: tuple[str, ...] = ()
    commit: Commit | None = None  # if it is not the source's
    printed: Printed | None = None


class Group(Spec):
    """What is said of its runs together: the mean that is printed, or that they are no replicates but a series."""

    name: str
    printed: Printed | None = None
    series: bool = False


class Source(Spec):
    paper: str  # as tables call it
    title: str
    repository: str
    commit: Commit
    data: str
    normalise: Normalise | None = None
    pixel_mean: bool = False
    network: Annotated[list[Network], Field(min_length=1)]
    group: list[Group] = []

    def asked(self, network: Network) -> Asked:
        return Asked(
            sha256=network.sha256, key=network.key, model=network.model, data=self.data, normalise=self.normalise,
            names=network.names, without=network.without, pixel_mean=self.pixel_mean,
        )  # fmt: skip

    def paths(self, network: Network) -> list[str]:
        """Where it may lie in the folder that is given: in a clone, called after the repository, or as it is. A clone
        at another commit than the source's is called OWNER+NAME@COMMIT, with twelve digits."""
        owner, name = self.repository.split("/")[-2:]
        if network.commit:
            return [f"{owner}+{name}@{network.commit[:12]}/{network.path}"]
        return [f"{folder}{network.path}" for folder in (f"{owner}+{name}/", f"{owner}/{name}/", f"{name}/", "")]


def sources(names: Iterable[str] = (), folder: Path = FOLDER) -> dict[str, Source]:
    known = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    for name in names:
        if name not in known:
            raise UnknownName("released networks", name, known)
    return {name: _read(path) for name, path in known.items() if not names or name in names}


def _read(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
        source = Source.model_validate(tomllib.loads(text), strict=False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: line {line_of(text, first['loc'])}: {key}: {first['msg']}") from None
    if twice := {n.sha256 for n in source.network if [m.sha256 for m in source.network].count(n.sha256) > 1}:
        raise UserError(f"{path}: two networks have the sha256 {min(twice)[:12]}…")
    if wrong := {each.name for each in source.group} - {each.group for each in source.network}:
        raise UserError(f"{path}: no network is of the group {min(wrong)!r}")
    return source


@dataclass(frozen=True)
class Audited:
    """One released network, with its audit if it was evaluated."""

    network: Network
    audit: Audit | None


@dataclass(frozen=True)
class Setting:
    """The runs of one group of a source."""

    source: Source
    name: str
    networks: tuple[Audited, ...]

    @property
    def model(self) -> str:
        return self.networks[0].network.model

    @property
    def printed(self) -> Printed | None:
        """Of the mean of its runs."""
        return next((each.printed for each in self.source.group if each.name == self.name), None)

    @property
    def series(self) -> bool:
        return any(each.series for each in self.source.group if each.name == self.name)

    def audits(self, checkpoint: Checkpoint) -> dict[int, Audit]:
        """By run."""
        mine = (each for each in self.networks if each.network.checkpoint == checkpoint and each.audit)
        return {each.network.run: each.audit for each in mine if each.audit}

    def top1(self, checkpoint: Checkpoint) -> list[float]:
        return [audit.judged.top1 for audit in self.audits(checkpoint).values()]

    @property
    def gains(self) -> list[float]:
        """Best epoch on the test set minus last epoch, of the runs that have both."""
        best, last = self.audits("best"), self.audits("last")
        return [best[run].judged.top1 - last[run].judged.top1 for run in best if run in last]


def settings(store: Path, names: Iterable[str] = (), folder: Path = FOLDER) -> dict[str, list[Setting]]:
    """Source -> its groups, in the order of its file, with the newest audit of each network."""
    newest = {audit.asked.id: audit for _, audit in all_audits(store)}
    found: dict[str, list[Setting]] = {}
    for name, source in sources(names, folder).items():
        groups: dict[str, list[Audited]] = {}
        for network in source.network:
            audit = newest.get(source.asked(network).id)
            groups.setdefault(network.group, []).append(Audited(network, audit))
        found[name] = [Setting(source, group, tuple(mine)) for group, mine in groups.items()]
    return found
