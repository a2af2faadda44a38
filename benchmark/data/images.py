"""The form of every data set: uint8 arrays in memory, cached on disk with their checksums."""

import hashlib
import json
import os
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.files import Files
from benchmark.errors import Damaged, UserError
from benchmark.plan.canonical import canonical, digest
from benchmark.records.store import write_safely

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
# The errors that reading JSON and arrays raises for a cache that is not one of ours.
NO_CACHE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError),
    *(ArithmeticError, RecursionError, MemoryError, SyntaxError, tokenize.TokenError),
)
PARTS = ("train", "train_labels", "test", "test_labels")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR100 = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))


@dataclass(frozen=True)
class Images:
    """`train` and `test` are n × channel × height × width. `decoder` names what turned files into pixels."""

    train: Bytes | Files
    train_labels: Labels
    test: Bytes | Files
    test_labels: Labels
    classes: tuple[str, ...]
    normalise: tuple[tuple[float, ...], tuple[float, ...]]
    decoder: str
    listed: str = ""  # hash of the list of files, for images that are decoded only when needed
    left_out: tuple[str, ...] = ()  # files that could not be decoded when the set was prepared

    @property
    def channels(self) -> int:
        return 3 if isinstance(self.train, Files) else self.train.shape[1]

    @property
    def side(self) -> int:
        """In pixels. For images in files, only a recipe sets it."""
        return 0 if isinstance(self.train, Files) else self.train.shape[-1]

    @property
    def hash(self) -> str:
        """The hash of the decoded pixels. Two decoders of one JPEG differ by up to 53 grey levels."""
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
    """Where a data set may look, and what is wanted of it."""

    root: Path
    argument: str = ""  # NAME of folder:NAME
    size: int | None = None  # pixels per side, if the files must be resized when decoded
    offline: bool = False  # only look; fetch nothing
    stream: bool = False  # leave the images in their files
    prepare: bool = False  # make now what takes long and is needed once
    skip: int = 0  # how many images may be left out then because they cannot be decoded

    def require(self, *names: str, help: str) -> Path:
        """The first of `names` that is under the root."""
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
    """Decode once. Afterwards read the arrays back and check each against its checksum."""
    folder = place.root / "decoded" / hashlib.sha256(canonical(key).encode()).hexdigest()[:16]
    about = folder / "about.json"
    if not about.is_file():
        images = build()
        sums = {part: _write(folder / f"{part}.npy", getattr(images, part)) for part in PARTS}
        head: dict[str, Any] = {"key": key, "sums": sums, "classes": images.classes}
        head |= {"normalise": images.normalise, "decoder": images.decoder}
        write_safely(about, sealed(head))
        return images
    try:
        head = unsealed(about.read_bytes())
        if head["key"] != json.loads(canonical(key)):
            raise ValueError("it is another set's")
        train, train_labels, test, test_labels = (_read(folder / f"{part}.npy", head["sums"][part]) for part in PARTS)
        mean, std = head["normalise"]
        normalise = tuple(map(float, mean)), tuple(map(float, std))
        images = Images(
            train, train_labels, test, test_labels, tuple(head["classes"]), normalise, str(head["decoder"])
        )  # fmt: skip
        _check(images)
    except NO_CACHE as error:
        raise Damaged(
            f"{about}: not what was written there ({error}); delete the folder {folder} to decode again"
        ) from error
    return images


def sealed(head: dict[str, Any]) -> bytes:
    """The head as JSON, with its own checksum."""
    return json.dumps(head | {"sum": digest(head)}, indent=1).encode()


def unsealed(text: bytes) -> dict[str, Any]:
    """Reads a sealed head. Older heads without a checksum have exactly five keys."""
    head: dict[str, Any] = json.loads(text)
    found = head.pop("sum", None)
    if found != digest(head) and not (
        found is None and head.keys() == {"key", "sums", "classes", "normalise", "decoder"}
    ):
        raise ValueError("its own sum is another")
    return head


def _check(images: Images) -> None:
    """Check the content. Checksums show that a file is what was written, not that it was written here."""
    shapes, classes = set(), len(images.classes)
    for x, y in ((images.train, images.train_labels), (images.test, images.test_labels)):
        if isinstance(x, Files) or x.dtype != np.uint8 or x.ndim != 4:
            raise ValueError("images are not n × channels × height × width of uint8")
        if y.dtype != np.int64 or y.shape != x.shape[:1] or not np.isin(y, np.arange(classes)).all():
            raise ValueError(f"labels are not one of {classes} classes for each image")
        shapes.add(x.shape[1:])
    if len(shapes) > 1 or {len(part) for part in images.normalise} != {images.channels}:
        raise ValueError("training and test images, or their channels, differ")
    if not all(isinstance(name, str) for name in images.classes):
        raise ValueError("names of classes are not text")


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
