"""Archives of a small tree of images, made by hand where no library would write them."""

import gzip
import io
import lzma
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.attack.common import NASTY

Entry = tuple[str, bytes, dict[str, Any]]  # name, content, what else its header says
KINDS = ("tar", "tar.gz", "tar.xz", "zip")
NAMES = sorted(
    {n.replace("/", "_") for n in NASTY if n and "\x00" not in n} | {"ü" * 100, "..a", "-rf", "a b", "'", "\\"}
)
LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
NINE = "train/cat/9.png"


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (9, 8), (value, 99, 0)).save(out, "PNG")
    return out.getvalue()


def entries(*names: str, first: int = 0) -> list[Entry]:
    """Of each class three images to train and two to test; each has a red of its own."""
    return [
        (f"{part}/{name}/{i}.png", png(first + 100 * at + 20 * label + i), {})
        for i in range(3)  # first of all, so that what is cut off its end still has all classes
        for at, part in enumerate(("train", "val")[: 2 - i // 2])
        for label, name in enumerate(names or ("cat", "dog"))
    ]


def put_tree(root: Path, *names: str, first: int = 0) -> Path:
    for name, data, _ in entries(*names, first=first):
        (root / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "pets" / name).write_bytes(data)
    return root / "pets" / "train" / (names or ("cat",))[0]


# What must be refused: in every archive, and in a tar.
ANYWHERE: tuple[Entry, ...] = (
    *((name, b"x", {}) for name in ("../out.png", "train/../../out.png", "train/cat/../../../out.png", "/out.png")),
    *((name, png(1), {}) for name in ("//out.png", "train/cat/0.png", "train/./cat/0.png", "train//cat//0.png")),
    *((NINE, b"", {"type": LINK, "linkname": to}) for to in ("0.png", "../../../../out.png", "9.png", "/etc/passwd")),
    *(("train/more", b"", {"type": LINK, "linkname": to}) for to in ("cat", "more", "..", "/", "l/" * 2000)),
    *((f"train/cat/{name}", png(1), {}) for name in ("n" * 300 + ".png", "d/" * 1200 + "9.png")),
    (NINE, b"no image", {}),
    (f"{NINE}/x", b"a folder of an image's name", {}),
    ("train/9.png", png(1), {}),
    ("train/cat/9.gif", b"an image of a kind that is not read", {}),
    ("train/empty/note.txt", b"a class of no images", {}),
    (f"{NINE}\x00.sh", png(1), {"pax": {"path": f"{NINE}\x00.sh"}}),
)  # fmt: skip
IN_A_TAR: tuple[Entry, ...] = (
    *((NINE, b"", {"type": HARD, "linkname": to}) for to in ("train/cat/0.png", "/etc/passwd", "../out.png", "", NINE)),
    *((NINE, b"", {"type": kind}) for kind in (tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z", b"S")),
    *((NINE, png(1), {"pax": {"size": size}}) for size in ("-512", "-99999", "9" * 30, "9" * 5000, str(2**50))),
    *((NINE, png(1), {"pax": {"GNU.sparse.map": text}}) for text in ("0,1,99,9", "x", "0,1" * 9)),
    *((NINE, b"9\n" * 99, {"pax": {"GNU.sparse.major": "1", "GNU.sparse.minor": minor}}) for minor in "01"),
    (NINE, png(1), {"pax": {"comment": "x" * 2**21}}),
    (NINE, png(1), {"heads": 3000}),
    *((NINE, b"", {"size": size}) for size in (2**50, -512, 2**62)),
    *(("x" * 99, b"", {"type": kind, "size": 2**33}) for kind in (b"x", b"g", b"L", b"K", b"X")),
)  # fmt: skip
# What must not matter.
HARMLESS: tuple[dict[str, Any], ...] = (
    *({"pax": {"mtime": when}} for when in ("nan", "inf", "1e300", "-1", "x", "9" * 400)),
    *({"mode": mode} for mode in (0, 0o7777, 0o4755)),
    *({"pax": {key: "9" * 30}} for key in ("uid", "gid")),
    {"pax": {"uname": "\u202e"}}, {"uid": 2**40}, {"uname": "nobody\n"}, {"pax": {"hdrcharset": "BINARY"}},
)  # fmt: skip


def put(path: Path, content: list[Entry]) -> None:
    if path.suffix == ".zip":
        put_zip(path, content)
    else:
        raw = b"".join(map(_in_tar, content)) + bytes(1024)
        path.write_bytes({".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)(raw))


def put_zip(path: Path, content: list[Entry]) -> None:
    with zipfile.ZipFile(path, "w") as pack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice
        for name, data, more in content:
            info = zipfile.ZipInfo("?")
            info.compress_type = zipfile.ZIP_DEFLATED
            info.filename = info.orig_filename = name  # with its NUL
            if more.get("type") == LINK:
                info.external_attr, data = (stat.S_IFLNK | 0o777) << 16, str(more["linkname"]).encode()
            pack.writestr(info, data)


def _in_tar(entry: Entry) -> bytes:
    """A header may lie about its size, and pax may say what the library would not write."""
    name, data, more = entry
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        if key not in ("pax", "heads"):
            setattr(info, key, value)
    head = _pax(more["pax"]) if "pax" in more else b""
    head += _pax({"comment": "again"}) * more.get("heads", 0)
    return head + info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def _pax(pairs: dict[str, str]) -> bytes:
    body = b""
    for key, value in pairs.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + len(str(len(line)))
        length = len(line) + len(str(length))
        body += str(length).encode() + line
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)
