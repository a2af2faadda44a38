"""The promise of the suite, on the whole of `quick`: two folders, two processes, equal bits."""

import json
from pathlib import Path

import pytest

from tests.forked import prunebench


def hashes(folder: Path) -> dict[str, str]:
    records = [json.loads(path.read_text()) for path in (folder / "results" / "records").rglob("*.json")]
    return {record["id"]: record["network"]["weights_hash"] for record in records}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_cell_of_quick_comes_out_the_same_twice(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        done = prunebench("run", "quick", cwd=tmp_path / name)
        assert done.returncode == 0, done.stdout
    first, second = hashes(tmp_path / "a"), hashes(tmp_path / "b")
    assert len(first) == 106
    assert first == second
