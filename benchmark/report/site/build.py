"""One static site of a store: leaderboard, plots, a page for each row and each run, the ledger. It opens from disk.

index.html            the leaderboard and both trade-offs
compare.html          two rows of it, side by side
audit.html            networks that authors released, evaluated here
claims.html           what papers claim, and what the records say about it
rows/<name>.html      the seeds of one row: curves, schedules, stability, choices
runs/<record>.html    one run: everything in its record, and how to repeat it
data/<record>.js      its curves and journal, packed as they are in the store
data/rows.js          the rows' values, for the plots and the comparison
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmark.errors import UserError
from benchmark.evidence.claims import Finding
from benchmark.evidence.ledger import Entry, entries
from benchmark.records.flags import CONDITIONS
from benchmark.records.store import Store, Stored, pack_side
from benchmark.report import audit
from benchmark.report.audit import Settings
from benchmark.report.footnotes import Footnotes, in_html
from benchmark.report.site import libraries
from benchmark.report.site.facts import Line, lines_of, run_facts
from benchmark.report.table import Table

CONTENTS = ".site"  # the list of the site's files, so that the next build removes these and no others
MADE = re.compile(r"(rows|runs|data|figures)/[^/]+")


def build(
    tables: list[Table], found: list[Finding], store: Store, folder: Path, audited: Settings | None = None
) -> int:
    """Write the site. Returns the number of pages."""
    notes = Footnotes(in_html)
    claims = entries(found)
    lines = lines_of(tables, notes, claims)
    written: set[Path] = set()
    for name, text in _pages(lines, notes, claims, store, audited or {}):
        written.add(folder / name)
        _write(folder / name, text)
    pages = len(written)
    written.add(values := folder / "data" / "rows.js")
    _write(values, f"const rows = {_script([line.values() for line in lines])};\n")
    for stored in store.all():  # named by their content, so files that are there are right
        written.add(packed := folder / "data" / f"{stored.content}.js")
        if not packed.exists():
            _write(packed, _packed(stored, store))
    for name, text in _assets():
        _write(folder / "assets" / name, text)
    for old in _ours(folder) - written:
        old.unlink()  # of a run that is no longer in the store
    _write(folder / CONTENTS, "".join(f"{path.relative_to(folder).as_posix()}\n" for path in sorted(written)))
    return pages


def _ours(folder: Path) -> set[Path]:
    """The files of an earlier site. Other files in the folder are not ours."""
    if not (folder / CONTENTS).is_file():
        return set()
    names = (folder / CONTENTS).read_text().splitlines()
    there = {folder / name for name in names if MADE.fullmatch(name)}
    return {path for path in there if path.is_file()}


def ledger_page(found: list[Finding]) -> str:
    """Only the ledger, in one file."""
    style = files("benchmark.report.site").joinpath("assets/site.css").read_text(encoding="utf-8")
    return _templates().get_template("alone.html").render(claims=entries(found), style=style)


def _pages(
    lines: list[Line], notes: Footnotes, claims: list[Entry], store: Store, audited: Settings
) -> Iterator[tuple[str, str]]:
    templates = _templates()
    page = {
        name: templates.get_template(f"{name}.html") for name in ("index", "compare", "claims", "audit", "row", "run")
    }
    rows_of_run: dict[str, list[Line]] = {}
    for line in lines:
        for stored in line.row.records:
            rows_of_run.setdefault(stored.content, []).append(line)
    others = [stored for stored in store.all() if stored.content not in rows_of_run]
    yield (
        "index.html",
        page["index"].render(up="", lines=lines, notes=notes.texts(), others=others, filters=_filters(lines)),
    )
    yield "compare.html", page["compare"].render(up="", conditions=_script(CONDITIONS))
    networks = [each for settings in audited.values() for setting in settings for each in setting.networks]
    yield (
        "audit.html",
        page["audit"].render(
            up="", summary=audit.summary(audited), head=audit.HEAD, grid=audit.grid(audited),
            by_paper_head=audit.BY_PAPER, by_paper=audit.by_paper(audited), networks=networks,
            sources={id(n): s.source for settings in audited.values() for s in settings for n in s.networks}, id=id,
        ),
    )  # fmt: skip
    tested_first = sorted(claims, key=lambda claim: claim.state == "not tested")
    yield "claims.html", page["claims"].render(up="", claims=tested_first)
    for line in lines:
        yield line.page, page["row"].render(up="../", line=line)
    for stored in store.all():
        yield (
            f"runs/{stored.content}.html",
            page["run"].render(
                up="../",
                stored=stored,
                record=stored.record,
                groups=run_facts(stored),
                lines=rows_of_run.get(stored.content, []),
                store=store.root.as_posix(),
                kept=store.weights(stored.record.network.weights_hash).is_file(),
            ),
        )


def _templates() -> Environment:
    loader = PackageLoader("benchmark.report.site")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _filters(lines: Iterable[Line]) -> list[tuple[str, str, list[str]]]:
    """For each filter: the name of its column, its label, and the values to choose from."""
    found = {
        ("block", "Block"): [line.block for line in lines],
        ("data", "Data set"): [line.row.data for line in lines],
        ("model", "Model"): [line.row.model for line in lines],
        ("kind", "Removed"): [line.row.kind or "nothing" for line in lines],
        ("track", "Track"): [line.track for line in lines],
    }
    return [(name, label, sorted(set(values))) for (name, label), values in found.items()]


def _script(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _packed(stored: Stored, store: Store) -> str:
    """The side file as it is, in a script, because a page opened from disk can load only scripts."""
    packed = store.packed_side_or_none(stored) or pack_side({"curves": [], "journal": [], "bits": ""})[1]
    return f'(window.sides??={{}})["{stored.content}"]="{base64.b64encode(packed).decode()}";\n'


def _assets() -> Iterator[tuple[str, str]]:
    for path in files("benchmark.report.site").joinpath("assets").iterdir():
        yield path.name, path.read_text(encoding="utf-8")
    yield "datatables.js", libraries.datatables_js()
    yield "datatables.css", libraries.datatables_css()
    yield "plotly.js", libraries.plotly_js()


def _write(path: Path, text: str) -> None:
    _replace(path, text.encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a file. A link that is there is replaced, not followed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
