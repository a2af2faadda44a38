"""Official archives: found under the data root, or downloaded with retry and resume; always checked."""

import hashlib
import lzma
import os
import shutil
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from benchmark.data.download import BROKEN, download
from benchmark.errors import Damaged, UserError

CHUNK = 1 << 20
# The errors that the standard library raises for damaged or made-up archives.
NO_ARCHIVE = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, LookupError, OverflowError, RuntimeError, MemoryError),
)
TIMES, FREELY = 100, 2**30  # an archive that unpacks to more than both of these (times its size, bytes) is a bomb
BLOCK, DEEPEST = 4096, 100  # bytes that the smallest file takes on a disk; depth of folders
Member = tuple[str, bool, bool, int]  # name, whether a plain file, whether a folder, bytes
WORKSHOP = ".making"


@dataclass(frozen=True)
class Archive:
    file: str
    url: str
    md5: str  # as its publisher states it
    instead: tuple[str, ...] = ()  # other forms the data set is read from; named in the error if nothing is there

    @property
    def wanted(self) -> str:
        return f"{self.file} (or {' or '.join(self.instead)})" if self.instead else self.file

    def fetch(self, root: Path, *, offline: bool = False, tries: int = 4) -> Path:
        """The archive on disk, whole and checked. A damaged one is named and left where it is."""
        path = root / self.file
        if os.path.lexists(path) and not path.is_file():
            raise Damaged(f"{path}: not a file; move it away to fetch it anew")
        if not path.is_file():
            if offline:
                raise UserError(f"no {self.wanted} in {root}; --prepare fetches it, or put it there from {self.url}")
            self._download(path, tries)
        elif (found := md5_of(path)) != self.md5:
            what = f"{path}: md5 {found}, expected {self.md5}"
            raise Damaged(f"{what}; not used, not deleted: move it away to fetch it anew")
        return path

    def _download(self, path: Path, tries: int) -> None:
        """The file gets its name only when it is right. A wrong file under that name would block the next try."""
        with aside(path) as partial:
            try:
                download(self.url, partial, tries)
            except BROKEN as error:
                raise UserError(
                    f"no {self.wanted} in {path.parent} and it cannot be downloaded ({error}); "
                    f"fetch {self.url} and put it there"
                ) from error
            if (found := md5_of(partial)) != self.md5:
                raise Damaged(f"{self.url}: what came has md5 {found}, expected {self.md5}; not kept")


@contextmanager
def aside(final: Path) -> Iterator[Path]:
    """A place to make `final` in. It gets its name when it is complete. Of several makers, one's result is kept."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        workshop = TemporaryDirectory(
            prefix=f".{final.name}.", suffix=WORKSHOP, dir=final.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise UserError(f"{final}: cannot be made ({error.strerror})") from error
    with workshop:
        made = Path(workshop.name) / final.name
        yield made
        try:
            made.replace(final)
        except OSError as error:  # the folder exists: another process was faster
            if not final.is_dir():
                raise UserError(f"{final}: cannot be made ({error.strerror}); what is there was left") from error


def _sweep(final: Path) -> None:
    """Remove what killed makers left. A working one touches its workshop more often than once a week."""
    a_week_ago = time.time() - 7 * 86400
    for left in final.parent.glob(f".{final.name}.*{WORKSHOP}"):
        if left.stat().st_mtime < a_week_ago:
            shutil.rmtree(left, ignore_errors=True)


def md5_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise Damaged(f"{path}: cannot be read ({error.strerror})") from error


def extract(archive: Path, to: Path) -> None:
    """Unpack a tar or zip of plain files and folders. If it holds anything else, nothing is written."""
    if not archive.is_file():
        raise Damaged(f"{archive}: not a file")
    try:
        # decided by its name: a tar that holds a zip as its last file looks like a zip
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as pack:
                _check(archive, _in_zip(pack), to)
                to.mkdir(parents=True, exist_ok=True)
                pack.extractall(to)
        else:
            with tarfile.open(archive, tarinfo=_Header) as tar:
                _check(archive, ((m.name, m.isreg() and not m.issparse(), m.isdir(), m.size) for m in tar), to)
                _check_end(tar)
                to.mkdir(parents=True, exist_ok=True)
                tar.extractall(to, filter=_timeless)
    except NO_ARCHIVE as error:
        raise Damaged(f"{archive}: cannot be unpacked ({error}); not used, not deleted") from error


def _in_zip(pack: zipfile.ZipFile) -> Iterator[Member]:
    for member in pack.infolist():
        special = stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR)
        yield member.orig_filename, not special and not member.is_dir(), member.is_dir(), member.file_size


def _check(archive: Path, members: Iterable[Member], to: Path) -> None:
    """Check one member after the other. Listing a bomb to its end would take as long as unpacking it."""
    home = next(folder for folder in to.absolute().parents if folder.is_dir())
    free, most = shutil.disk_usage(home).free, max(FREELY, TIMES * archive.stat().st_size)
    seen: dict[PurePosixPath, bool] = {}
    size = 0
    for name, is_file, is_folder, length in members:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Damaged(f"{archive}: {name!r} would be written outside {to}; not used")
        if not (is_file or is_folder) or length < 0 or "\0" in name or len(path.parts) > DEEPEST:
            raise Damaged(f"{archive}: cannot be unpacked ({name[:99]!r} is a link, a device or no name); not used")
        if path in seen and not (is_folder and seen[path]):
            raise Damaged(f"{archive}: {name!r} stands in it twice; not used")
        seen[path] = is_folder
        size += max(length, BLOCK)
        if size > min(free, most):
            why = f"more than {free / 2**30:.1f} GiB, which are free" if size > free else f"over {TIMES} times its size"
            raise Damaged(f"{archive}: would unpack to {why}; not used: unpack it yourself if it is meant to")


class _Header(tarfile.TarInfo):
    """A tar header. One that would fill the memory is refused while it is read, before there is a member to check."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.size > CHUNK and found.type in b"xgXLK"):
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found

    def _map(self, *_: object) -> None:
        raise tarfile.ReadError("it holds a sparse file")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _map


def _check_end(tar: tarfile.TarFile) -> None:
    """The library takes an unreadable header for the end, and would leave out everything after it."""
    assert tar.fileobj
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off, or a header is damaged")
    while rest := tar.fileobj.read(CHUNK):  # to its very end, where gzip keeps its checksum
        if rest.strip(b"\0"):
            raise tarfile.ReadError("more follows after its end")


def _timeless(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
    """Drop the time of change. Nothing uses it, and a made-up time cannot be set."""
    return tarfile.data_filter(member.replace(mtime=0, deep=False), to)
