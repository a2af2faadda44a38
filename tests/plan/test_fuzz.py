"""Whatever lies in a file: one clear line, or the right thing. Never a traceback, never a wrong acceptance."""

import hashlib
import io
import json
import random
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.plan.discovery import ROOT
from benchmark.plan.suite import plan
from benchmark.plan.suite_file import read
from benchmark.records.store import Store
from benchmark.runs import checkpoint
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from tests.conftest import SUITE, make_context, tiny

many = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SUITES = [SUITE, *(path.read_text() for path in sorted((ROOT / "benchmark" / "suites").glob("*.toml")))]
VALUES = [
    "1",
    "0",
    "-1",
    "1e400",
    "nan",
    '""',
    '"x"',
    "[]",
    "{}",
    "true",
    "1979-05-27",
    '"0-999999999"',
    '"5-1"',
    "[[1]]",
]


def accepted(path: Path, text: str) -> bool:
    """Read and planned, or refused in words; anything else is an error of ours."""
    path.write_text(text, encoding="utf-8")
    try:
        suite = read(str(path))
        plan(suite)
    except UserError:
        return False
    return True


@many
@given(seed=st.integers(0, 2**32), which=st.integers(0, len(SUITES) - 1), count=st.integers(1, 4))
def test_a_suite_with_letters_changed(tmp_path: Path, seed: int, which: int, count: int) -> None:
    chance, text = random.Random(seed), list(SUITES[which])
    for _ in range(count):
        place = chance.randrange(len(text))
        match chance.randrange(3):
            case 0:
                text[place] = chance.choice('[]{}="\n,.-0123456789abcxé\x00')
            case 1:
                text.insert(place, chance.choice('[]{}="\n,.-0123456789abcxé'))
            case _:
                del text[place]
    accepted(tmp_path / "mine.toml", "".join(text))


@many
@given(seed=st.integers(0, 2**32), which=st.integers(0, len(SUITES) - 1))
def test_a_suite_with_a_value_changed(tmp_path: Path, seed: int, which: int) -> None:
    chance, lines = random.Random(seed), SUITES[which].splitlines()
    places = [i for i, line in enumerate(lines) if " = " in line and line.count("[") == line.count("]")]
    place = chance.choice(places)
    lines[place] = f"{lines[place].partition(' = ')[0]} = {chance.choice(VALUES)}"
    accepted(tmp_path / "mine.toml", "\n".join(lines))


@many
@given(name=st.from_regex(r"[a-z_]{3,12}", fullmatch=True), seed=st.integers(0, 2**32))
@example(name="epoch", seed=0)
def test_a_key_that_nothing_reads_is_never_accepted(tmp_path: Path, name: str, seed: int) -> None:
    lines = SUITE.splitlines()
    place = random.Random(seed).choice([i for i, line in enumerate(lines) if " = " in line])
    lines.insert(place, f"{name} = 1")
    text = "\n".join(lines)
    try:
        there = set(_keys(tomllib.loads(text)))
    except tomllib.TOMLDecodeError:
        there = set()
    known = {"about", "data", "seeds", "threads", "epochs", "batch", "size", "epoch_images", "test_every", "validation"}
    if name in known or name not in there or name in _recipe_fields():
        return
    assert not accepted(tmp_path / "mine.toml", text)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [key for k, v in value.items() for key in [k, *_keys(v)]]
    return [key for each in value for key in _keys(each)] if isinstance(value, list) else []


def _recipe_fields() -> set[str]:
    from benchmark.plan.cell import Recipe

    return set(Recipe.model_fields)


# ---- records -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> tuple[str, bytes]:
    """The id and the bytes of a true record."""
    found = execute(tiny("one_cycle"), make_context(tmp_path_factory.mktemp("true"), environment))
    return found.record.id, found.path.read_bytes()


def taken(folder: Path, id: str, content: bytes) -> int:
    """How many records a store sees in it, under the right name."""
    place = folder / "records" / id
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    path.write_bytes(content)
    try:
        return len(list(Store(folder).all()))
    finally:
        path.unlink()


@many
@given(seed=st.integers(0, 2**32))
def test_a_record_with_bytes_changed(tmp_path: Path, stored: tuple[str, bytes], seed: int) -> None:
    """Under a name that fits: read as what it says, or left out; what it asked for is never another cell."""
    chance, content = random.Random(seed), bytearray(stored[1])
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(content))
        content[place : place + chance.randint(0, 3)] = bytes(
            chance.randrange(256) for _ in range(chance.randint(0, 3))
        )
    taken(tmp_path, stored[0], bytes(content))


@many
@given(seed=st.integers(0, 2**32), value=st.sampled_from([None, -1, 0, 1.5, 1e308, "", "x", [], {}, True]))
def test_a_record_with_a_value_changed(tmp_path: Path, stored: tuple[str, bytes], seed: int, value: Any) -> None:
    chance, whole = random.Random(seed), json.loads(stored[1])
    here, path = whole, []
    while isinstance(here, dict) and here:
        key = chance.choice(sorted(here))
        path.append(key)
        here, inside = here[key], here
    changed = inside[path[-1]] != value or isinstance(inside[path[-1]], bool) != isinstance(value, bool)
    inside[path[-1]] = value
    count = taken(tmp_path, stored[0], json.dumps(whole).encode())
    if changed and path[0] in ("cell", "id", "format"):
        assert count == 0, f"{'.'.join(path)} = {value!r} was believed"
    if value == -1 and path[0] in ("outcome", "network", "cost"):
        assert count == 0, f"{'.'.join(path)} = {value!r}: no count, no accuracy and no time is negative"


def test_any_byte_changed_under_the_old_name_is_found_out(tmp_path: Path, stored: tuple[str, bytes]) -> None:
    id, content = stored
    path = tmp_path / "records" / id / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True)
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert list(Store(tmp_path).all()) == []


# ---- checkpoints ---------------------------------------------------------------------------------


@settings(many, max_examples=300)
@given(seed=st.integers(0, 2**32), bits=st.integers(0, 20))
def test_a_checkpoint_with_a_right_checksum_over_anything_at_all_is_read_or_passed_over(seed: int, bits: int) -> None:
    chance, buffer = random.Random(seed), io.BytesIO()
    torch.save({"step": 1, "progress": "{}", "trainer": {"at": torch.zeros(3)}}, buffer)
    payload = bytearray(buffer.getvalue())
    for _ in range(bits):
        payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
    if bits and chance.random() < 0.2:
        payload = bytearray(chance.randbytes(chance.randrange(300)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pickle's protocol that nobody has written
        found = checkpoint.opened(bytes(payload))
    assert isinstance(found, dict) or (bits and found is None)


@settings(many, max_examples=300)  # each is two files synced to the disk
@given(seed=st.integers(0, 2**32))
def test_a_checkpoint_that_is_not_whole_is_passed_over(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    checkpoint.discard(folder)
    checkpoint.save(folder, {"step": 1})
    checkpoint.save(folder, {"step": 2})
    newest = max(folder.glob("checkpoint-*"))
    chance, content = random.Random(seed), bytearray(newest.read_bytes())
    match chance.randrange(3):
        case 0:
            del content[chance.randrange(len(content)) :]
        case 1:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        case _:
            content[chance.randrange(100) : chance.randrange(100, 200)] = b""
    newest.write_bytes(bytes(content))
    said: list[str] = []
    assert checkpoint.load(folder, said.append) == {"step": 1}
    assert "damaged or truncated" in said[0]
