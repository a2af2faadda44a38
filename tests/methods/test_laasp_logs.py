"""LAASP's published logs, replayed: the suite's rows take the filters that each logged step took.

The logs name a layer and a number of filters, not which ones, so the replay needs no images and no training.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.plan import discovery
from benchmark.plan.suite import Planned, plan
from benchmark.plan.suite_file import read
from benchmark.pruning import cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.view import View
from methods.laasp import Search, how_many

LOGS = tomllib.loads((Path(__file__).parent / "laasp_logs.toml").read_text())
SHAPE = (3, 32, 32)
Log = dict[str, Any]


def name_of(log: Log) -> str:
    return f"{log.get('model', 'vgg16')}-{log['seed']}"


def timed(log: Log) -> Any:
    """A step of ResNet-110 looks at sixty groups, a hundred times."""
    return pytest.param(log, id=name_of(log), marks=[pytest.mark.slow] if log["model"] == "resnet110" else [])


def pairs(text: str) -> list[list[int]]:
    return [[int(number) for number in word.split(":")] for word in text.split()]


@cache
def planned() -> list[Planned]:
    return [p for p in plan(read("cifar10")) if p.table.startswith("laasp-published")]


def options_of(log: Log) -> dict[str, Any]:
    """The options of the row that follows this log, whose cell has the log's network and target."""
    model, label = log.get("model", "vgg16_laasp"), log.get("row", "laasp(official)")
    fits = [p.cell for p in planned() if p.cell.model == model and p.label == label]
    config = next(cell.method.config for cell in fits if cell.remove and cell.remove.amount == log["target"])
    assert config["start"] == log["start"]
    assert config["recover"] == log["recover"]
    return config


class Replay:
    """A network that is cut as a log tells."""

    def __init__(self, model: str) -> None:
        self.network = discovery.load(discovery.models()[model])(10).eval()
        self.convolutions = [name for name, m in self.network.named_modules() if isinstance(m, nn.Conv2d)]
        self.from_here()

    def from_here(self) -> None:
        """Count what is removed from the network as it is now."""
        self.channels = Channels(self.network, SHAPE, 10)
        self.group = {m.layer: name for name, group in self.channels.groups.items() for m in group.weights("out")}

    def offers(self, options: dict[str, Any], target: float) -> dict[str, int]:
        view = View(self.network, lambda *a: None, torch.Generator(), self.channels, {}, "macs")  # type: ignore[arg-type,return-value]
        asked = ("step", "step_of", "cap", "overshoot", "cap_rule", "layers")
        return how_many(view, target, Search((), **{name: options[name] for name in asked if name in options}))

    def of(self, convolution: int) -> str:
        return self.group[self.convolutions[convolution]]

    def width(self, convolution: int) -> int:
        return self.channels.groups[self.of(convolution)].width

    def keep(self, convolution: int, width: int) -> None:
        cuts.apply(self.network, self.channels.cut(self.network, {self.of(convolution): list(range(width))}))

    @property
    def removed(self) -> float:
        return self.channels.costs.removed("macs", self.channels.widths)


@pytest.mark.parametrize("log", [timed(log) for log in LOGS["log"]])
def test_every_step_of_a_log_is_the_step_of_its_row(log: Log) -> None:
    options, replay = options_of(log), Replay(log["model"])
    assert options["every"] == 0, "a recovery after every step"
    assert options["pool"] == log["pool"]
    for convolution, width in pairs(log.get("thin", "")):
        if replay.width(convolution) != width:  # a stage's other layers lost theirs with the first
            replay.keep(convolution, width)
    replay.from_here()
    for convolution, filters, share in pairs(log["steps"]):
        assert replay.removed < log["target"]
        width = replay.width(convolution)
        filters = min(filters, width - 1)  # the log tells what was asked for; their library leaves one
        assert replay.offers(options, log["target"])[replay.of(convolution)] == filters
        replay.keep(convolution, width - filters)
        assert replay.removed == pytest.approx(share / 1e6, abs=6e-7)
    assert replay.removed >= log["target"]
    assert [[number, replay.width(number)] for number, _ in pairs(log["ends"])] == pairs(log["ends"])


@pytest.mark.parametrize("log", LOGS["vgg"], ids=name_of)
def test_vgg_ends_at_widths_that_its_row_comes_through(log: Log) -> None:
    """These logs hold no steps; a step takes a tenth of one layer, so each layer's way can be walked alone."""
    options, replay = options_of(log), Replay("vgg16_laasp")
    for convolution, end in enumerate(log["ends"]):
        while (width := replay.width(convolution)) > end:
            replay.keep(convolution, width - replay.offers(options, log["target"])[replay.of(convolution)])
        assert replay.width(convolution) == end
    assert replay.removed == pytest.approx(log["gone"], abs=6e-5)


def test_a_hidden_linear_layer_is_a_candidate_unless_convolutions_alone_are() -> None:
    replay, options = Replay("vgg16_laasp"), options_of(LOGS["vgg"][0])
    convolutions = {replay.of(number) for number in range(13)}
    assert set(replay.offers(options, 0.6)) == convolutions
    assert set(replay.offers(options | {"layers": None}, 0.6)) == convolutions | {"classifier.0"}
