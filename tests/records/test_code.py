"""What makes a record stale: a change of what a line of code does, and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.errors import UserError
from benchmark.records import code as module
from benchmark.records.code import Code

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
    assert {"runs/run.py", "training/training.py", "training/loader.py", "pruning/cuts.py", "data/files.py"} <= found


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


def test_an_installation_inside_another_repository_takes_no_commit_of_it(tmp_path: Path) -> None:
    """The package's version is recorded always, a commit only where the checkout is this project's own."""
    home, other = tmp_path / "own", tmp_path / "other"
    for root in (home, other / "env" / "packages"):
        for part in ("benchmark", "methods"):
            shutil.copytree(module.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for repository in (home, other):
        for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -q -m a"):
            subprocess.run(["git", "-C", str(repository), *command.split()], check=True)
    ask = "from benchmark.records.code import _code_of; c = _code_of('dense', 'resnet_tiny', 'digits', ()); "
    ask += "print(c.version, len(c.commit))"
    for root, commit in ((home, 40), (other / "env" / "packages", 0)):
        said = subprocess.run([sys.executable, "-P", "-c", ask], env={"PYTHONPATH": str(root)}, capture_output=True)
        assert said.stdout.decode().split() == [benchmark.__version__, str(commit)], said.stderr.decode()
