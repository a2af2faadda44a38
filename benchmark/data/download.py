"""Downloads a file: continues where it stopped, and gives up when nothing arrives. The caller checks that it is the
right file."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

CHUNK = 1 << 16
SILENCE = 10  # seconds until a silent server is asked again
PATIENCE, SLOWEST = 25, 1024  # seconds, and bytes per second: less than that is no progress
LARGEST = 2**30  # bytes; every archive that is asked for is below a fifth of it
BROKEN = (OSError, http.client.HTTPException, ValueError)  # what urllib raises for servers that break or lie


class TooMuch(OSError):
    """An error for which asking again does not help."""


def download(url: str, to: Path, tries: int) -> None:
    """Runs in a thread that is abandoned when it hangs. There is no other timeout for headers that drip."""
    fetch = _Fetch(url, to, tries)
    fetch.start()
    seen, since = 0, time.monotonic()
    while fetch.is_alive():
        fetch.join(0.2)
        now = time.monotonic()
        if fetch.got - seen >= PATIENCE * SLOWEST:
            seen, since = fetch.got, now
        elif now - since > PATIENCE and fetch.is_alive():
            fetch.left = True
            raise OSError(f"next to nothing came for {PATIENCE} s") from fetch.error
    if fetch.error:
        raise fetch.error


class _Fetch(threading.Thread):
    def __init__(self, url: str, to: Path, tries: int) -> None:
        super().__init__(daemon=True)
        self.url, self.to, self.tries = url, to, tries
        self.got = 0  # bytes, of all tries
        self.left = False  # whether the caller has stopped waiting
        self.error: Exception | None = None

    def run(self) -> None:
        for wait in range(self.tries):
            if wait:
                time.sleep(2 ** (wait - 1) * 0.5)
            try:
                self._append_rest()
                self.error = None
                return
            except Exception as error:  # raised again in the thread that waits
                self.error = error
            if self.left or isinstance(self.error, TooMuch):
                return

    def _append_rest(self) -> None:
        """Ask for what is missing. If the server sends everything, the file starts again."""
        have = self.to.stat().st_size if self.to.exists() else 0
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            answer = urllib.request.urlopen(request, timeout=SILENCE)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and have:  # nothing is missing
                return
            raise
        with answer:
            begins = answer.headers.get("Content-Range", f"bytes {have}-")
            if answer.status == 206 and not begins.startswith(f"bytes {have}-"):
                self.to.unlink(missing_ok=True)
                raise OSError(f"asked for the bytes from {have} on, got {begins}")
            if self.left:
                return
            with self.to.open("ab" if answer.status == 206 else "wb") as file:
                expected = answer.headers.get("Content-Length")
                got = 0
                while not self.left and (chunk := answer.read1(CHUNK)):
                    file.write(chunk)
                    got += len(chunk)
                    self.got += len(chunk)
                    if file.tell() > LARGEST:
                        raise TooMuch(f"more than {LARGEST} bytes came")
        if expected is not None and got != int(expected):
            raise OSError(f"the connection broke after {got} of {expected} bytes")
