"""Official archives: found under the data root, or downloaded with retry and resume; always checked."""

import hashlib
import lzma
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.errors import Damaged, UserError

CHUNK = 1 << 20
WORKSHOP = ".making"


@dataclass(frozen=True)
class Archive:
    file: str
    url: str
    md5: str  # the one its publisher states
    instead: tuple[str, ...] = ()  # what else the data set is read from; named when nothing is there

    @property
    def wanted(self) -> str:
        return f"{self.file} (or {' or '.join(self.instead)})" if self.instead else self.file

    def fetch(self, root: Path, *, offline: bool = False, tries: int = 4) -> Path:
        """The archive on disk, whole and checked. What is damaged is named and left where it lies."""
        path = root / self.file
        if not path.is_file():
            if offline:
                raise UserError(f"no {self.wanted} in {root}; --prepare fetches it, or put it there from {self.url}")
            self._download(path, tries)
        if (found := md5_of(path)) != self.md5:
            what = f"{path}: md5 {found}, expected {self.md5}"
            raise Damaged(f"{what}; not used, not deleted: move it away to fetch it anew")
        return path

    def _download(self, path: Path, tries: int) -> None:
        with aside(path) as partial:
            for wait in range(tries):
                try:
                    self._append_rest(partial)
                    break
                except (urllib.error.URLError, OSError, TimeoutError) as error:
                    if wait == tries - 1:
                        raise UserError(
                            f"no {self.wanted} in {path.parent} and it cannot be downloaded ({error}); "
                            f"fetch {self.url} and put it there"
                        ) from error
                    time.sleep(2**wait * 0.5)

    def _append_rest(self, partial: Path) -> None:
        """Ask for what is missing; a server that sends everything again starts the file again."""
        have = partial.stat().st_size if partial.exists() else 0
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:  # nothing is missing
                return
            raise
        with answer, partial.open("ab" if answer.status == 206 else "wb") as file:
            expected = answer.headers.get("Content-Length")
            got = 0
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                got += len(chunk)
            if expected is not None and got != int(expected):
                raise OSError(f"the connection broke after {got} of {expected} bytes")


@contextmanager
def aside(final: Path) -> Iterator[Path]:
    """Where to make what `final` shall be: it gets its name when it is whole. Of several makers one's is kept."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        workshop = TemporaryDirectory(prefix=f".{final.name}.", suffix=WORKSHOP, dir=final.parent)
    except OSError as error:
        raise UserError(f"{final}: cannot be made ({error.strerror})") from error
    with workshop:
        made = Path(workshop.name) / final.name
        yield made
        try:
            made.replace(final)
        except OSError:  # a folder is there: another process was faster
            if not final.is_dir():
                raise


def _sweep(final: Path) -> None:
    """What killed makers left; one at work touches its workshop more often than once a week."""
    a_week_ago = time.time() - 7 * 86400
    for left in final.parent.glob(f".{final.name}.*{WORKSHOP}"):
        if left.stat().st_mtime < a_week_ago:
            shutil.rmtree(left, ignore_errors=True)


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def extract(archive: Path, to: Path) -> None:
    """Unpack a tar or zip; a member that would land outside stops it before anything is written."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                _refuse_escapes(archive, pack.namelist(), to)
                pack.extractall(to)
        else:
            with tarfile.open(archive) as tar:
                _refuse_escapes(archive, tar.getnames(), to)
                tar.extractall(to, filter="data")
                while tar.fileobj and tar.fileobj.read(CHUNK):  # to its end, where gzip keeps its checksum
                    pass
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise Damaged(f"{archive}: cannot be unpacked ({error}); not used, not deleted") from error


def _refuse_escapes(archive: Path, names: list[str], to: Path) -> None:
    base = to.resolve()
    for name in names:
        if not (base / name).resolve().is_relative_to(base):
            raise Damaged(f"{archive}: {name!r} would be written outside {to}; not used")
