"""Checks a record: rebuilds the network from record and weights, counts and evaluates it again, and compares."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from benchmark.errors import Damaged, UserError
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels
from benchmark.records.side import right_answers
from benchmark.records.store import Store, Stored
from benchmark.runs.execute import load_images
from benchmark.training.batches import Batches
from benchmark.training.build import build
from benchmark.training.environment import Environment
from benchmark.training.evaluate import evaluate
from benchmark.training.layout import layout
from benchmark.training.weights import read_weights, weights_hash

ELSEWHERE = 0.01  # share of images that another machine may classify differently; seen: 0.2 %, GPU against CPU, bf16


@dataclass(frozen=True)
class Check:
    what: str
    recorded: object
    found: object
    spare: float = 0.0  # how far apart two numbers may be

    @property
    def ok(self) -> bool:
        if isinstance(self.recorded, int | float) and isinstance(self.found, int | float):
            return abs(self.found - self.recorded) <= self.spare
        return self.recorded == self.found


def find_record(store: Store, id: str) -> Stored:
    """By the beginning of a cell's id (its newest record) or of a record's own name."""
    found = [s for s in store.all() if s.record.id.startswith(id) or s.content.startswith(id)]
    if not found:
        raise UserError(f"no record {id} in {store.root}")
    cells = {s.record.id for s in found}
    if len(cells) > 1:
        raise UserError(f"{id} is the beginning of {len(cells)} ids; give more of it")
    return found[-1]


def verify(stored: Stored, store: Store, environment: Environment, data_root: Path) -> list[Check]:
    record, cell = stored.record, stored.record.cell
    path = store.weights(record.network.weights_hash)
    if not path.is_file():
        raise UserError(f"{path}: the weights of {record.id} were not kept; only a rerun can verify it")
    images = load_images(cell, data_root)
    batches = Batches(images, cell.recipe, cell.seed, environment.device)
    network = build(cell, batches.classes)
    shape = (batches.channels, batches.size, batches.size)
    if kept := store.side(stored).get("kept"):
        channels = Channels(network, shape, batches.classes, cell.model)
        cuts.apply(network, channels.cut(network, kept))
    try:
        network.load_state_dict(read_weights(path))
    except (SafetensorError, RuntimeError) as error:
        raise Damaged(f"{path}: not the weights of {cell.model}: {str(error).splitlines()[0]}") from error
    checks = [
        Check("cell id", record.id, cell.id),
        Check("weights", record.network.weights_hash, weights_hash(network)),
        Check("MACs", record.network.macs, count.macs(network, shape)),
        Check("MACs, closed form", record.network.macs, count.macs_closed_form(network, shape)),
        Check("MACs of nonzeros", record.network.macs_nonzero, count.macs_nonzero(network, shape)),
        Check("parameters", record.network.params, count.parameters(network)),
        Check("nonzero parameters", record.network.nonzero, count.nonzero_parameters(network)),
        Check("decoded data", record.how.data_hash, batches.data_hash),
    ]
    network = network.to(environment.device)
    batches.layout = layout(network, cell.recipe, environment.device)
    network.to(memory_format=batches.layout)  # type: ignore[call-overload]
    test = evaluate(network, batches, batches.test)
    bits = np.array(right_answers(store.side(stored), test.n))
    checks.append(Check("test images", record.outcome.n, test.n))
    checks.append(
        Check(
            "accuracy from stored predictions",
            round(record.outcome.top1, 4),
            round(100 * int(bits.sum()) / len(bits), 4),
        )
    )
    flipped = int((bits != test.bits.numpy()).sum()) if len(bits) == test.n else test.n
    spare = 0.0 if environment.fingerprint in record.how.fingerprint else ELSEWHERE
    checks.append(Check("accuracy on test", round(record.outcome.top1, 4), round(test.top1, 4), 100 * spare))
    checks.append(Check("changed predictions", 0, flipped, spare * test.n))
    return checks
