"""A small tree of JPEGs, read from its files as they are wanted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.folder import folder as folder_of
from benchmark.data.images import Images, Place
from benchmark.plan.cell import Recipe
from tests.conftest import recipe


def picture(seed: int, width: int, height: int) -> Image.Image:
    """Smooth, coloured, different for each seed."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of JPEGs of many sizes: three classes, 24 for training and 6 for test each."""
    root = tmp_path_factory.mktemp("data")
    sizes = [(300, 200), (90, 640), (64, 64), (900, 700)]
    for part, count in (("train", 24), ("val", 6)):
        for label in range(3):
            place = root / "mine" / part / f"class{label}"
            place.mkdir(parents=True)
            for i in range(count):
                picture(100 * label + i, *sizes[i % len(sizes)]).save(place / f"{i:03d}.jpg", quality=95)
    return root


@pytest.fixture(scope="module")
def images(root: Path) -> Images:
    found: Images = folder_of(Place(root, "mine", 32, stream=True))
    return found


def streamed(**changes: object) -> Recipe:
    asked = {"augment": ("resized_crop", "flip"), "size": 32, "batch": 16, "validation": 6, "epoch_images": None}
    return recipe(**asked | changes)
