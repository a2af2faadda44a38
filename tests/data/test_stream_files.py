"""Images read from files as they are wanted: the same pixels whoever decodes them, and a word for what is broken."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from benchmark.data.files import window
from benchmark.data.folder import folder as folder_of
from benchmark.data.images import Images, Place
from benchmark.errors import Damaged
from benchmark.training.loader import Loader
from benchmark.training.ranks import Ranks


@settings(max_examples=300)
@given(width=st.integers(1, 2000), height=st.integers(1, 2000), seed=st.integers(0, 2**32))
def test_a_window_lies_inside(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = window(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_the_middle_is_what_torchvision_makes_of_it(root: Path, images: Images) -> None:
    """Short side to 256/224, centre crop; a JPEG's own scales lose next to nothing."""
    for place in (0, 2, 4, 6):  # sides whose halves are whole: torchvision rounds the others by half a pixel
        path = Path(images.train.source.name(place))  # type: ignore[union-attr]
        with Image.open(path) as file:
            whole = tv.pil_to_tensor(file.convert("RGB"))
        reference = tv.center_crop(tv.resize(whole, [32], antialias=True), [28])
        mine = torch.from_numpy(images.train.middle(place, 28).copy())  # type: ignore[union-attr]
        assert (mine.float() - reference.float()).abs().mean() < 3


def test_pixels_do_not_depend_on_who_decodes(images: Images) -> None:
    order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0))
    batches = []
    for workers in (0, 1, 2):
        loader = Loader(32, 5, workers)
        batches.append([loader.crops(images.train, order, 16, 0, step) for step in range(4)])  # type: ignore[arg-type]
    later = Loader(32, 5, 2)
    assert torch.equal(later.crops(images.train, order, 16, 0, 2), batches[0][2]), "begun in the middle"  # type: ignore[arg-type]
    for other in batches[1:]:
        assert all(torch.equal(a, b) for a, b in zip(batches[0], other, strict=True))
    assert not torch.equal(Loader(32, 6, 1).crops(images.train, order, 16, 0, 0), batches[0][0])  # type: ignore[arg-type]
    assert not torch.equal(Loader(32, 5, 1).crops(images.train, order, 16, 1, 0), batches[0][0])  # type: ignore[arg-type]


@pytest.mark.parametrize(("wanted", "processes", "each"), [(0, 1, 0), (0, 2, 0), (1, 2, 1), (5, 1, 5), (5, 2, 2)])
def test_processes_of_one_cell_share_the_workers(
    wanted: int, processes: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.training.loader.WORKERS", wanted)
    assert Loader(32, 0, ranks=Ranks(0, processes)).workers == each, "at least one, unless none are wanted"


def test_the_loader_draws_nothing_from_the_generator_of_others(images: Images) -> None:
    torch.manual_seed(0)
    Loader(32, 5, 1).crops(images.train, torch.arange(16), 16, 0, 0)  # type: ignore[arg-type]
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))


def test_a_file_that_is_no_image_is_named(root: Path, tmp_path: Path) -> None:
    whole = (root / "mine" / "train" / "class0" / "000.jpg").read_bytes()
    for label in range(2):
        for part in ("train", "val"):
            place = tmp_path / "bad" / part / f"class{label}"
            place.mkdir(parents=True)
            (place / "a.jpg").write_bytes(whole)
    broken = tmp_path / "bad" / "train" / "class1" / "a.jpg"
    for content in (whole[: len(whole) // 2], b"no image"):
        broken.write_bytes(content)
        images = folder_of(Place(tmp_path, "bad", 32, stream=True))
        with pytest.raises(Damaged, match=r"class1/a\.jpg: cannot be decoded"):
            images.train.middle(1, 32)
