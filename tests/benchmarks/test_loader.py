"""Training images at 224 pixels, from files as they are and from shards made once, beside torchvision's own way.

Torchvision decodes the whole file, crops, flips, normalises. With `imagenet-samples-80.tar` in PRUNEBENCH_DATA
of real photographs, else of drawn ones of ImageNet's usual size. Reported, never a verdict.
"""

import os
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmark.data.folder import folder
from benchmark.data.images import IMAGENET, Images, Place
from benchmark.data.shards import shards
from benchmark.training.batches import Batches
from tests.conftest import recipe

BATCH, SIZE, TIMES = 16, 224, 8
REAL = Path(os.environ.get("PRUNEBENCH_DATA", "")) / "imagenet-samples-80.tar"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    for part in ("train", "val"):
        inside = root / "some" / part / "all"
        inside.mkdir(parents=True)
        if REAL.is_file():
            with tarfile.open(REAL) as archive:
                archive.extractall(inside, filter="data")
            for path in list(inside.rglob("*.JPEG")):  # an epoch long enough that starting workers is no part of it
                for copy in range(TIMES - 1):
                    path.with_name(f"{copy}-{path.name}").hardlink_to(path)
        else:
            for number in range(80 * TIMES):
                _drawn(number).save(inside / f"{number}.jpg", quality=90)
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_from_files_against_torchvisions_way(photographs: Path, workers: int, benchmark: Any) -> None:
    torch.set_num_threads(1)

    def ours(source: Callable[[Place], Images]) -> Iterator[Tensor]:
        place = Place(photographs, argument="some", stream=True, prepare=True)
        asked = recipe(batch=BATCH, size=SIZE, augment=("resized_crop", "flip"), validation=0, epoch_images=None)
        batches = Batches(source(place), asked, 0, torch.device("cpu"))
        batches.loader.workers = workers
        for trained in range(1000):
            order = batches.order(trained)
            yield from (batches.batch(order, trained, step)[0] for step in range(batches.steps))

    def torchvisions() -> Iterator[Tensor]:
        change = v2.Compose([
            v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(*IMAGENET),
        ])  # fmt: skip
        pictures = ImageFolder(photographs / "some" / "train", transform=change)
        loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        for _ in range(1000):
            yield from (images for images, _ in loader)

    ways: dict[str, Callable[[], Iterator[Tensor]]]
    ways = {"torchvision": torchvisions, "files": partial(ours, folder), "shards": partial(ours, shards)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):  # in turns: a machine's mood hits all
        for name, way in ways.items():
            rates[name].append(images_a_second(way))
    benchmark.extra_info.update(rates)
    benchmark.pedantic(images_a_second, (ways["shards"],), rounds=1)
    middle = {name: float(np.median(values)) for name, values in rates.items()}
    words = ", ".join(f"{name} {rate:.0f} ({rate / middle['torchvision']:.2f})" for name, rate in middle.items())
    print(f"\n{'real' if REAL.is_file() else 'drawn'} photographs, {workers} workers: images/s {words}")


def images_a_second(way: Callable[[], Iterator[Tensor]]) -> float:
    """Of an epoch, after a batch that no clock sees."""
    coming = way()
    next(coming)
    started = time.perf_counter()
    count = sum(len(images) for images in islice(coming, 80 * TIMES // BATCH - 1))
    return count / (time.perf_counter() - started)


def _drawn(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return small.resize((500, 375), Image.Resampling.BICUBIC)
