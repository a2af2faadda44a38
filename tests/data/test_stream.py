"""Images read from files as they are wanted: the same pixels whoever decodes them, and a word for what is broken."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from benchmark.cli import main
from benchmark.commands.data import look_at_data
from benchmark.data.files import Files, window
from benchmark.data.folder import folder as folder_of
from benchmark.data.images import Images, Place
from benchmark.data.shards import make_small
from benchmark.data.shards import shards as shards_of
from benchmark.errors import Damaged, Stopped, UserError
from benchmark.plan.cell import Recipe
from benchmark.records.record import Cost
from benchmark.runs.execute import execute
from benchmark.training.batches import Batches, _shard_by_shard
from benchmark.training.environment import Environment
from benchmark.training.loader import Loader, Took
from benchmark.training.ranks import Ranks
from tests.conftest import SUITE, make_context, recipe, tiny
from tests.launch.common import launched

CPU = torch.device("cpu")


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


# ---- shards --------------------------------------------------------------------------------------


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


# ---- a whole run ---------------------------------------------------------------------------------


def test_the_split_and_the_counts_are_those_of_any_set(images: Images) -> None:
    batches = Batches(images, streamed(), 0, CPU)
    assert (len(batches.train), len(batches.validation[0]), len(batches.test[0])) == (66, 6, 18)
    assert sum(len(piece) for piece, _ in batches.plain(batches.test)) == 18
    looked, labels = batches.look(10)
    assert looked.shape == (10, 3, 32, 32)
    assert len(labels) == 10
    assert not torch.equal(batches.look(10, augmented=True)[0], looked)


def test_each_of_several_processes_decodes_its_own_share_and_all_see_one_batch(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    crop = Files.crop
    monkeypatch.setattr(Files, "crop", lambda self, place, *rest: decoded.append(place) or crop(self, place, *rest))
    asked = streamed(batch=6)
    alone, *shared = (Batches(images, asked, 0, CPU, Ranks(rank, size)) for rank, size in ((0, 1), (0, 2), (1, 2)))
    for each in (alone, *shared):
        each.loader.workers = 0
    order = alone.order(0)
    whole, labels = alone.batch(order, 0, 1)
    decoded.clear()
    for place, mine in zip((slice(0, 3), slice(3, 6)), shared, strict=True):
        own, own_labels = mine.batch(order, 0, 1)
        assert torch.equal(own, whole[place]), "the same crop and the same flip"
        assert torch.equal(own_labels, labels[place])
    assert sorted(decoded) == sorted(order[6:12].tolist()), "no image twice"


def test_a_search_in_pieces_sees_what_it_saw_in_one(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(images, streamed(), 0, CPU)
    whole, _ = batches.look(10, augmented=True)
    monkeypatch.setattr("benchmark.training.loader.PIECE", 3)
    assert torch.equal(batches.look(10, augmented=True)[0], whole)
    assert batches.loader.took() == Took(), "training did not wait for it"


def test_stopped_and_resumed_it_ends_in_the_same_weights(root: Path, tmp_path: Path, environment: Environment) -> None:
    cell = tiny("one_cycle", data="folder:mine", recipe=streamed(epochs=3))
    where = {"data_root": root}
    whole = execute(cell, replace_root(make_context(tmp_path / "whole", environment), **where)).record
    counted = 0

    def now_and_then() -> bool:
        nonlocal counted
        counted += 1
        return counted % 5 == 0

    context = replace_root(make_context(tmp_path / "pieces", environment, stop=now_and_then), **where)
    for _ in range(30):
        try:
            pieces = execute(cell, context).record
            break
        except Stopped:
            continue
    assert pieces.how.attempts > 1
    assert pieces.network.weights_hash == whole.network.weights_hash
    assert whole.how.data_hash.startswith("files ")
    assert 0 < whole.cost.waiting < whole.cost.train
    assert whole.cost.decoded == pieces.cost.decoded == 3 * 4 * 16, "epochs × steps × batch"
    assert pieces.cost.waiting > 0
    assert re.fullmatch(r"loader [\d.,]+ images/s, network [\d.,]+; input-bound: (yes|no)", whole.cost.inputs)


def test_input_bound_is_what_waits_for_a_tenth_of_its_training() -> None:
    cost = Cost(
        **dict.fromkeys(("train", "search", "recover", "evaluate", "lost"), 1.0),
        **{"training_macs": 1, "peak_memory": 1, "decoded": 36_000, "decoding": 0.5, "waiting": 0.1},
    )
    assert cost.inputs == "loader 20 images/s, network 5.3; input-bound: no"
    bound = cost.model_copy(update={"waiting": 0.3})
    assert bound.inputs == "loader 20 images/s, network 5.9; input-bound: yes"
    assert cost.model_copy(update={"decoded": 0}).inputs == "", "images in memory"


def test_workers_beside_each_other_decode_in_processes_of_their_own(root: Path, tmp_path: Path) -> None:
    """A worker listens for its launcher all the while, and what it forks to decode must not wait for that."""
    text = SUITE.replace('"digits"', '"folder:mine"').replace(
        "batch = 128", 'batch = 16\nsize = 32\naugment = ["resized_crop"]'
    )
    (tmp_path / "mine.toml").write_text(text.replace("validation = 100", "validation = 6").replace("0-1", "0"))
    process = launched(tmp_path, "-j", "2", "--data", str(root), PRUNEBENCH_WORKERS="1")
    try:
        said = process.communicate(timeout=120)[0]
    finally:
        process.terminate()
    assert process.returncode == 0, said
    assert said.count("done ") == 3


def replace_root(context, data_root: Path):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(context, data_root=data_root)


def test_a_crop_of_files_wants_files(tmp_path: Path, environment: Environment) -> None:
    cell = tiny(recipe=recipe(augment=("resized_crop",), size=8))
    with pytest.raises(UserError, match="digits: resized_crop wants image files"):
        execute(cell, make_context(tmp_path, environment))
