"""A record: the result of one finished run. Immutable JSON; its file is named by the hash of its bytes.

It answers seven questions: what was asked, what came out, which network, at what cost, along which
path, how, and by which code. Long parts (curves, journal, per-image bits) are in a compressed
side file that the record names by its hash.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from benchmark.plan.canonical import digest
from benchmark.plan.cell import Cell, Spec
from benchmark.records.code import Code

FORMAT = 1
INPUT_BOUND = 0.1  # the share of the training that was spent waiting for images


Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=10**24)]  # above the MACs of any training, and below an overflow
Size = Annotated[int, Field(gt=0, le=10**24)]  # a divisor
Hours = Annotated[float, Field(ge=0, le=1e9)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Latencies = dict[str, tuple[Milliseconds, Annotated[float, Field(ge=0, le=1e9)]]]  # of a pass: median, quartile range


class Outcome(Spec):
    """Accuracies in percent on the test images after the LAST epoch."""

    top1: Percent
    top5: Percent | None
    mean_class: Percent
    n: Count
    validation: Percent | None
    best_top1: Percent  # best on test, to compare with papers that report it; never the headline
    best_epoch: Count
    epochs_trained: Count
    diverged_at: Count | None = None


class Network(Spec):
    macs: Count
    macs_dense: Size
    macs_nonzero: Count  # zeros skipped: no dense kernel is faster for it
    params: Count
    params_dense: Size
    nonzero: Count
    removed: Annotated[float, Field(ge=0, le=1)]  # in the target's own unit
    weights_hash: str
    latency: Latencies | None = None  # in ms; cut networks only
    path: str = ""  # hash of what was zero in each layer after each epoch, where weights are masked
    LATER = ("latency", "path")


class Cost(Spec):
    """Hours by their use. `lost`: work that a killed attempt had done since its last checkpoint."""

    train: Hours
    search: Hours
    recover: Hours
    evaluate: Hours
    lost: Hours
    pretrain: Hours = 0.0
    training_macs: Count
    search_macs: Count = 0
    pretrain_macs: Count = 0  # of the parent that it started from, search included
    peak_memory: Count  # bytes
    waiting: Hours = 0.0  # of training and recovery: waiting for images that were not decoded yet
    decoding: Hours = 0.0  # at the same time: what all decoders together needed for the training images
    decoded: Count = 0  # how many images that was; 0 if all are in memory
    LATER = ("pretrain_macs", "waiting", "decoding", "decoded")

    @property
    def input_bound(self) -> bool:
        return self.waiting > INPUT_BOUND * (self.train + self.recover)

    @property
    def rates(self) -> tuple[float, float] | None:
        """Images a second per device: the rate of its decoders, and the rate of its network."""
        if not self.decoded or not self.decoding:
            return None
        return self.decoded / self.decoding / 3600, self.decoded / (self.train + self.recover - self.waiting) / 3600

    @property
    def inputs(self) -> str:
        """The same for people; empty if images are in memory."""
        if not (rates := self.rates):
            return ""
        loader, network = (f"{rate:,.{0 if rate >= 10 else 1}f}" for rate in rates)
        return f"loader {loader} images/s, network {network}; input-bound: {'yes' if self.input_bound else 'no'}"

    @property
    def hours(self) -> float:
        return self.pretrain + self.train + self.search + self.recover


class How(Spec):
    device: str
    device_name: str
    mode: Literal["repeatable", "fast"]
    threads: int
    packed: int
    fingerprint: str
    python: str
    versions: dict[str, str]
    data_hash: str
    decoder: str
    host: str
    attempts: int

    @property
    def conditions(self) -> tuple[str, str, str]:
        """Two runs of a cell can be compared only where these are equal."""
        return self.device, self.mode, self.data_hash


class Alone(Spec):
    """Hours and latencies of a run that shared its machine, timed again alone (`runs/retime.py`)."""

    record: str
    train: Hours
    search: Hours
    recover: Hours
    latency: Latencies | None
    device_name: str
    threads: int
    fingerprint: str
    host: str
    commit: str
    finished: str


class Record(Spec):
    format: Literal[1] = 1
    id: str
    cell: Cell
    ending: Literal["done", "diverged"]
    outcome: Outcome
    network: Network
    cost: Cost
    side: str
    how: How
    code: Code
    finished: str
    parents: dict[str, str] = {}  # role -> its record
    notes: dict[str, JsonValue] = {}  # the last note under each name, if it is a single value
    LATER = ("parents", "notes")

    @model_validator(mode="after")
    def _possible(self) -> "Record":
        if self.ending == "done" and not self.cost.training_macs:
            raise ValueError("done, and its training took no MACs")
        return self

    @property
    def seed(self) -> int:
        return self.cell.seed


Side = dict[str, Any]


def path_of(curves: list[dict[str, Any]]) -> str:
    """The hash of the zeros of every layer after every epoch. They depend on schedule and mask alone."""
    zeros = [point["nonzeros"] for point in curves if "nonzeros" in point]
    return digest(zeros)[:12] if zeros else ""
