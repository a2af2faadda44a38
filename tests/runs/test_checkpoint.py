"""Checkpoints: gone on with where code and conditions are the same, named and left where they are not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import Stopped
from benchmark.runs import checkpoint
from benchmark.runs.execute import Context, execute
from tests.conftest import tiny


def test_a_checkpoint_of_other_code_is_not_gone_on_with(context: Context) -> None:
    steps = iter([False] * 5 + [True])
    said: list[str] = []
    with pytest.raises(Stopped):
        execute(tiny(), replace(context, stop=lambda: next(steps)))
    folder = context.store.run_folder(tiny().id)
    state = checkpoint.load(folder, said.append)
    assert state
    checkpoint.save(folder, state | {"code": "other"})
    record = execute(tiny(), replace(context, say=said.append)).record
    assert "of other code; starting afresh" in said[0]
    assert record.outcome.epochs_trained == 2


def test_a_checkpoint_of_other_threads_is_not_gone_on_with(context: Context) -> None:
    steps, said = iter([False] * 5 + [True]), list[str]()
    with pytest.raises(Stopped):
        execute(tiny(), replace(context, stop=lambda: next(steps)))
    other = replace(context.environment, threads=2)
    saved = checkpoint.load(context.store.run_folder(tiny().id), said.append)
    assert saved
    record = execute(tiny(), replace(context, environment=other, say=said.append)).record
    assert "of other device, mode or threads; starting afresh" in said[0]
    assert "+" not in record.how.fingerprint
    spent = sum(json.loads(saved["progress"])["seconds"].values())
    assert spent > 0
    assert record.cost.lost * 3600 == pytest.approx(spent, abs=1e-3), "what was thrown away was work in vain"


def test_a_replicate_counts_its_own_attempts(context: Context) -> None:
    steps = iter([False] * 5 + [True])
    with pytest.raises(Stopped):
        execute(tiny(), replace(context, stop=lambda: next(steps)))
    assert execute(tiny(), context).record.how.attempts == 2
    assert execute(tiny(), context, force=True).record.how.attempts == 1


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "state",
    [{"of": "another version"}, [1, 2, 3], *({"progress": odd} for odd in (3, "no JSON", "[]", '{"seconds": 3}'))],
)
def test_a_whole_checkpoint_that_this_version_cannot_use_is_named_and_left(
    context: Context, state: dict[str, Any], force: bool
) -> None:
    said: list[str] = []
    folder = context.store.run_folder(tiny().id)
    checkpoint.save(folder, state)
    record = execute(tiny(), replace(context, say=said.append), force=force).record
    assert record.ending == "done"
    assert record.outcome.epochs_trained == 2
    assert (state != {"of": "another version"}) == any("not as this version writes them" in each for each in said)
    assert force or said


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    said: list[str] = []
    for number in range(3):
        checkpoint.save(tmp_path, {"n": number})
    files = sorted(tmp_path.glob("checkpoint-*"))
    assert len(files) == 2, "two are kept"
    files[-1].write_bytes(files[-1].read_bytes()[:-20])
    assert checkpoint.load(tmp_path, said.append) == {"n": 1}
    assert "damaged or truncated" in said[0]


def test_a_lack_of_memory_says_nothing_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the work in it would be thrown away."""

    def load(*args: Any, **options: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    checkpoint.save(tmp_path, {"progress": "{}"})
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(RuntimeError, match="allocate"):
        checkpoint.load(tmp_path, print)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    """weights_only: a pickle that would call something is refused."""
    import hashlib
    import io

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    buffer = io.BytesIO()
    torch.save({"x": Evil()}, buffer)
    payload = buffer.getvalue()
    head = checkpoint.MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    (tmp_path / "checkpoint-000001").write_bytes(head + payload)
    said: list[str] = []
    assert checkpoint.load(tmp_path, said.append) is None
    assert "not as this version writes them" in said[0]
    assert not (tmp_path / "touched").exists()
