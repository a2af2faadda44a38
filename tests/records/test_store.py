"""Records and files: whole or not at all, named by their bytes, damage named and never used."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from benchmark.errors import Damaged, UserError
from benchmark.records.store import Store, Stored, pack_side, write_safely
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from benchmark.training.weights import write_weights
from tests.conftest import make_context, tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> tuple[Store, Stored]:
    context = make_context(tmp_path_factory.mktemp("store"), environment)
    return context.store, execute(tiny("one_shot"), context)


@pytest.fixture
def copy(made: tuple[Store, Stored], tmp_path: Path) -> tuple[Store, Path]:
    """A store of its own with that record, to be damaged."""
    subprocess.run(["cp", "-r", str(made[0].root), str(tmp_path / "copy")], check=True)
    return Store(tmp_path / "copy"), tmp_path / "copy" / made[1].path.relative_to(made[0].root)


def test_what_is_read_is_what_was_written(made: tuple[Store, Stored]) -> None:
    store, stored = made
    (again,) = store.of(stored.record.id)
    assert again == stored
    assert list(store.all()) == [stored]
    assert set(store.side(stored)) == {"curves", "journal", "bits"}


def test_an_edited_record_is_named_and_not_used(copy: tuple[Store, Path], capsys: pytest.CaptureFixture[str]) -> None:
    store, path = copy
    path.write_text(path.read_text().replace('"top1": ', '"top1": 9'))
    assert list(store.all()) == []
    assert path.exists(), "left where it lies"
    assert "its bytes are not those it is named after" in capsys.readouterr().err
    assert store.of(path.parent.name) == []
    assert not capsys.readouterr().err, "said once"


@pytest.mark.parametrize("content", ["", "{}", "null", '{"format": 99}', "garbage", '{"format": 1, "id": "x"}'])
def test_garbage_under_a_right_name_is_no_record(
    copy: tuple[Store, Path], content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    store, path = copy
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    (path.parent / f"{name}.json").write_text(content)
    assert [stored.path for stored in store.all()] == [path]
    assert name in capsys.readouterr().err


def test_a_record_under_another_id_is_refused(copy: tuple[Store, Path], capsys: pytest.CaptureFixture[str]) -> None:
    store, path = copy
    path.parent.rename(path.parent.with_name("0" * 16))
    assert list(store.all()) == []
    assert "its id is not that of the cell" in capsys.readouterr().err


def test_a_record_of_another_protocol_is_named_and_not_averaged(
    made: tuple[Store, Stored], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = made[1].record.cell.model_copy(update={"protocol": 2})
    Store(tmp_path).add(made[1].record.model_copy(update={"id": cell.id, "cell": cell}), b"side")
    assert list(Store(tmp_path).all()) == []
    assert "made under protocol 2, this version's is 1" in capsys.readouterr().err


def test_a_damaged_side_file_is_named(copy: tuple[Store, Path]) -> None:
    store, _ = copy
    (stored,) = store.all()
    side = stored.path.parent / f"{stored.record.side}.side.gz"
    side.write_bytes(side.read_bytes()[:-4])
    with pytest.raises(Damaged, match=side.name):
        store.side(stored)
    side.unlink()
    with pytest.raises(Damaged, match="missing"):
        store.side(stored)


def test_equal_content_gives_equal_bytes() -> None:
    assert pack_side({"b": 1, "a": [2.5]}) == pack_side({"a": [2.5], "b": 1})


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "precious"
    write_safely(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_safely(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("what", ["record", "checkpoint"])
def test_a_really_full_disk_while_a_cell_runs(
    what: str, tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small tmpfs: the error is one line, earlier files are intact, and room lets it go on."""
    disk = tmp_path / "small"
    disk.mkdir()
    size = {"record": "1m", "checkpoint": "100k"}[what]
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=False)
    if mount.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        every = 0.0 if what == "checkpoint" else 1e9
        context = make_context(tmp_path, environment, save_every=every)
        context = type(context)(**{**vars(context), "store": Store(disk)})
        filler = disk / "filler"

        def fill_up(network: torch.nn.Module, path: Path) -> None:
            write_weights(network, path)
            filler.write_bytes(b"x" * (shutil.disk_usage(disk).free - 1000))

        if what == "record":  # the weights are there; the record's own files find no room
            monkeypatch.setattr("benchmark.runs.execute.write_weights", fill_up)
        else:
            filler.write_bytes(b"x" * 60_000)
        with pytest.raises(UserError, match="No space left") as error:
            execute(tiny(), context)
        assert ("records" in str(error.value)) == (what == "record")
        assert not list(Store(disk).all())
        monkeypatch.undo()
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert execute(tiny(), context).record.ending == "done"
        assert len(list(Store(disk).all())) == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_killed_writer_leaves_no_record(made: tuple[Store, Stored], tmp_path: Path) -> None:
    """A temporary file of a writer that died is not read as a record."""
    folder = tmp_path / "records" / made[1].record.id
    folder.mkdir(parents=True)
    (folder / ".abc.json.99.tmp").write_bytes(made[1].path.read_bytes()[:500])
    assert list(Store(tmp_path).all()) == []
