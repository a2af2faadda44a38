"""Images of every kind, whole and damaged: the pixels that they hold, or a line that names the file."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from benchmark.data.shards import make_small
from benchmark.data.tree import SUFFIXES, decode, in_files
from benchmark.errors import UserError
from tests.attack.common import cases, soon, told

pytestmark = [
    pytest.mark.slow,
    # what Pillow says of images that it reads all the same
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:.*:UserWarning:PIL"),
]
COLOUR = (200, 120, 40)
GREY = (136, 136, 136)


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, COLOUR).convert(mode)


def frames(kind: str) -> bytes:
    others = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    return saved(plain(), kind, save_all=True, append_images=others)


def through(mode: str, kind: str) -> bytes:
    image = plain("P" if mode == "P" else "RGB")
    return saved(image, kind, transparency=bytes([255, 0] * 8) if mode == "P" else COLOUR)


def deep(kind: str, type: type = np.uint16) -> bytes:
    return saved(Image.fromarray(np.full((30, 40), 136 * 257, type)), kind)


def png_of(width: int, height: int, bits: int, colour: int, rows: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def of_16_bits() -> bytes:
    row = b"\x00" + b"".join(struct.pack(">H", 257 * value) for value in COLOUR) * 40
    return png_of(40, 30, 16, 2, row * 30)


# Which must be read, with the colour that they have.
WHOLE: dict[str, tuple[Callable[[], bytes], tuple[int, int, int]]] = {
    **{f"jpeg {mode}": (lambda mode=mode: saved(plain(mode), "JPEG"), COLOUR) for mode in ("RGB", "CMYK", "YCbCr")},
    "jpeg grey": (lambda: saved(plain("L"), "JPEG"), (135, 135, 135)),
    "jpeg progressive": (lambda: saved(plain(), "JPEG", progressive=True, exif=b"Exif\x00\x00\xff"), COLOUR),
    **{f"png {mode}": (lambda mode=mode: saved(plain(mode), "PNG"), COLOUR) for mode in ("RGB", "RGBA", "P")},
    **{f"png {mode}": (lambda mode=mode: saved(plain(mode), "PNG"), (135, 135, 135)) for mode in ("L", "LA")},
    **{f"png through {mode}": (lambda mode=mode: through(mode, "PNG"), COLOUR) for mode in ("P", "RGB")},
    "png 16 bits RGB": (of_16_bits, COLOUR),
    "apng": (lambda: frames("PNG"), COLOUR),
    "gif": (lambda: frames("GIF"), COLOUR),
    "webp": (lambda: saved(plain(), "WEBP"), COLOUR),
    "webp animated": (lambda: frames("WEBP"), COLOUR),
    "bmp": (lambda: saved(plain(), "BMP"), COLOUR),
    "tiff": (lambda: frames("TIFF"), COLOUR),
    "mpo": (lambda: frames("MPO"), COLOUR),
}
# Which must be refused, or read as what they are.
DEEP = {
    "png 16 bits": lambda: deep("PNG"),
    "tiff 16 bits": lambda: deep("TIFF"),
    "tiff 32 bits": lambda: deep("TIFF", np.int32),
    "tiff float": lambda: deep("TIFF", np.float32),
}
# Which must be refused, soon and without gigabytes.
NEVER: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<html>",
    "png 60000": lambda: png_of(60000, 60000, 8, 2),
    "png 12000": lambda: png_of(12000, 12000, 8, 2),
    "png 0": lambda: png_of(0, 9, 8, 2),
    "png 2**31": lambda: png_of(2**31 - 1, 2**31 - 1, 16, 6),
    "png a million long": lambda: png_of(1, 10**6, 8, 0, bytes(2 * 10**6)),
    "jpeg 65500": lambda: saved(Image.new("L", (40, 30)), "JPEG").replace(b"\x00\x1e\x00\x28", b"\xff\xdc\xff\xdc"),
    "eps": lambda: saved(plain(), "EPS"),
    "psd": lambda: b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30, 40, 8, 3) + bytes(99),
    "xbm": lambda: saved(plain("1"), "XBM"),
    "ico": lambda: saved(plain(), "ICO"),
}  # fmt: skip


def looked_at(path: Path, what: object) -> list[np.ndarray]:  # type: ignore[type-arg]
    """By every way that an image is read; each gives pixels or names the file."""
    seen = []

    def in_memory() -> np.ndarray:  # type: ignore[type-arg]
        return decode([(path, 0)], 8)[0][0]

    def streamed() -> np.ndarray:  # type: ignore[type-arg]
        return in_files(path.parent, [(path, 0)])[0].middle(0, 8)

    def cropped() -> np.ndarray:  # type: ignore[type-arg]
        return in_files(path.parent, [(path, 0)])[0].crop(0, 8, np.random.default_rng(0))

    for way in (in_memory, streamed, cropped):
        with told((what, way.__name__)) as said:
            seen.append(way())
        assert not said or path.name in said[0], what
    with told((what, "shards")):
        small = make_small(path)
        if small:
            seen.append(np.asarray(Image.open(io.BytesIO(small)).resize((8, 8))).transpose(2, 0, 1))
    return seen


@pytest.fixture(autouse=True)
def no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_: pytest.fail("another program is started"))


@pytest.mark.parametrize("kind", [*WHOLE, *DEEP])
def test_whole_images_have_their_colours_under_every_name(kind: str, tmp_path: Path) -> None:
    make, colour = WHOLE.get(kind) or (DEEP[kind], GREY)
    for suffix in sorted(SUFFIXES):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(make())
        seen = looked_at(path, kind)
        assert len(seen) in ((4,) if kind in WHOLE else (0, 4)), "all ways read it, or none"
        for pixels in seen:
            assert np.abs(pixels.astype(int) - np.array(colour)[:, None, None]).max() < 12, kind


@pytest.mark.parametrize("kind", NEVER)
def test_what_is_no_image_of_ours_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(NEVER[kind]())
    with soon(kind):
        assert not looked_at(path, kind) or kind == "png a million long", "a crop of it may be read"
    with pytest.raises(UserError, match=r"x\.jpg: cannot be decoded"):
        decode([(path, 0)], 224)


def test_damaged_images(tmp_path: Path) -> None:
    wholes = [make() for make, _ in WHOLE.values()] + [make() for make in DEEP.values()]
    for number, chance in cases("images", 400, 4000):
        path = tmp_path / f"{number}{chance.choice(sorted(SUFFIXES))}"
        path.write_bytes(spoiled(chance.choice(wholes), chance))
        looked_at(path, number)
        path.unlink()


def spoiled(whole: bytes, chance: random.Random) -> bytes:
    content = bytearray(whole)
    match chance.randrange(4):
        case 0:
            return whole[: chance.randrange(len(whole))]
        case 1:
            for _ in range(chance.choice((1, 1, 5, 50))):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        case 2:  # most headers stand at the front
            for _ in range(chance.randrange(1, 4)):
                content[chance.randrange(min(64, len(content)))] = chance.choice((0, 1, 127, 128, 255))
        case _:
            at = chance.randrange(len(content))
            content[at : at + chance.randrange(9)] = chance.randbytes(chance.randrange(9))
    return bytes(content)
