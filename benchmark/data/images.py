"""What every data set becomes: uint8 arrays in memory, cached on disk with their checksums."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.files import Files
from benchmark.errors import Damaged, UserError
from benchmark.plan.canonical import canonical
from benchmark.records.store import write_safely

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
PARTS = ("train", "train_labels", "test", "test_labels")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR100 = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))


@dataclass(frozen=True)
class Images:
    """`train` and `test` are n × channel × height × width. `decoder` says who turned files into pixels."""

    train: Bytes | Files
    train_labels: Labels
    test: Bytes | Files
    test_labels: Labels
    classes: tuple[str, ...]
    normalise: tuple[tuple[float, ...], tuple[float, ...]]
    decoder: str
    listed: str = ""  # hash of what files there are, where pixels are made only when asked for
    left_out: tuple[str, ...] = ()  # files that could not be decoded when the set was prepared

    @property
    def channels(self) -> int:
        return 3 if isinstance(self.train, Files) else self.train.shape[1]

    @property
    def side(self) -> int:
        """In pixels; files have one only when a recipe gives it."""
        return 0 if isinstance(self.train, Files) else self.train.shape[-1]

    @property
    def hash(self) -> str:
        """Of the decoded pixels: two decoders of one JPEG differ by up to 53 grey levels."""
        return self.listed or self.sha256[:16]

    @property
    def sha256(self) -> str:
        return sha256_of(*(getattr(self, part) for part in PARTS))


def sha256_of(*arrays: Any) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


@dataclass(frozen=True)
class Place:
    """Where a data set may look, and what of it is wanted."""

    root: Path
    argument: str = ""  # NAME of folder:NAME
    size: int | None = None  # pixels a side, where the files must be resized when decoded
    offline: bool = False  # look, fetch nothing
    stream: bool = False  # leave the images in their files
    prepare: bool = False  # make once what takes long
    skip: int = 0  # images that may then be left out because they cannot be decoded

    def require(self, *names: str, help: str) -> Path:
        """The first of `names` that lies under the root."""
        for name in names:
            if (self.root / name).exists():
                return self.root / name
        raise UserError(f"no {' or '.join(names)} in {self.root}; {help}")


def data_root(given: Path | None) -> Path:
    """--data, else PRUNEBENCH_DATA, else the user's cache folder."""
    if given is None:
        default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "prunebench"
        given = Path(os.environ.get("PRUNEBENCH_DATA", default))
    return given


def cached(place: Place, key: dict[str, Any], build: Callable[[], Images]) -> Images:
    """Decode once; afterwards read the arrays back, each checked against its sum."""
    folder = place.root / "decoded" / hashlib.sha256(canonical(key).encode()).hexdigest()[:16]
    about = folder / "about.json"
    if not about.is_file():
        images = build()
        sums = {part: _write(folder / f"{part}.npy", getattr(images, part)) for part in PARTS}
        head: dict[str, Any] = {"key": key, "sums": sums, "classes": images.classes}
        head |= {"normalise": images.normalise, "decoder": images.decoder}
        write_safely(about, json.dumps(head, indent=1).encode())
        return images
    head = json.loads(about.read_text())
    arrays = {part: _read(folder / f"{part}.npy", head["sums"][part]) for part in PARTS}
    mean, std = head["normalise"]
    four = (arrays["train"], arrays["train_labels"], arrays["test"], arrays["test_labels"])
    return Images(*four, tuple(head["classes"]), (tuple(mean), tuple(std)), head["decoder"])


def _write(path: Path, array: npt.NDArray[Any]) -> str:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array)
    write_safely(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _read(path: Path, expected: str) -> npt.NDArray[Any]:
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise Damaged(f"{path}: not what was written there; delete the folder {path.parent} to decode again")
    array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    return array
