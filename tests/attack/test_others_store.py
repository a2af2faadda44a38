"""Somebody else's store: records, side files and pins whose hashes fit and whose content lies. `table`, `report`,
`check`, `claims`, `status` and `verify` read it or leave it out; none runs code of it or writes outside its output."""

import copy
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.commands.status import show_status
from benchmark.evidence.check import check
from benchmark.evidence.claims import judge
from benchmark.evidence.comparison import compare
from benchmark.evidence.pins import gather, read_pins, write
from benchmark.plan.suite import Planned, plan
from benchmark.plan.suite_file import Suite, read
from benchmark.records.store import Store, pack_side
from benchmark.report.footnotes import Footnotes, in_html
from benchmark.report.pictures import pictures_of
from benchmark.report.rendering import FORMATS, render
from benchmark.report.site.build import build
from benchmark.report.site.facts import lines_of, run_facts
from benchmark.report.table import tables_of
from benchmark.report.verdicts import as_json, as_junit, as_markdown
from benchmark.runs.execute import execute
from benchmark.runs.verify import verify
from benchmark.training.environment import Environment
from tests.attack.common import NASTY, cases, put_record, told
from tests.conftest import SUITE, make_context

pytestmark = pytest.mark.slow
ODD: tuple[Any, ...] = (
    *(None, -1, 0, 1, 1.5, 1e308, 5e-324, 10**30, 10**400, True, [], {}, [[]], {"a": []}, [None], "x"),
    *("../../x", "/etc/passwd", "9" * 400, "2026-01-01T00:00:00+00:00", "99999", *NASTY),
)
Theirs = tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, list[Planned]]:
    path = tmp_path_factory.mktemp("suite") / "mine.toml"
    methods = 'methods = ["one_shot", "finetune_one_shot"]\nremove = { macs = [0.4] }'
    text = SUITE.replace('methods = ["one_cycle", "one_shot"]\nremove = { weights = [0.9] }', methods)
    path.write_text(text.replace("validation = 100", "validation = 100\nepoch_images = 256"))
    found = read(str(path))
    return found, plan(found)


@pytest.fixture(scope="module")
def theirs(
    suite: tuple[Suite, list[Planned]], environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Theirs:
    """A true store of the suite, its records and their sides."""
    context = make_context(tmp_path_factory.mktemp("theirs"), environment)
    for p in suite[1]:
        for cell in (*p.parents, p.cell):
            if not context.store.of(cell.id):
                execute(cell, context)
    stored = [s for p in suite[1] for s in context.store.of(p.id)]
    wholes = [json.loads(s.path.read_text()) for s in stored]
    return context.store.root, wholes, [context.store.side(s) for s in stored]


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(leaf for key, each in inside for leaf in leaves(each, (*way, key)))]


def spoiled(chance: random.Random, whole: Any, ways: list[tuple[Any, ...]]) -> tuple[Any, str]:
    """One to three values of it replaced or removed."""
    whole, said = copy.deepcopy(whole), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        way = chance.choice(ways)
        here = whole
        try:
            for key in way[:-1]:
                here = here[key]
            if chance.random() < 0.1:
                del here[way[-1]]
            else:
                here[way[-1]] = chance.choice(ODD)
            said.append(f"{'.'.join(map(str, way))} = {here.get(way[-1], 'gone') if isinstance(here, dict) else here}")
        except (KeyError, IndexError, TypeError):
            continue
    return whole, "; ".join(said)


def everything(suite: tuple[Suite, list[Planned]], root: Path) -> str:
    """All that the reading verbs make of a store, but for pixels."""
    store = Store(root)
    tables = tables_of(*suite, store)
    text = "".join(render(tables, format) for format in FORMATS)
    pictures_of(tables, store)
    text += str([line.values() for line in lines_of(tables, Footnotes(in_html))]) + str(
        [run_facts(s) for s in store.all()]
    )
    report = check("mine", suite[1], gather(suite[1], store)[0], store, smoke=False)
    text += as_junit(report) + as_markdown(report, every=True) + json.dumps(as_json(report))
    list(compare(store, Store(root), suite[1]))
    judge([], store, unread=0)
    show_status("", "full", root, ())
    return text


def test_records_with_values_that_lie(suite: tuple[Suite, list[Planned]], theirs: Theirs, tmp_path: Path) -> None:
    _, wholes, sides = theirs
    ways = [way for way in leaves(wholes[-1]) if way and way[0] not in ("cell", "id", "format", "side")]
    for number, chance in cases("records", 120, 1500):
        root = tmp_path / str(number)
        which = chance.randrange(len(wholes))
        bad, said = spoiled(chance, wholes[which], ways)
        for place, (whole, side) in enumerate(zip(wholes, sides, strict=True)):
            try:
                put_record(root, bad if place == which else whole, pack_side(side)[1])
            except (ValueError, UnicodeEncodeError):  # a number that is none, a lone surrogate
                continue
        with told((number, said[:300])):
            everything(suite, root)


def test_sides_with_values_that_lie(
    suite: tuple[Suite, list[Planned]], theirs: Theirs, tmp_path: Path, environment: Environment
) -> None:
    root, wholes, sides = theirs
    for number, chance in cases("sides", 80, 800):
        mine = tmp_path / str(number)
        which = chance.randrange(len(wholes))
        bad, said = spoiled(chance, sides[which], leaves(sides[which])[1:])
        for place, (whole, side) in enumerate(zip(wholes, sides, strict=True)):
            put_record(mine, whole, pack_side(bad if place == which else side)[1])
        with told((number, said[:300])):
            everything(suite, mine)
        with told((number, "verify", said[:300])):
            (mine / "weights").symlink_to(root / "weights")
            store = Store(mine)
            (stored,) = store.of(wholes[which]["id"])
            verify(stored, store, environment, tmp_path)


def test_sides_that_are_bytes(suite: tuple[Suite, list[Planned]], theirs: Theirs, tmp_path: Path) -> None:
    import gzip

    deep = gzip.compress(b'{"curves": ' + b"[" * 200_000 + b"]" * 200_000 + b', "journal": [], "bits": ""}')
    contents = {
        "bomb": _bomb(), "deep": deep, "empty": b"", "list": gzip.compress(b"[]"), "nan": gzip.compress(b"NaN"),
        "not text": gzip.compress(b"\xff"), "not gzip": b"x" * 100, "half": pack_side(theirs[2][0])[1][:-9],
    }  # fmt: skip
    for name, content in contents.items():
        root = tmp_path / name
        for whole in theirs[1]:
            put_record(root, whole, content)
        with told(name):
            everything(suite, root)


def _bomb() -> bytes:
    """A GiB of spaces in one MB."""
    import gzip
    import zlib

    head = gzip.compress(b"", mtime=0)[:10]
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk = b" " * (1 << 24)
    body = b"".join(pack.compress(chunk) for _ in range(64)) + pack.flush()
    return head + body + bytes(8)


def test_pins_with_values_that_lie(suite: tuple[Suite, list[Planned]], theirs: Theirs, tmp_path: Path) -> None:
    store = Store(theirs[0])
    good = tmp_path / "good.csv"
    write(gather(suite[1], store)[0], good)
    lines = good.read_text().splitlines()
    for number, chance in cases("pins", 300, 3000):
        table = [line.split(",") for line in lines]
        row, column = chance.randrange(len(table)), chance.randrange(len(table[0]))
        match chance.randrange(5):
            case 0:
                table[row][column] = '"' * chance.randrange(2) + str(chance.choice(ODD))[:200]
            case 1:
                del table[row][column]
            case 2:
                table[row].append("more")
            case 3:
                table.append(table[row])
            case _:
                table[row][column] = chance.choice(
                    ("0", "-1", "1e308", "nan", "inf", "9" * 5000, "x" * 200_000, "\x00")
                )
        path = tmp_path / "mine.csv"
        path.write_text("\n".join(",".join(each) for each in table) + "\n", newline="")
        with told((number, row, column, str(table[min(row, len(table) - 1)])[:300])):
            pins = read_pins(path)
            for smoke in (True, False):
                report = check("quick", suite[1], pins, store, smoke=smoke)
                as_junit(report), as_markdown(report, every=True), json.dumps(as_json(report), allow_nan=False)


def code_that_tells(marker: Path) -> str:
    return f"import pathlib; pathlib.Path({str(marker)!r}).write_text('ran')\n"


def test_no_code_of_a_store_is_run_and_nothing_outside_is_written(theirs: Theirs, tmp_path: Path) -> None:
    """A store full of Python files, run folders of pickles and links that lead outside."""
    import pickle

    root, marker, precious = tmp_path / "theirs", tmp_path / "marker", tmp_path / "precious"
    subprocess.run(["cp", "-r", str(theirs[0]), str(root)], check=True)
    precious.mkdir()
    (precious / "keep").write_text("mine")
    for name in ("sitecustomize.py", "torch.py", "benchmark.py", "methods/one_shot.py", "conftest.py", "json.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(code_that_tells(marker))
    evil = pickle.dumps(_Evil(marker))
    for path in (root / "weights").glob("*.safetensors"):
        path.write_bytes(evil)
        break
    for folder in (root / "runs").glob("*"):
        (folder / "checkpoint-000009").write_bytes(evil)
        (folder / "spec.json").write_bytes(evil)
    (root / "tables").symlink_to(precious)
    out = tmp_path / "site"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for command in (
        *(["status", "--out", root], ["claims", "--out", root], ["check", "quick", "--out", root]),
        *(["report", "--out", root, "--to", out], ["table", "quick", "--format", "md", "--out", root]),
        *(["verify", s.content, "--out", root, "--data", tmp_path / "d"] for s in list(Store(root).all())[:2]),
    ):
        done = _typed(*command, cwd=root)
        assert "Traceback" not in done.stdout + done.stderr, (command, done.stderr)
    assert not marker.exists(), "it ran"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert [path.name for path in precious.iterdir()] == ["keep"]


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.marker,)


def _typed(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    from tests.runs.forked import prunebench

    return prunebench(*words, cwd=cwd)


def test_a_site_never_deletes_or_overwrites_what_is_not_its_own(
    suite: tuple[Suite, list[Planned]], theirs: Theirs, tmp_path: Path
) -> None:
    """`--to` a folder that is already used, and a link where a page should be."""
    store = Store(theirs[0])
    tables = tables_of(*suite, store)
    mine = [tmp_path / "site" / name for name in ("runs/thesis.txt", "data/cifar.tar.gz", "figures/me.jpg", "rows/a/b")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "site" / "index.html").symlink_to(outside)
    with told("site"):
        build(tables, [], store, tmp_path / "site")
    assert all(path.read_text() == "mine" for path in mine)
    assert outside.read_text() == "mine"
