"""A server that breaks, stalls or lies: the right file by its hash, or a line within 30 s of no progress. Nothing half
lies under the file's name, and the next try works."""

import gzip
import hashlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.data import download
from benchmark.data.archive import Archive
from benchmark.errors import Damaged, UserError
from tests.attack.common import HANG, SIZE, cases, soon, told

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # of threads left behind
CONTENT = random.Random(0).randbytes(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
OVER = threading.Event()  # the tests of this file; then drips stop


class Server(BaseHTTPRequestHandler):
    """Does the first of what is planned, and the last of it for ever."""

    def __init__(self, plan: list[str], *rest: object) -> None:
        self.plan = plan
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        what = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        try:
            DOES["well" if self.path == "/well" else what](self)
        except OSError:  # nobody listens any more
            self.close_connection = True

    def say(self, status: int = 200, body: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    @property
    def start(self) -> int:
        return int(self.headers.get("Range", "bytes=0-")[6:-1])

    def well(self) -> None:
        rest = CONTENT[self.start :]
        where = f"bytes {self.start}-{len(CONTENT) - 1}/{len(CONTENT)}" if self.start else None
        self.say(206 if self.start else 200, rest, Content_Range=where)

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.close_connection = True

    def half(self, reset: bool = False, size: int | None = 0, part: float = 0.5) -> None:
        rest = CONTENT[self.start :]
        self.send_response(206 if self.start else 200)
        if size is not None:
            self.send_header("Content-Length", str(len(rest) + size))
        self.end_headers()
        self.wfile.write(rest[: int(len(rest) * part)])
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def drip(self, head: bytes, drop: bytes, wait: float = 0.1) -> None:
        self.wfile.write(head)
        while not OVER.wait(wait):
            self.wfile.write(drop)

    def log_message(self, *args: object) -> None:
        pass


OK = b"HTTP/1.1 200 OK\r\n"
DOES: dict[str, Callable[[Server], None]] = {
    "well": Server.well,
    "everything again": lambda s: s.say(200, CONTENT),
    "half": Server.half,
    "half, no length": lambda s: s.half(size=None),
    "reset": lambda s: s.half(reset=True),
    "reset at once": lambda s: s.half(reset=True, part=0),
    "longer length": lambda s: s.half(size=999, part=1),
    "shorter length": lambda s: s.half(size=-999, part=1),
    "length text": lambda s: s.say(200, CONTENT, Content_Length="many"),
    "length negative": lambda s: s.say(200, CONTENT, Content_Length="-1"),
    "length huge": lambda s: s.say(200, CONTENT, Content_Length="9" * 5000),
    "drip": lambda s: s.drip(OK + b"Content-Length: 200000\r\n\r\n", b"x"),
    "drip, no length": lambda s: s.drip(OK + b"\r\n", b"x"),
    "drip of status": lambda s: s.drip(b"HTTP/1.1 ", b"2"),
    "drip of headers": lambda s: s.drip(OK + b"X: ", b"x"),
    "drip of chunks": lambda s: s.drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "continue for ever": lambda s: s.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", wait=0.001),
    "silence": lambda s: s.drip(b"", b""),
    "silence after headers": lambda s: s.drip(OK + b"Content-Length: 200000\r\n\r\n", b""),
    "endless": lambda s: s.drip(OK + b"\r\n", bytes(2**20), wait=0),
    "loop": lambda s: s.say(302, Location=s.path),
    "longer and longer": lambda s: s.say(302, Location=f"{s.path}x"),
    "to a file": lambda s: s.say(302, Location="file:///etc/passwd"),
    "to data": lambda s: s.say(302, Location="data:text/plain,x"),
    "to a port": lambda s: s.say(302, Location="http://127.0.0.1:99999/"),
    "to nowhere": lambda s: s.say(302),
    "to a name": lambda s: s.say(302, Location="http://" + "a" * 70 + ".invalid/"),
    "to brackets": lambda s: s.say(302, Location="http://[::1/"),
    "to where it is": lambda s: s.say(302, Location="/well"),
    "wrong file": lambda s: s.say(200, CONTENT[::-1]),
    "html": lambda s: s.say(200, b"<html>sign in</html>", Content_Type="text/html"),
    "404": lambda s: s.say(404, b"<html>\n</html>"),
    "500": lambda s: s.say(500, b"x" * 10**5),
    "304": lambda s: s.say(304),
    "204": lambda s: s.say(204),
    "416": lambda s: s.say(416),
    "206 from elsewhere": lambda s: s.say(206, CONTENT, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"),
    "206 from nowhere": lambda s: s.say(206, CONTENT, Content_Range="x"),
    "206 of everything": lambda s: s.say(206, CONTENT),
    "gzip": lambda s: s.say(200, gzip.compress(CONTENT), Content_Encoding="gzip"),
    "broken chunk": lambda s: s.raw(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nxx"),
    "no chunk": lambda s: s.raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nxx"),
    "no http": lambda s: s.raw(b"220 ftp ready\r\n"),
    "nothing": lambda s: s.raw(b""),
    "status of words": lambda s: s.raw(b"HTTP/1.1 fine\r\n\r\n"),
    "reason with colours": lambda s: s.raw(b"HTTP/1.1 404 \x1b[31m\xe2\x80\xae\r\n\r\n"),
    "long line": lambda s: s.raw(OK + b"X: " + b"x" * 10**5 + b"\r\n\r\n"),
    "many headers": lambda s: s.raw(OK + b"X: x\r\n" * 500 + b"\r\n"),
}  # fmt: skip
COMES = {"well", "everything again", "to where it is", "206 of everything", "206 from elsewhere"}
MAY_COME = {"half, no length", "longer length"}
SLOW = {name for name in DOES if name.startswith(("drip", "continue", "silence"))}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All limits are small here; how large they are in earnest is tested below."""
    for name, value in {"SILENCE": 0.5, "PATIENCE": 1, "LARGEST": 2**21}.items():
        monkeypatch.setattr(download, name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    OVER.clear()
    yield
    OVER.set()


class Served:
    def __init__(self, plan: list[str]) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, list(plan)))
        self.http.daemon_threads = True
        self.archive = Archive("file.bin", f"http://127.0.0.1:{self.http.server_port}/x", MD5)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))

    def __enter__(self) -> Archive:
        self.thread.start()
        return self.archive

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.socket.close()


def fetched(plan: list[str], root: Path) -> bool:
    """Whether it came; if not, nothing is left, and an honest server is enough."""
    came = False
    with Served(plan) as archive, told(plan) as said:
        came = archive.fetch(root).read_bytes() == CONTENT
        assert came, plan
    assert came or said, plan
    assert sorted(path.name for path in root.iterdir()) == ["file.bin"] * came, f"left behind: {plan}"
    if not came:
        with Served(["well"]) as archive:
            assert archive.fetch(root).read_bytes() == CONTENT, plan
    (root / "file.bin").unlink()
    return came


@pytest.mark.parametrize("what", DOES)
def test_one_trick_for_ever(what: str, tmp_path: Path) -> None:
    """A server that always breaks off the half of what is missing is given up too."""
    came = fetched([what], tmp_path)
    if what not in MAY_COME:
        assert came == (what in COMES)


@pytest.mark.parametrize("what", sorted(set(DOES) - SLOW - {"shorter length", "wrong file", "html", "gzip", "204"}))
def test_after_half_of_the_file_and_before_an_honest_answer(what: str, tmp_path: Path) -> None:
    fetched(["half", what, "well"], tmp_path)


def test_tricks_in_any_order(tmp_path: Path) -> None:
    quick, slow = sorted(set(DOES) - SLOW), sorted(SLOW)
    for number, chance in cases("servers", 60, 1000):
        plan = [chance.choice(slow if chance.random() < 0.02 else quick) for _ in range(chance.randint(1, 5))]
        root = tmp_path / str(number)
        root.mkdir()
        fetched(plan, root)


def test_what_helps(tmp_path: Path) -> None:
    for plan in (["half", "reset", "well"], ["500", "404", "nothing", "well"], ["half", "206 from elsewhere", "well"]):
        assert fetched(plan, tmp_path), plan


def test_the_limits_in_earnest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert download.SILENCE < download.PATIENCE < HANG
    assert 200e6 < download.LARGEST < 2e9, "Caltech-101 and CIFAR fit"
    slow = sorted(SLOW) if SIZE == "full" else []
    for what in slow:
        OVER.clear()
        with Served([what]) as archive, soon(what, HANG), pytest.raises(UserError, match="cannot be downloaded"):
            archive.fetch(tmp_path)
        assert not list(tmp_path.iterdir())


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    for spoil in (lambda: path.write_bytes(b"mine"), path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("x")):
        spoil()
        before = os.lstat(path)
        with Served(["well"]) as archive, soon(spoil), pytest.raises(Damaged, match=r"file\.bin.* to fetch it anew"):
            archive.fetch(tmp_path)
        assert os.lstat(path).st_ino == before.st_ino
        path.rmdir() if path.is_dir() else path.unlink()


def test_several_fetch_at_once(tmp_path: Path) -> None:
    """Each to a place of its own; one's is kept."""
    with Served(["half", "half", "well"]) as archive:
        threads = [threading.Thread(target=archive.fetch, args=(tmp_path,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
        assert archive.fetch(tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
