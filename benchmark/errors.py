"""Errors that the user can mend: one line that says what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from unicodedata import category

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (of direction too), lone surrogates, line breaks


def visible(text: str) -> str:
    """The text in one line, with line breaks, control and direction marks escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if category(c) in HIDDEN else c for c in text)


class UserError(Exception):
    """Printed as one line; a traceback only with --debug."""

    exit_code = 2

    def __str__(self) -> str:
        return visible(super().__str__())


class UnknownName(UserError):
    """A name that nothing here has, with the nearest known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: object = "") -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"{where}unknown {kind} {name!r}; {hint}")


class OutOfMemory(UserError):
    """The device has no room for a run. Nothing is made smaller silently: that would be another run."""


class Stopped(Exception):
    """Asked to stop; the checkpoint is written."""


class NoData(UserError):
    """A data set that is not where it should be. Every cell that uses it would fail alike."""


class Damaged(UserError):
    """A file that does not match its checksum. It is named and left where it is."""
