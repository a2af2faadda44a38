"""A whole run on images from files: the same split, batches and weights as on any set."""

import re
from pathlib import Path

import pytest
import torch

from benchmark.data.files import Files
from benchmark.data.images import Images
from benchmark.errors import Stopped, UserError
from benchmark.records.record import Cost
from benchmark.runs.execute import execute
from benchmark.training.batches import Batches
from benchmark.training.environment import Environment
from benchmark.training.loader import Took
from benchmark.training.ranks import Ranks
from tests.conftest import SUITE, make_context, recipe, tiny
from tests.data.conftest import streamed
from tests.launch.common import launched

CPU = torch.device("cpu")


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
