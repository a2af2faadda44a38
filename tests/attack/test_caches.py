"""Prepared arrays, shards, npz and batch files that were cut, flipped, swapped or made up: the images that were
written, or a line that says what to delete. Nothing that they name is run."""

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmark.data.folder import folder
from benchmark.data.images import Images, Place, cached, sealed
from benchmark.data.shards import shards
from benchmark.errors import UserError
from tests.attack.common import NASTY, cases, told
from tests.attack.lies import arrays, flipped
from tests.attack.packs import put_tree

pytestmark = pytest.mark.slow
JUNK = (None, True, 0, -1, 2**70, 1.5, "", "x", [], {}, [[]], {"a": 1}, *NASTY[:3])


def changed(value: Any, chance: random.Random) -> Any:
    """One thing in what JSON says is another."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.2:
        return chance.choice(JUNK)
    at = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    copy = dict(value) if isinstance(value, dict) else list(value)
    if isinstance(copy, dict) and chance.random() < 0.3:
        del copy[at]
    else:
        copy[at] = changed(value[at], chance)  # type: ignore[index]
    return copy


def decoded(root: Path) -> Path:
    (found,) = (root / "decoded").iterdir()
    return found


# ---- decoded arrays ------------------------------------------------------------------------------


def test_decoded_arrays(tmp_path: Path) -> None:
    made, others = tmp_path / "made", tmp_path / "others"
    put_tree(made)
    put_tree(others, "ant", "bee", first=9)
    before, _ = (folder(Place(root, "pets", 8)) for root in (made, others))
    foreign, trap = decoded(others), tmp_path / "ran"
    key = json.loads((decoded(made) / "about.json").read_text())["key"]
    for number, chance in cases("decoded", 300, 3000):
        root = tmp_path / str(number)
        here = root / "decoded" / decoded(made).name
        shutil.copytree(decoded(made), here)
        forged = False
        path = chance.choice([*sorted(here.iterdir()), *[here / "about.json"] * 4])
        match chance.randrange(4):
            case 0:
                path.write_bytes(flipped(path.read_bytes(), chance))
            case 1:
                shutil.copy(foreign / path.name, path)
            case 2 if path.suffix == ".json":  # what images are normalised by
                path.write_bytes(path.read_bytes().replace(b"0.485", b"0.495"))
            case 2:
                shutil.rmtree(here)
                shutil.copytree(foreign, here)
            case _:  # by somebody who knows the format
                forged = True
                head = json.loads((here / "about.json").read_text())
                del head["sum"]
                if path.suffix == ".npy":
                    path.write_bytes(arrays(chance, trap))
                    head["sums"][path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    head = changed(head, chance)
                (here / "about.json").write_bytes(sealed(head) if isinstance(head, dict) else json.dumps(head).encode())
        images: Images | None = None
        with told(number):
            images = cached(Place(root), key, lambda: pytest.fail("it decodes again"))
        assert not trap.exists(), "a pickle was run"
        if images is not None and not forged:
            assert images.sha256 == before.sha256, number
            assert (images.classes, images.normalise) == (before.classes, before.normalise), number
        if images is not None:
            assert len(images.train) == len(images.train_labels)
            assert set(images.train_labels.tolist()) <= set(range(len(images.classes))), number
        shutil.rmtree(root)


def test_what_was_decoded_before_there_was_a_sum_is_read(tmp_path: Path) -> None:
    put_tree(tmp_path)
    before = folder(Place(tmp_path, "pets", 8))
    about = decoded(tmp_path) / "about.json"
    head = json.loads(about.read_text())
    del head["sum"]
    about.write_text(json.dumps(head))
    assert folder(Place(tmp_path, "pets", 8)).sha256 == before.sha256
    about.write_text(json.dumps(head | {"sun": "0"}))
    with pytest.raises(UserError, match="its own sum"):
        folder(Place(tmp_path, "pets", 8))


# ---- shards --------------------------------------------------------------------------------------


def test_shards(tmp_path: Path) -> None:
    for name, classes in (("made", ()), ("others", ("ant", "bee"))):
        put_tree(tmp_path / name, *classes, first=9 * len(classes))
        shards(Place(tmp_path / name, "pets", 8, stream=True, prepare=True))
    made, foreign = (tmp_path / name / "pets-shards" for name in ("made", "others"))
    before, trap = read_all(tmp_path / "made"), tmp_path / "ran"
    for number, chance in cases("shards", 200, 2000):
        root = tmp_path / str(number)
        here = root / "pets-shards"
        shutil.copytree(made, here)
        path, forged = chance.choice(sorted(here.iterdir())), False
        match chance.randrange(4):
            case 0:
                path.write_bytes(flipped(path.read_bytes(), chance))
            case 1 if path.suffix == ".npy":  # a label
                whole, at = bytearray(path.read_bytes()), 128 + 40 * chance.randrange(4) + 32
                whole[at] ^= 1
                path.write_bytes(whole)
            case 1:
                shutil.copy(foreign / path.name, path)
            case 2:
                other = chance.choice([other for other in here.iterdir() if other.suffix == path.suffix])
                content = path.read_bytes()
                path.write_bytes(other.read_bytes())
                other.write_bytes(content)
            case _:
                forged = True
                index = json.loads((here / "index.json").read_text())
                del index["sum"]
                part = chance.choice(("train", "test"))
                if chance.random() < 0.5:
                    (here / f"{part}.npy").write_bytes(arrays(chance, trap))
                    index[part]["table"] = hashlib.sha256((here / f"{part}.npy").read_bytes()).hexdigest()
                else:
                    index = changed(index, chance)
                text = sealed(index) if isinstance(index, dict) else json.dumps(index).encode()
                (here / "index.json").write_bytes(text)
        found = None
        with told(number):
            found = read_all(root)
        assert not trap.exists(), "a pickle was run"
        assert found is None or forged or found == before, f"other images: {number}"
        shutil.rmtree(root)


def read_all(root: Path) -> list[Any]:
    images: Images = shards(Place(root, "pets", 8, stream=True))
    pixels = [part.middle(i, 8).tobytes() for part in (images.train, images.test) for i in range(len(part))]  # type: ignore[union-attr]
    assert set(images.train_labels.tolist()) <= set(range(len(images.classes)))
    return [pixels, images.train_labels.tolist(), images.test_labels.tolist(), images.classes, images.hash]
