"""Suites, --set and --only: read as they say, or refused in a line with the place. Never a traceback, never a hang."""

import random
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from tests.attack.common import NASTY, cases, soon, told
from tests.conftest import SUITE

pytestmark = pytest.mark.slow
TEXTS = [SUITE, *(path.read_text() for path in sorted((ROOT / "benchmark" / "suites").glob("*.toml")))]
KEYS = (
    *("seeds", "about", "data", "threads", "table.0.seeds", "table.0.name", "table.0.remove.weights", "table.0.gpus"),
    *("recipe.matched.epochs", "recipe.matched.lr", "recipe.matched.lr.warm", "recipe.matched.sgd.lr", "table.²"),
    *("table.0.models.resnet_tiny", "table.0.methods", "table.-1.seeds", "table.99.seeds", "table.x", "about.x.y"),
    *("recipe.other.like", "recipe.matched.like", "", ".", "..", "a.b.c.d", "table", "recipe", "small", "slurm.time"),
    *("recipe.matched.size", "recipe.matched.epoch_images", "small.models.resnet_tiny", "table.0.", ".table"),
)
VALUES = (
    *("", "1", "0", "-1", "1e400", "-0.0", "nan", "inf", "9" * 30, "9" * 5000, "²", "0x10", "1_0", '"0-3"', '"3-0"'),
    *('"900000000-0,0-900000000"', '"0-99999999"', '"5-1,0-3"', '"--"', '"²"', '"1,1"', "[0, 0]", "[-1]", "[1e3]"),
    *("true", "[]", "{}", "[[]]", "[" * 3000, "[" * 3000 + "]" * 3000, "{a={a={a=1}}}", "1979-05-27", '"matched"'),
    *('"folder:../x"', '"folder:/etc"', '"folder:"', '"folder:a\\u0000b"', '"none"', "1\nseeds = 2", "[0.5, 0.5]", "["),
    *('["dense"]', '["dense", "dense"]', '[{ name = "agp", variant = [] }]', '[{ name = [] }]', '[{}]', '[1]'),
    *('[{ name = "agp", as = "=1" }]', '[{ name = "agp", start = {} }]', '[{ name = "laasp", of = "agp" }]'),
    *('[{ name = "scratch_epochs", of = "scratch_epochs" }]', '[{ name = "scratch_epochs", of = [] }]'),
    *('[{ name = "prune_at_init", by = "l1" }, { name = "prune_at_init", by = 1 }]',),
)  # fmt: skip


def planned(path: Path, sets: tuple[str, ...] = (), only: str = "", tier: str = "full") -> None:
    plan(read(str(path), sets), tier, only)


def test_set_with_anything(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for number, chance in cases("--set", 400, 4000):
        path.write_text(TEXTS[0] if chance.random() < 0.7 else chance.choice(TEXTS))
        key = chance.choice(KEYS) if chance.random() < 0.9 else chance.choice(NASTY)
        sets = (f"{key}={chance.choice(VALUES) if chance.random() < 0.9 else chance.choice(NASTY)}",)
        with told((number, key, sets[0][:80])):
            planned(path, sets)


def test_only_with_anything(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    for number, chance in cases("--only", 200, 2000):
        parts = []
        for _ in range(chance.randint(1, 3)):
            key = chance.choice(("seed", "method", "model", "table", "amount", "data", *NASTY))
            value = chance.choice((*VALUES, "0", "0-1", "agp", "one_cycle", "0.9", "first", "900000000-0,0-900000000"))
            parts.append(chance.choice((f"{key}={value}", f"{key}={value}+{value}", key, f"{key}==", value)))
        with told((number, parts)):
            planned(path, only=",".join(parts), tier=chance.choice(("full", "small", "")))


def test_suites_cut_and_glued(tmp_path: Path) -> None:
    """Lines of all suites mixed, and bytes that are no text."""
    path = tmp_path / "mine.toml"
    for number, chance in cases("suites", 150, 1500):
        path.write_bytes(_mixed(chance))
        with told(number):
            planned(path)


def _mixed(chance: random.Random) -> bytes:
    lines = chance.choice(TEXTS).splitlines()
    others = chance.choice(TEXTS).splitlines()
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines[place] = chance.choice(others)
            case 1:
                lines.insert(place, chance.choice(others))
            case 2 if " = " in lines[place]:
                lines[place] = f"{lines[place].partition(' = ')[0]} = {chance.choice(VALUES)}"
            case _:
                del lines[place:]
                lines.append("")
    text = "\n".join(lines).encode()
    return text if chance.random() < 0.9 else text[: chance.randrange(len(text) + 1)] + chance.randbytes(3)


@pytest.mark.parametrize("deep", ["[" * 100_000, "{a=" * 100_000, "[[a]]\n" * 20_000, "a." * 50_000 + "b"])
def test_a_suite_that_nests_without_end(deep: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"about = {deep}" if deep[0] == "[" else deep)
    with told(deep[:9]) as said:
        planned(path)
    assert said


def test_seeds_are_counted_one_range_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for seeds in ("900000000-0,0-900000000", "0-900000000,900000000-0", "0-99999,100000-199999"):
        path.write_text(SUITE.replace('"0-1"', f'"{seeds}"'))
        with soon(seeds), pytest.raises(UserError, match="seeds"):
            planned(path)


def test_what_set_is_given_is_one_value(tmp_path: Path) -> None:
    """`--set` with a line break in it set two keys, and dropped the second without a word."""
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    with pytest.raises(UserError):
        planned(path, ("recipe.matched.epochs=1\nbatch = 2",))
