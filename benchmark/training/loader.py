"""Decodes a few batches ahead, in worker processes. The result depends on counters, never on the worker."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.data.files import Files
from benchmark.plan.canonical import digest
from benchmark.training.ranks import ALONE, Ranks

Places = npt.NDArray[np.int64]
Piece = tuple[int, int, Places]  # part of a batch: its step, the place of its first image in the batch, the images
Decoded = tuple[Tensor, float]  # the images, and the seconds that decoding took
WORKERS = int(os.environ.get("PRUNEBENCH_WORKERS", max(1, (os.cpu_count() or 2) - 1)))
AHEAD = 2  # batches that a worker has ready
PIECE = 64  # images decoded at once where no batch size is given


@dataclass
class Took:
    """Seconds that a loader has taken."""

    images: int = 0
    waited: float = 0.0  # seconds that training waited for images
    decoding: float = 0.0  # seconds that all decoders together needed


class Loader:
    """Batches of images on disk: training crops keyed by (seed, epochs trained, step), or plain middles."""

    def __init__(self, size: int, seed: int, workers: int | None = None, ranks: Ranks = ALONE) -> None:
        self.size, self.seed, self.ranks = size, seed, ranks
        self.workers = _share_of(WORKERS, ranks.size) if workers is None else workers
        self._took = Took()  # since `took` was last called
        self._next: tuple[int, int] | None = None  # epochs trained, step
        self._coming: Iterator[Decoded] = iter(())

    def crops(self, files: Files, order: Tensor, batch: int, trained: int, step: int) -> Tensor:
        """This process's share of the step's batch. Decoding of the next ones has begun."""
        if self._next != (trained, step):
            steps = len(order) // batch  # the incomplete last batch is dropped
            mine = self.ranks.part(batch)
            parts = order.numpy()[: steps * batch].reshape(steps, batch)[:, mine]
            pieces = [(number, mine.start, part) for number, part in enumerate(parts)]
            self._coming = self._start(_Crops(files, pieces, self.size, (self.seed, trained)), range(step, steps))
        self._next = (trained, step + 1)
        start = time.perf_counter()
        images, seconds = next(self._coming)
        self._took.images += len(images)
        self._took.waited += time.perf_counter() - start
        self._took.decoding += seconds / max(1, self.workers)
        return images

    def look(self, files: Files) -> Iterator[Tensor]:
        """All images, in order, each as a crop that is drawn once."""
        pieces = [(0, int(part[0]), part) for part in _in_pieces(len(files), PIECE)]
        yield from self._all(_Crops(files, pieces, self.size, (self.seed, -1)), len(pieces))

    def middles(self, files: Files, batch: int = PIECE) -> Iterator[Tensor]:
        """All images, in order, without augmentation."""
        parts = _in_pieces(len(files), batch)
        yield from self._all(_Middles(files, parts, self.size), len(parts))

    def took(self) -> Took:
        """The seconds since this was last called."""
        took, self._took = self._took, Took()
        return took

    def _all(self, dataset: Dataset[Decoded], pieces: int) -> Iterator[Tensor]:
        for images, _ in self._start(dataset, range(pieces)):
            yield images

    def _start(self, dataset: Dataset[Decoded], steps: range) -> Iterator[Decoded]:
        own = torch.Generator()  # DataLoader draws a seed for its workers: not from the global generator
        workers = min(self.workers, len(steps))
        return iter(
            DataLoader(
                dataset, batch_size=None, sampler=steps, num_workers=workers, generator=own,
                prefetch_factor=AHEAD if workers else None,
            )
        )  # fmt: skip


class _Crops(Dataset[Decoded]):
    def __init__(self, files: Files, pieces: list[Piece], size: int, key: tuple[int, int]) -> None:
        self.files, self.pieces, self.size, self.key = files, pieces, size, key

    def __getitem__(self, number: int) -> Decoded:
        start = time.perf_counter()
        step, first, images = self.pieces[number]
        key = int(digest(["crop", *self.key, step])[:15], 16)  # and the place in the batch: each image draws for itself
        draws = (np.random.default_rng((key, first + place)) for place in range(len(images)))
        crops = np.stack([self.files.crop(int(i), self.size, draw) for i, draw in zip(images, draws, strict=True)])
        return torch.from_numpy(crops), time.perf_counter() - start


class _Middles(Dataset[Decoded]):
    def __init__(self, files: Files, parts: list[Places], size: int) -> None:
        self.files, self.parts, self.size = files, parts, size

    def __getitem__(self, number: int) -> Decoded:
        start = time.perf_counter()
        middles = np.stack([self.files.middle(int(i), self.size) for i in self.parts[number]])
        return torch.from_numpy(middles), time.perf_counter() - start


def _share_of(workers: int, processes: int) -> int:
    """How many of a machine's workers one process gets: at least one, unless none are wanted."""
    return max(1, workers // processes) if workers else 0


def _in_pieces(count: int, size: int) -> list[Places]:
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
