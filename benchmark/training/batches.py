"""The data on the device: an epoch's order, a step's batch, the held-out split. All depend on counters only."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.files import Files
from benchmark.data.images import Bytes, Images, Labels
from benchmark.errors import UserError
from benchmark.plan.cell import Recipe
from benchmark.training.augment import augments
from benchmark.training.loader import Loader
from benchmark.training.ranks import ALONE, Ranks
from benchmark.training.seeds import generator
from benchmark.training.transfer import onto

Part = tuple[Tensor | Files, Tensor]  # images and labels
# Images of one evaluation batch. Fixed for a kind of device and a size of image: another size rounds differently.
EVALUATION_PIXELS = {"cpu": 128 * 32 * 32, "cuda": 2048 * 32 * 32}


class Rows:
    """Some rows of a tensor, without a copy: the whole set may be most of a run's memory."""

    def __init__(self, whole: Tensor, rows: Tensor) -> None:
        self.whole, self.rows = whole, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Tensor) -> Tensor:
        return self.whole[self.rows[chosen]]


class Batches:
    """Training, validation and test images. The split is the same for every cell of a data set."""

    def __init__(self, images: Images, recipe: Recipe, seed: int, device: torch.device, ranks: Ranks = ALONE) -> None:
        order = torch.randperm(len(images.train), generator=generator("validation split")).numpy()
        held, kept = np.sort(order[: recipe.validation]), np.sort(order[recipe.validation :])
        self.seed, self.recipe, self.device, self.ranks = seed, recipe, device, ranks
        self.train = (
            images.train[kept]
            if isinstance(images.train, Files)
            else Rows(self._put(images.train), torch.from_numpy(kept).to(device))
        )
        self.train_labels = self._labels(images.train_labels[kept])
        self.validation = (self._part(images.train[held]), self._labels(images.train_labels[held]))
        self.test = (self._part(images.test), self._labels(images.test_labels))
        self.classes, self.channels = len(images.classes), images.channels
        self.data_hash, self.decoder = images.hash, images.decoder
        self.size = recipe.size or images.side
        self.loader = Loader(self.size, seed, ranks=ranks)
        self.epoch_images = min(recipe.epoch_images or len(kept), len(kept))
        self.steps = self.epoch_images // recipe.batch  # the incomplete last batch is dropped
        if self.steps == 0:
            raise UserError(f"a batch of {recipe.batch} is larger than the {self.epoch_images} training images")
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.augments = augments(recipe.augment)
        mean, std = (torch.tensor(x, device=device)[None, :, None, None] * 255 for x in _scale(images, recipe))
        self.shift, self.scale = mean, 1 / std

    def order(self, trained: int) -> Tensor:
        """The training images of the epoch that follows `trained` epochs, recoveries included."""
        draw = generator("order", self.seed, trained)
        shards = self.train.shard_of() if isinstance(self.train, Files) else None
        order = torch.randperm(len(self.train), generator=draw) if shards is None else _shard_by_shard(shards, draw)
        return order[: self.epoch_images]

    def batch(self, order: Tensor, trained: int, step: int) -> tuple[Tensor, Tensor]:
        """This process's share of the batch. Augmentation draws for the whole batch, the other shares included."""
        chosen = onto(self.device, order[step * self.recipe.batch : (step + 1) * self.recipe.batch])
        draw, mine = generator("augment", self.seed, trained, step), self.ranks.part(len(chosen))
        if isinstance(self.train, Files):
            own = onto(self.device, self.loader.crops(self.train, order, len(chosen), trained, step))
            whole = self._in_place(own, mine, len(chosen))
        else:
            whole = self._sized(self.train[chosen])
        return self._normalised(self._augmented(whole, draw)[mine]), self.train_labels[chosen[mine]]

    def _in_place(self, own: Tensor, mine: slice, count: int) -> Tensor:
        """A share of a batch at its place in the whole batch, because an augmentation draws for every image of it."""
        if len(own) == count:
            return own
        whole = own.new_zeros(count, *own.shape[1:])
        whole[mine] = own
        return whole

    def plain(self, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
        """Images without augmentation, in order, for evaluation."""
        images, labels = part
        size = max(64, EVALUATION_PIXELS[self.device.type] // self.size**2)
        if isinstance(images, Files):
            pieces = (piece.to(self.device) for piece in self.loader.middles(images, size))
        else:
            pieces = (self._sized(images[start : start + size]) for start in range(0, len(images), size))
        for number, piece in enumerate(pieces):
            yield self._normalised(piece), labels[number * size : (number + 1) * size]

    def look(self, count: int, *, augmented: bool = False) -> tuple[Tensor, Tensor]:
        """`count` training images for a method's search: one draw per seed, never from the test set."""
        if not 0 < count <= len(self.train):
            raise UserError(f"a subset of {count} images was asked for; the training set has {len(self.train)}")
        chosen = torch.randperm(len(self.train), generator=generator("look", self.seed))[:count].to(self.device)
        if isinstance(self.train, Files):
            some = self.train[chosen.cpu().numpy()]
            pieces = self.loader.look(some) if augmented else self.loader.middles(some)
            images = torch.cat([piece.to(self.device) for piece in pieces])
        else:
            images = self._sized(self.train[chosen])
        if augmented:
            images = self._augmented(images, generator("look augmented", self.seed))
        return self._normalised(images), self.train_labels[chosen]

    def _augmented(self, images: Tensor, draw: torch.Generator) -> Tensor:
        for augment in self.augments:  # on pixels, as in the papers: what a crop adds is black
            images = augment(images, draw)
        return images

    def _sized(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.size:
            return images
        return F.interpolate(images.float(), size=self.size, mode="bilinear", align_corners=False)

    def _normalised(self, images: Tensor) -> Tensor:
        """In place, to use one array and not three. Bytes become floats here; floats come from `_sized` or an
        augmentation, and nothing else uses them."""
        own = images.to(torch.float32).sub_(self.shift).mul_(self.scale)
        return own.contiguous(memory_format=self.layout)

    def _part(self, images: Bytes | Files) -> Tensor | Files:
        """The images in the device's memory. Images in files stay there."""
        return images if isinstance(images, Files) else self._put(images)

    def _put(self, images: Bytes) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(images)).to(self.device)

    def _labels(self, labels: Labels) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(labels)).to(self.device)


def _scale(images: Images, recipe: Recipe) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each colour channel: the recipe's, else the data set's."""
    mean, std = (recipe.normalise.mean, recipe.normalise.std) if recipe.normalise else images.normalise
    if len(mean) != images.channels:
        raise UserError(f"the recipe's normalise has {len(mean)} colour channels, the images have {images.channels}")
    return mean, std


GROUP = 8  # shards that are shuffled together


def _shard_by_shard(shards: Labels, draw: torch.Generator) -> Tensor:
    """All images once: shards in a random order, a few at a time, their images mixed, so that the disk reads ahead."""
    last = int(shards.max()) + 1
    rank = torch.empty(last, dtype=torch.int64)
    rank[torch.randperm(last, generator=draw)] = torch.arange(last)
    group = rank[torch.from_numpy(shards)] // GROUP
    mixed = torch.randperm(len(shards), generator=draw)
    return mixed[group[mixed].argsort(stable=True)]
