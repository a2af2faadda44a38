"""What makes a record stale: a change of what a line of code does, and nothing else."""

from pathlib import Path

import pytest

from benchmark import code as module
from benchmark.code import Code
from benchmark.errors import UserError

TEXT = '''"""What it is for."""


def double(x: int) -> int:
    """Twice."""
    return 2 * x  # not three times
'''


def hashed(folder: Path, text: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / "part.py"
    path.write_text(text)
    module._hash.cache_clear()
    return module._hash((path,))


def test_comments_docstrings_and_layout_change_nothing_and_a_line_does(tmp_path: Path) -> None:
    was = hashed(tmp_path, TEXT)
    assert hashed(tmp_path, TEXT.replace("not three times", "not four")) == was
    assert hashed(tmp_path, TEXT.replace("Twice.", "Two times.").replace("What it is for.", "Other words.")) == was
    assert hashed(tmp_path, TEXT.replace("2 * x", "(2 * x)").replace("\n\n\n", "\n")) == was
    assert hashed(tmp_path, TEXT.replace("2 * x", "3 * x")) != was
    assert hashed(tmp_path, TEXT.replace("x: int", "x: float")) != was


def test_every_part_that_trains_counts_to_the_engine() -> None:
    """Each pattern finds a file: one that is renamed does not fall out of the hash unseen."""
    found = {path.relative_to(module.HERE).as_posix() for p in module.ENGINE for path in module.HERE.glob(p)}
    assert all(list(module.HERE.glob(pattern)) for pattern in module.ENGINE)
    assert {"run.py", "engine/training.py", "engine/loader.py", "network/cuts.py", "data/files.py"} <= found


def test_a_list_of_equal_code_that_leads_in_a_circle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_equal", lambda: {"x": "y", "y": "x"})
    with pytest.raises(UserError, match="older than itself"):
        module._oldest("x")


def test_code_shown_to_be_equal_is_the_same_through_any_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_equal", lambda: {"c": "b", "b": "a"})
    oldest, newest, other = (Code(engine=each, method="m", model="n", data="d") for each in ("a", "c", "x"))
    assert newest.same(oldest)
    assert not other.same(oldest)
    assert not Code(engine="c", method="other", model="n", data="d").same(oldest)
