"""The line of a key in a TOML file. tomllib keeps no positions, and errors need one."""

import re

HEADER = re.compile(r"\s*\[(\[?)\s*([^\]]+?)\s*\]")


def line_of(text: str, at: tuple[str | int, ...]) -> int:
    """The line of the deepest part of `at` that can be found, from 1."""
    best, best_depth = 1, 0
    section: tuple[str | int, ...] = ()
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            name = header[2].replace('"', "")
            section = tuple(name.split("."))
            if header[1]:
                section = (*section, seen.setdefault(name, 0))
                seen[name] += 1
            here = section
        elif key := re.match(r"\s*[\"']?([\w:.-]+)[\"']?\s*=", line):
            here = (*section, *key[1].split("."))
        else:
            continue
        depth = len(here)
        if depth > best_depth and at[:depth] == here:
            best, best_depth = number, depth
    return best
