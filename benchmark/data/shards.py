"""`shards:NAME`: the images of the tree NAME, made small once and written one after the other into a few large files.

`prunebench data shards:NAME --prepare` writes them: short side 256 pixels (a smaller image is not enlarged),
JPEG of quality 92. They are other images than the tree's, so this is a data set of its own name.
"""

import hashlib
import io
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmark import dataset
from benchmark.data.archive import aside
from benchmark.data.files import FORMATS, UNREADABLE, Files, Shards, rgb
from benchmark.data.folder import find_tree, parts_of
from benchmark.data.images import IMAGENET, NO_CACHE, Images, Labels, Place, sealed, unsealed
from benchmark.data.tree import Listed, classes_in, decoder, listing
from benchmark.errors import Damaged, UserError
from benchmark.records.store import write_safely

SHORT, QUALITY = 256, 92
SHARD = 64 * 2**20  # bytes; the image that passes this is still written whole


@dataset()
def shards(place: Place) -> Images:
    folder = place.root / f"{place.argument}-shards"
    if not (folder / "index.json").is_file():
        if not place.prepare:
            raise UserError(
                f"no {folder.name} in {place.root}; `prunebench data shards:{place.argument} --prepare` makes it"
            )
        _make(find_tree(place), folder, place.skip)
    if not place.stream:
        raise UserError(f'shards:{place.argument} is read as it is wanted: augment = ["resized_crop", …] and a size')
    try:
        text = (folder / "index.json").read_bytes()
        index = unsealed(text)
        train, test = (_read(folder, part, index) for part in ("train", "test"))
        classes, left_out = tuple(map(str, index["classes"])), tuple(map(str, index["left out"]))
    except NO_CACHE as error:
        raise Damaged(f"{folder}: not what was written there ({error}); delete it to make it again") from error
    listed = f"shards {hashlib.sha256(text).hexdigest()[:16]}"
    return Images(*train, *test, classes, IMAGENET, decoder(), listed=listed, left_out=left_out)


def _read(folder: Path, part: str, index: dict[str, Any]) -> tuple[Files, Labels]:
    sizes = index[part]["shards"]
    for name, size in sizes.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise Damaged(f"{folder / name}: not the {size} bytes that were written; delete {folder} to make it again")
    written = (folder / f"{part}.npy").read_bytes()
    if hashlib.sha256(written).hexdigest() != index[part]["table"]:
        raise ValueError(f"{part}.npy has another sum")
    table: npt.NDArray[np.int64] = np.load(io.BytesIO(written), allow_pickle=False)
    paths = tuple(folder / Path(name).name for name in sizes)
    _check(table, list(sizes.values()), len(index["classes"]))
    return Files(Shards(paths, table[:, :4]), np.arange(len(table))), table[:, 4]


def _check(table: npt.NDArray[np.int64], sizes: list[int], classes: int) -> None:
    """Check the table itself: a forged file may have a matching checksum."""
    if table.dtype != np.int64 or table.ndim != 2 or table.shape[1] != 5 or not len(table):
        raise ValueError("its table has another form")
    shard, offset, length, _, label = table.T
    if not (np.isin(shard, np.arange(len(sizes))).all() and np.isin(label, np.arange(classes)).all()):
        raise ValueError("its table names a shard or a class that is not there")
    if (offset < 0).any() or (length < 0).any() or (length > np.array(sizes)[shard] - offset).any():
        raise ValueError("its table leads out of a shard")


def _make(tree: Path, folder: Path, skip: int) -> None:
    with aside(folder) as made:
        made.mkdir()
        train, test = parts_of(tree)
        classes = classes_in(train)
        left_out: list[str] = []
        index: dict[str, object] = {"classes": classes, "short": SHORT, "quality": QUALITY, "decoder": decoder()}
        for part, where in (("train", train), ("test", test)):
            sizes = _write(made, part, listing(where, classes), left_out)
            table = hashlib.sha256((made / f"{part}.npy").read_bytes()).hexdigest()
            index[part] = {"shards": sizes, "table": table}
        if len(left_out) > skip:
            raise Damaged(
                f"{len(left_out)} images cannot be decoded, {', '.join(left_out[:3])}{' …' if left_out[3:] else ''}; "
                f"--skip-corrupt N leaves out as many as N, and names them in the index"
            )
        write_safely(made / "index.json", sealed(index | {"left out": left_out}))


def _write(folder: Path, part: str, files: Listed, left_out: list[str]) -> dict[str, int]:
    """Write the shards of one part and the place of each image in them. Returns name of each shard -> its length."""
    sizes: dict[str, int] = {}
    table: list[tuple[int, int, int, int, int]] = []
    name = ""
    for path, label, small in _small(files):
        if not small:
            left_out.append(str(path))
            continue
        if not name or sizes[name] >= SHARD:
            name = f"{part}-{len(sizes):05d}.shard"
            sizes[name] = 0
        with (folder / name).open("ab") as file:
            file.write(small)
        table.append((len(sizes) - 1, sizes[name], len(small), zlib.crc32(small), label))
        sizes[name] += len(small)
    if not table:
        raise Damaged(f"none of the {len(files)} images of the {part} part can be decoded, the first: {files[0][0]}")
    np.save(folder / f"{part}.npy", np.array(table, dtype=np.int64))
    return sizes


def _small(files: Listed) -> Iterator[tuple[Path, int, bytes]]:
    """The images in the order of the list, made small by all processors; empty if one cannot be decoded."""
    with ProcessPoolExecutor() as pool:
        for (path, label), small in zip(
            files, pool.map(make_small, (path for path, _ in files), chunksize=32), strict=True
        ):
            yield path, label, small


def make_small(path: Path) -> bytes:
    """The small image; empty if it cannot be decoded or is longer than a JPEG can be."""
    out = io.BytesIO()
    try:
        with path.open("rb") as raw, Image.open(raw, formats=FORMATS) as image:
            scale = min(image.size) / SHORT
            if scale >= 2:
                image.draft("RGB", (int(image.width / scale), int(image.height / scale)))
            whole = rgb(image)
        short = min(whole.size)
        if short > SHORT:
            width, height = (max(SHORT, round(side * SHORT / short)) for side in whole.size)
            whole = whole.resize((width, height), Image.Resampling.BILINEAR)
        whole.save(out, "JPEG", quality=QUALITY)
    except UNREADABLE:
        return b""
    return out.getvalue()
