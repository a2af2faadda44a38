"""Image files in class folders -> arrays. Decoded by Pillow; the decoder's name goes into the record."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, features

from benchmark.data.files import FORMATS, UNREADABLE, Files, Tree, rgb
from benchmark.data.images import Bytes, Labels
from benchmark.errors import Damaged, UserError

LONGEST = 2**17  # pixels of the long side of an image that is made small
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
NOT_READ = {".gif", ".tif", ".tiff", ".jpe", ".jfif", ".ppm", ".pgm", ".avif", ".heic", ".jp2"}
Listed = list[tuple[Path, int]]


def decoder() -> str:
    turbo = "libjpeg-turbo" if features.check_feature("libjpeg_turbo") else "libjpeg"
    version = features.version_feature("libjpeg_turbo") or features.version_codec("jpg")
    return f"pillow/{turbo} {version}"


def classes_in(folder: Path) -> tuple[str, ...]:
    entries = [(Path(entry), is_folder) for entry, is_folder in _entries(folder)]
    if beside := min(
        (path for path, is_folder in entries if not is_folder and path.suffix.lower() in SUFFIXES), default=None
    ):
        raise UserError(f"{beside}: an image beside the class folders, of no class")
    names = tuple(sorted(path.name for path, is_folder in entries if is_folder))
    if not names:
        raise UserError(f"{folder}: no class folders in it")
    return names


def listing(folder: Path, classes: tuple[str, ...]) -> Listed:
    files = [(path, label) for label, name in enumerate(classes) for path in sorted(_images(folder / name))]
    if empty := set(range(len(classes))) - {label for _, label in files}:
        raise UserError(
            f"{folder / classes[min(empty)]}: no images ({', '.join(sorted(SUFFIXES))}) in this class folder"
        )
    return files


def _images(folder: Path) -> Iterator[Path]:
    """Every file that looks like an image is read or named in an error. None is left out silently."""
    folders = [folder]
    while folders:
        for entry, is_folder in _entries(folders.pop()):
            path = Path(entry)
            suffix = path.suffix.lower()
            if is_folder and entry.is_symlink():
                raise UserError(f"{path}: a link to a folder, which is not followed; put the folder there")
            if suffix in SUFFIXES and not entry.is_file():
                raise Damaged(f"{path}: has the name of an image, but is no file")
            if suffix in NOT_READ:
                raise UserError(f"{path}: only {', '.join(sorted(SUFFIXES))} are read; convert it or move it away")
            if is_folder:
                folders.append(path)
            elif suffix in SUFFIXES:
                yield path


def _entries(folder: Path) -> list[tuple[os.DirEntry[str], bool]]:
    """The entries, and whether each is a folder. A link that leads nowhere may have been a class or an image."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry, entry.is_dir()) for entry in entries]
    except OSError as error:
        raise Damaged(f"{error.filename}: cannot be read ({error.strerror})") from error
    if lost := [entry.path for entry, is_folder in found if entry.is_symlink() and not (is_folder or entry.is_file())]:
        raise Damaged(f"{min(lost)}: a link that leads to no file or folder")
    return found


def decode(files: Listed, size: int | None) -> tuple[Bytes, Labels]:
    """All images in memory: short side to `size`, then the centre square; without `size`, as they are."""
    width, height = (size, size) if size else _open(files[0][0]).size
    need = len(files) * 3 * width * height
    if need > psutil.virtual_memory().available * 0.6:
        raise UserError(
            f"{len(files)} images of {width} × {height} need {need / 2**30:.1f} GiB of memory; there is less"
        )
    out = np.empty((len(files), 3, height, width), dtype=np.uint8)
    for i, (path, _) in enumerate(files):
        out[i] = _one(path, size, (width, height))
    return out, np.array([label for _, label in files], dtype=np.int64)


def in_files(root: Path, files: Listed) -> tuple[Files, Labels]:
    """The same images, left on disk until a step needs them."""
    names = tuple(path.relative_to(root).as_posix() for path, _ in files)
    labels = np.array([label for _, label in files], dtype=np.int64)
    return Files(Tree(root, names), np.arange(len(files))), labels


def _one(path: Path, size: int | None, expected: tuple[int, int]) -> Bytes:
    image = _open(path)
    if size:
        if size * max(image.size) > LONGEST * min(image.size):
            raise Damaged(f"{path}: cannot be decoded (its sides are {image.width} and {image.height})")
        image = square(image, size)
    elif image.size != expected:
        raise UserError(f"{path}: {image.size} where the first image is {expected}; give the recipe a size")
    return np.asarray(image).transpose(2, 0, 1)


def _open(path: Path) -> Image.Image:
    try:
        with path.open("rb") as raw, Image.open(raw, formats=FORMATS) as file:
            return rgb(file)
    except UNREADABLE as error:
        raise Damaged(f"{path}: cannot be decoded ({error})") from error


def square(image: Image.Image, size: int) -> Image.Image:
    """The short side becomes `size`, the middle of the long side stays."""
    scale = size / min(image.size)
    width, height = max(size, round(image.width * scale)), max(size, round(image.height * scale))
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def changed(files: Listed) -> list[int]:
    """When each was changed. Another image can have the same length."""
    return [path.stat().st_mtime_ns for path, _ in files]


def signature(files: Iterable[tuple[Path, int]]) -> list[list[str | int]]:
    """What a cache of decoded images depends on: names, lengths, labels."""
    return [["/".join(path.parts[-2:]), path.stat().st_size, label] for path, label in files]
