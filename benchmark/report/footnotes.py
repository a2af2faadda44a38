"""The letters beside flagged numbers, and what they mean."""

from collections.abc import Callable, Iterable

from benchmark.records.flags import Flag

RAISED = dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))  # Unicode raises no q


class Footnotes:
    """The letters of one table. A flag keeps its letter in the whole table. The first flag is a."""

    def __init__(self, raise_: Callable[[list[str]], str]) -> None:
        self.raise_ = raise_
        self.letters: dict[tuple[str, str], str] = {}

    def letter(self, flag: Flag) -> str:
        number = len(self.letters)
        doubled = list(RAISED)[number % len(RAISED)] * (1 + number // len(RAISED))  # after z comes aa
        return self.letters.setdefault((flag.name, flag.text), doubled)

    def mark(self, flags: Iterable[Flag]) -> str:
        """The letters beside a number; empty without flags."""
        letters = sorted({self.letter(flag) for flag in flags}, key=lambda letter: (len(letter), letter))
        return self.raise_(letters) if letters else ""

    def texts(self) -> list[tuple[str, str]]:
        """Letter and text of every flag so far."""
        return [(letter, text) for (_, text), letter in self.letters.items()]


def in_markdown(letters: list[str]) -> str:
    return "".join(RAISED[character] for letter in letters for character in letter)


def in_html(letters: list[str]) -> str:
    return ",".join(letters)  # the page prints them raised


def in_latex(letters: list[str]) -> str:
    return rf"\textsuperscript{{{','.join(letters)}}}"
