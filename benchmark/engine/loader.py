"""Decodes a few batches ahead, in worker processes. What comes out depends on counters, never on who decoded it."""

import os
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.canonical import digest
from benchmark.data.files import Files

Places = npt.NDArray[np.int64]
WORKERS = int(os.environ.get("PRUNEBENCH_WORKERS", max(1, (os.cpu_count() or 2) - 1)))
AHEAD = 2  # batches a worker has ready


class Loader:
    """Batches of images that lie on disk: training crops keyed by (seed, epochs trained, step), or plain middles."""

    def __init__(self, size: int, seed: int, workers: int | None = None) -> None:
        self.size, self.seed = size, seed
        self.workers = WORKERS if workers is None else workers
        self._waited = 0.0  # seconds, since somebody asked
        self._next: tuple[int, int] | None = None  # epochs trained, step
        self._coming: Iterator[Tensor] = iter(())

    def crops(self, files: Files, order: Tensor, batch: int, trained: int, step: int) -> Tensor:
        """The training batch of this step; the ones after it are begun."""
        if self._next != (trained, step):
            steps = len(order) // batch  # the incomplete last batch is dropped
            parts = list(order.numpy()[: steps * batch].reshape(steps, batch))
            self._coming = self._start(_Crops(files, parts, self.size, (self.seed, trained)), range(step, len(parts)))
        self._next = (trained, step + 1)
        return self._take()

    def middles(self, files: Files, batch: int) -> Iterator[Tensor]:
        """All of them, in order, un-augmented."""
        parts = [np.arange(start, min(start + batch, len(files))) for start in range(0, len(files), batch)]
        coming = self._start(_Middles(files, parts, self.size), range(len(parts)))
        for _ in parts:
            yield next(coming)

    def waited(self) -> float:
        """Seconds that training stood still for want of images, since this was last asked."""
        seconds, self._waited = self._waited, 0.0
        return seconds

    def _take(self) -> Tensor:
        start = time.perf_counter()
        images = next(self._coming)
        self._waited += time.perf_counter() - start
        return images

    def _start(self, dataset: Dataset[Tensor], steps: range) -> Iterator[Tensor]:
        own = torch.Generator()  # DataLoader draws a seed for its workers; not from the generator that others use
        workers = min(self.workers, len(steps))
        return iter(
            DataLoader(
                dataset, batch_size=None, sampler=steps, num_workers=workers, generator=own,
                prefetch_factor=AHEAD if workers else None,
            )
        )  # fmt: skip


class _Crops(Dataset[Tensor]):
    def __init__(self, files: Files, parts: list[Places], size: int, key: tuple[int, int]) -> None:
        self.files, self.parts, self.size, self.key = files, parts, size, key

    def __getitem__(self, step: int) -> Tensor:
        key = int(digest(["crop", *self.key, step])[:15], 16)  # and the place in the batch: each image draws for itself
        draws = (np.random.default_rng((key, place)) for place in range(len(self.parts[step])))
        pairs = zip(self.parts[step], draws, strict=True)
        return torch.from_numpy(np.stack([self.files.crop(int(i), self.size, draw) for i, draw in pairs]))


class _Middles(Dataset[Tensor]):
    def __init__(self, files: Files, parts: list[Places], size: int) -> None:
        self.files, self.parts, self.size = files, parts, size

    def __getitem__(self, step: int) -> Tensor:
        return torch.from_numpy(np.stack([self.files.middle(int(i), self.size) for i in self.parts[step]]))
