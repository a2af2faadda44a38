"""A file of somebody else's network becomes an audit: read, matched, counted and evaluated on the test images."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.audit.files import open_network, sha256_of
from benchmark.audit.match import fit
from benchmark.data.files import Files
from benchmark.data.images import Images, Place
from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.plan.cell import Normalise, Recipe, Sgd, Steps
from benchmark.pruning.count import every_count
from benchmark.records.audit import Asked, Audit, Counted, Judged, Matching
from benchmark.records.code import code_of_audit
from benchmark.training.batches import Batches
from benchmark.training.environment import Environment
from benchmark.training.latency import latencies
from benchmark.training.layout import layout

CHANCE = 3.0  # times the accuracy of guessing: below that, something is wrong with how it is evaluated


@dataclass(frozen=True)
class Question:
    """A file, and how it is to be read."""

    path: Path
    model: str
    data: str
    normalise: Normalise | None = None
    key: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    pixel_mean: bool = False
    latency: bool = False

    @property
    def asked(self) -> Asked:
        return Asked(
            sha256=sha256_of(self.path), key=self.key, model=self.model, data=self.data, normalise=self.normalise,
            names=dict(self.names), without=self.without, pixel_mean=self.pixel_mean,
        )  # fmt: skip


def audit(question: Question, environment: Environment, data_root: Path) -> Audit:
    begun = time.perf_counter()
    found = discovery.pick("model", question.model, discovery.models())
    opened = open_network(question.path, question.key)
    recipe = _recipe(question.normalise)
    images = _images(question.data, data_root)
    batches = Batches(images, recipe, 0, environment.device)
    if question.pixel_mean:
        _centre(batches, images)
    shape = (batches.channels, batches.size, batches.size)
    network, dense = (discovery.load(found)(batches.classes).eval() for _ in range(2))
    try:
        matched = fit(network, opened.tensors, shape, batches.classes, question.names, question.without)
    except UserError as error:
        raise UserError(f"{question.path}: {error}") from None
    network.to(environment.device)
    batches.layout = layout(network, recipe, environment.device)
    network.to(memory_format=batches.layout)
    counts, of_dense = every_count(network, shape), every_count(dense, shape)
    return Audit(
        asked=question.asked,
        matching=Matching(kind=opened.kind, place=opened.place, how=matched.how, unused=matched.unused),
        counted=Counted(
            **{key: value for key, value in counts.items() if key in Counted.model_fields},
            macs_dense=of_dense["macs"],
            params_dense=of_dense["params"],
            latency=latencies(network, dense, recipe, batches) if question.latency else None,
        ),
        judged=_judged(network, batches),
        noted=opened.noted,
        data_hash=batches.data_hash,
        device=environment.device.type,
        device_name=environment.device_name,
        fingerprint=environment.fingerprint,
        versions=environment.versions(),
        code=code_of_audit(question.model, question.data),
        hours=(time.perf_counter() - begun) / 3600,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def at_chance(audit: Audit) -> str:
    """A warning, if it does little better than guessing."""
    if audit.judged.top1 > CHANCE * 100 / audit.judged.classes:
        return ""
    return "hardly better than guessing: is the data set, --normalise or the order of the classes another one?"


def _recipe(normalise: Normalise | None) -> Recipe:
    """Only precision and normalisation matter to an evaluation. The rest must be there."""
    steps = Steps(times=1.0, at=())
    return Recipe(epochs=1, batch=1, optimizer=Sgd(lr=1.0), lr=steps, precision="fp32", normalise=normalise)


def _centre(batches: Batches, images: Images) -> None:
    """Subtract the mean training image, as the examples of Keras do."""
    if isinstance(images.train, Files):
        raise UserError("the mean training image is only known of images in memory")
    mean = torch.from_numpy(images.train.mean(axis=0, dtype="float64")).float()
    batches.shift, batches.scale = mean[None].to(batches.device), torch.tensor(1 / 255, device=batches.device)


@lru_cache(maxsize=1)
def _images(data: str, root: Path) -> Images:
    """The last data set stays in memory, because the next network most often needs the same."""
    load = discovery.load(discovery.pick("data set", data, discovery.datasets()))
    images: Images = load(Place(root, data.partition(":")[2]))
    return images


@torch.no_grad()
def _judged(network: nn.Module, batches: Batches) -> Judged:
    right, lost, truth = [], 0.0, []
    for images, labels in batches.plain(batches.test):
        scores = network(images).float()
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices
        right.append((best == labels[:, None]).cpu())
        lost += float(F.cross_entropy(scores.double(), labels, reduction="sum"))
        truth.append(labels.cpu())
    hits, classes = torch.cat(right).numpy(), torch.cat(truth).numpy()
    by_class = [hits[classes == each, 0].mean() for each in np.unique(classes)]
    return Judged(
        top1=100 * int(hits[:, 0].sum()) / len(hits),
        top5=100 * int(hits.any(axis=1).sum()) / len(hits) if batches.classes > 10 else None,
        mean_class=100 * float(np.mean(by_class)),
        loss=lost / len(hits),
        n=len(hits),
        classes=batches.classes,
        bits=base64.b64encode(np.packbits(hits[:, 0]).tobytes()).decode(),
    )
