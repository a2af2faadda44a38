"""A file over the network: goes on where it broke off, and gives up when nothing comes. Whether it is the right file
is for others to say."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

CHUNK = 1 << 16
SILENCE = 10  # seconds until a server that says nothing is asked anew
PATIENCE, SLOWEST = 25, 1024  # seconds, and bytes a second: less than that is no progress
LARGEST = 2**30  # bytes; no archive that is asked for is a fifth of it
BROKEN = (OSError, http.client.HTTPException, ValueError)  # what urllib says of servers that break or lie


class TooMuch(OSError):
    """Asking again would not help."""


def download(url: str, to: Path, tries: int) -> None:
    """In a thread that is left behind when it hangs: headers that drip cannot be timed out otherwise."""
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
        self.left = False  # nobody waits any more
        self.error: Exception | None = None

    def run(self) -> None:
        for wait in range(self.tries):
            if wait:
                time.sleep(2 ** (wait - 1) * 0.5)
            try:
                self._append_rest()
                self.error = None
                return
            except Exception as error:  # raised again where it is waited for
                self.error = error
            if self.left or isinstance(self.error, TooMuch):
                return

    def _append_rest(self) -> None:
        """Ask for what is missing; a server that sends everything again starts the file again."""
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
