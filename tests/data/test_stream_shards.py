"""Shards: every image small and in order, what is corrupt named and counted, an epoch shard by shard."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.cli import main
from benchmark.commands.data import look_at_data
from benchmark.data.folder import folder as folder_of
from benchmark.data.images import Images, Place
from benchmark.data.shards import make_small
from benchmark.data.shards import shards as shards_of
from benchmark.errors import Damaged, UserError
from benchmark.training.batches import _shard_by_shard


def test_shards_hold_every_image_small_and_in_order(root: Path) -> None:
    found = shards_of(Place(root, "mine", 32, stream=True, prepare=True))
    assert (len(found.train), len(found.test)) == (72, 18)
    tree: Images = folder_of(Place(root, "mine", 32, stream=True))
    assert found.train_labels.tolist() == tree.train_labels.tolist()
    for place in (0, 1, 3, 71):
        path = Path(tree.train.source.name(place))  # type: ignore[union-attr]
        data = found.train.source.read(place)  # type: ignore[union-attr]
        assert data == make_small(path)
        with Image.open(io.BytesIO(data)) as mine, Image.open(path) as whole:
            assert min(mine.size) == min(256, *whole.size)
    assert found.hash != tree.hash, "a data set of its own"
    again = shards_of(Place(root, "mine", 32, stream=True))
    assert again.hash == found.hash


def test_corrupt_images_are_named_counted_and_left_out_under_a_limit(root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root / "mine", tmp_path / "mine")
    for i in (3, 7):
        (tmp_path / "mine" / "train" / "class1" / f"{i:03d}.jpg").write_bytes(b"broken")
    for skip in (0, 1):  # all of them are counted, whatever is allowed
        with pytest.raises(Damaged, match=r"2 images cannot be decoded, .*003\.jpg, .*007\.jpg; --skip-corrupt N"):
            shards_of(Place(tmp_path, "mine", 32, stream=True, prepare=True, skip=skip))
    with pytest.raises(UserError, match="--skip-corrupt goes with --prepare of"):
        look_at_data("folder:mine", False, True, None, 2, tmp_path)
    with pytest.raises(Damaged, match="2 images cannot be decoded"):
        shards_of(Place(tmp_path, "mine", 32, stream=True, prepare=True, skip=1))
    assert not list(tmp_path.glob("*shards*")), "nothing half-made is left"
    report = look_at_data("shards:mine", False, True, None, 2, tmp_path)
    assert report["training images"] == "70 of any size"
    assert re.fullmatch(r"2: .*003\.jpg, .*007\.jpg", report["left out, not decodable"])
    assert (tmp_path / "mine-shards" / "index.json").read_text().count("class1") == 3  # two files, one class
    shard = next((tmp_path / "mine-shards").glob("train-*.shard"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"not the \d+ bytes that were written"):
        shards_of(Place(tmp_path, "mine", 32, stream=True))


def test_what_is_too_large_or_all_broken_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree(root / "mine", tmp_path / "imagenet")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow refuses what has twice as many
    with pytest.raises(Damaged, match=r"none of the 72 images of the train part .*, the first: .*000\.jpg"):
        look_at_data("imagenet", False, True, None, 9, tmp_path)
    monkeypatch.undo()
    assert look_at_data("folder:imagenet", True, False, None, 0, tmp_path)["training images"] == "72 of any size"
    assert look_at_data("imagenet", False, True, None, 0, tmp_path)["test images"] == 18
    assert look_at_data("imagenet", True, False, None, 0, tmp_path)["classes"] == 3


def test_without_preparation_it_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"`prunebench data shards:mine --prepare` makes it"):
        shards_of(Place(tmp_path, "mine", 32, stream=True))
    with pytest.raises(SystemExit):
        main(["data", "shards:mine", "--check", "--data", str(tmp_path)])
    assert "--prepare" in capsys.readouterr().err


def test_an_epoch_goes_shard_by_shard_and_misses_none() -> None:
    shards = np.repeat(np.arange(40), 25)
    orders = [_shard_by_shard(shards, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert orders[0].sort().values.tolist() == list(range(1000))
    first = {int(shards[i]) for i in orders[0][:200]}
    assert len(first) == 8, "eight shards at a time"
    assert len({int(shards[i]) for i in orders[0][:25]}) > 4, "mixed, not one shard after the other"
