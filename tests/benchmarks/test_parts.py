"""Parts of a step and of a run, each beside the plain way to do it, in one run. Ratios are printed, never a verdict."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from benchmark.commands.bench.step import timed
from benchmark.plan import discovery
from benchmark.pruning import count
from benchmark.pruning.channels import Channels
from benchmark.runs import checkpoint
from benchmark.training.augment import crop4, flip

SHAPE = (3, 32, 32)


def beside(benchmark: Any, ours: Callable[[], object], plain: Callable[[], object], what: str) -> None:
    torch.set_num_threads(2)
    ours(), plain()
    slow = min(timed(plain) for _ in range(5))
    benchmark.pedantic(ours, rounds=20, warmup_rounds=1)
    fast = benchmark.stats.stats.min
    benchmark.extra_info["ratio"] = slow / fast
    print(f"\n{what}: {1000 * fast:.2f} ms, plainly {1000 * slow:.2f} ms: {slow / fast:.1f} times")


def test_augmentation(benchmark: Any) -> None:
    images = torch.randint(0, 256, (128, *SHAPE), dtype=torch.uint8)
    draw = torch.Generator().manual_seed(0)
    plain = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    beside(
        benchmark,
        lambda: flip(crop4(images, draw), draw),
        lambda: torch.stack([plain(image) for image in images]),
        "crop and flip of 128 images, in one batch against one by one",
    )


@pytest.mark.parametrize("model", ["resnet56", "mobilenetv2", "vit_cifar"])
def test_macs_of_given_widths(model: str, benchmark: Any) -> None:
    network = discovery.load(discovery.models()[model])(10)
    channels = Channels(network, SHAPE, 10)
    beside(
        benchmark,
        lambda: channels.costs.count("macs", channels.widths),
        lambda: count.macs(network, SHAPE),
        f"MACs of {model}, from its widths against counted in a forward pass",
    )


def test_checkpoint(tmp_path: Path, benchmark: Any) -> None:
    network = discovery.load(discovery.models()["resnet56"])(10)
    tensors: dict[str, Tensor] = dict(network.state_dict())
    momentum = {name: tensor.clone() for name, tensor in tensors.items() if tensor.is_floating_point()}
    state: dict[str, Any] = {"network": tensors, "momentum": momentum}
    beside(
        benchmark,
        lambda: checkpoint.save(tmp_path, state),
        lambda: torch.save(state, tmp_path / "plain.pt"),
        "checkpoint of ResNet-56, checksummed and synced against torch.save",
    )
