"""What a method can do, and what the journal makes of it."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.errors import Stopped, UserError
from benchmark.plan import discovery
from benchmark.records.store import Stored
from benchmark.runs.execute import Context, execute
from benchmark.runs.run import Run
from benchmark.runs.verify import verify
from tests.conftest import finish, make_context, recipe, tiny

LAB = (Path(__file__).parents[1] / "lab",)


def with_method(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    """Let `dense` be another function."""
    load = discovery.load
    monkeypatch.setattr(discovery, "load", lambda found: body if found.name == "dense" else load(found))


def test_a_run_leaves_a_record_that_answers(context: Context) -> None:
    stored = execute(tiny("one_cycle"), context)
    record = stored.record
    assert record.ending == "done"
    assert record.network.removed == pytest.approx(0.9, abs=1e-3)
    assert record.network.macs_nonzero < 0.2 * record.network.macs
    assert record.outcome.n == 360
    assert record.outcome.epochs_trained == 2
    assert record.cost.training_macs == 3 * record.network.macs * 2 * 512
    assert record.cost.train > 0
    assert stored.path.stat().st_size < 4096
    side = context.store.side(stored)
    assert [point["at"] for point in side["curves"]] == [0, 1]
    assert len(side["curves"][-1]["nonzeros"]) == 9
    assert not list(context.store.run_folder(record.id).glob("checkpoint-*")), "a finished run keeps no checkpoint"
    assert context.store.weights(record.network.weights_hash).is_file()


def test_two_stores_one_hash(tmp_path: Path, environment: Any) -> None:
    hashes = {
        execute(tiny("agp"), make_context(tmp_path / name, environment)).record.network.weights_hash for name in "ab"
    }
    assert len(hashes) == 1


def test_another_seed_is_another_network(context: Context) -> None:
    a, b = execute(tiny(), context).record, execute(tiny(seed=1), context).record
    assert a.network.weights_hash != b.network.weights_hash


def test_every_call_is_journalled(context: Context) -> None:
    context = replace(context, methods_from=LAB)
    stored = execute(tiny("lab:winding", extra=LAB, recipe=recipe(epochs=4)), context)
    calls = [entry["call"] for entry in context.store.side(stored)["journal"]]
    middle = ["ask first_convolution", "note", "recover"] * 2
    assert calls == ["train", *middle, "train", "train"]
    record = stored.record
    assert record.outcome.epochs_trained == 6
    assert record.cost.search_macs == 2 * 64 * record.network.macs
    assert record.cost.recover > 0
    assert record.cost.training_macs == 6 * 4 * 128 * 3 * record.network.macs


def test_asked_again_the_same_answer_from_the_seed(tmp_path: Path, environment: Any) -> None:
    cell = tiny("lab:winding", extra=LAB, recipe=recipe(epochs=4))
    answers = []
    for name in "ab":
        context = make_context(tmp_path / name, environment, methods_from=LAB)
        journal = context.store.side(execute(cell, context))["journal"]
        answers.append([entry["result"] for entry in journal if entry["call"].startswith("ask")])
    assert answers[0] == answers[1]
    assert answers[0][0]["drawn"] != answers[0][1]["drawn"], "each ask has chance of its own"


def test_stopped_and_resumed_at_every_step_gives_equal_weights(tmp_path: Path, environment: Any) -> None:
    """Stop after each single step, in the middle of epochs, calls and recoveries."""
    cell = tiny("lab:winding", extra=LAB, recipe=recipe(epochs=4))
    whole = execute(cell, make_context(tmp_path / "whole", environment, methods_from=LAB)).record
    counted = 0

    def every_third() -> bool:
        nonlocal counted
        counted += 1
        return counted % 3 == 0

    context = make_context(tmp_path / "pieces", environment, methods_from=LAB, stop=every_third)
    for _ in range(100):
        try:
            pieces = execute(cell, context).record
            break
        except Stopped:
            continue
    assert pieces.how.attempts > 8
    assert pieces.network.weights_hash == whole.network.weights_hash
    assert pieces.outcome == whole.outcome
    assert pieces.cost.training_macs == whole.cost.training_macs
    assert pieces.side == whole.side
    assert pieces.cost.lost == 0, "a clean stop loses nothing"


def test_a_method_that_changed_is_stopped(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def before(run: Run) -> None:
        run.train(1)
        run.train()

    def after(run: Run) -> None:
        run.note(x=1)
        run.train()

    steps = iter([False] * 6 + [True])
    with_method(monkeypatch, before)
    with pytest.raises(Stopped):
        execute(tiny(), replace(context, stop=lambda: next(steps)))
    with_method(monkeypatch, after)
    with pytest.raises(UserError, match="was 'train' and is 'note': the method changed"):
        execute(tiny(), context)
    assert execute(tiny(), context, force=True).record.ending == "done"


def test_a_search_that_changes_the_network_is_caught(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def meddle(view: Any) -> int:
        with torch.no_grad():
            next(view.network.parameters()).mul_(0.5)
        return 1

    with_method(monkeypatch, lambda run: run.ask(meddle))
    with pytest.raises(UserError, match="meddle changed the network"):
        execute(tiny(), context)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda run: run.train(1), "trained 1 of 2 epochs"),
        (lambda run: run.train(3), "2 epochs of the schedule are left"),
    ],
)
def test_a_method_must_keep_to_the_schedule(
    context: Context, monkeypatch: pytest.MonkeyPatch, body: Any, says: str
) -> None:
    with_method(monkeypatch, body)
    with pytest.raises(UserError, match=says):
        execute(tiny(), context)


def test_a_loss_that_is_no_number_ends_as_diverged(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def poison(run: Run) -> None:
        run.train(1)
        run.train(weights=lambda network, now: next(network.parameters()).data.fill_(float("nan")))

    with_method(monkeypatch, poison)
    record = execute(tiny(), context).record
    assert (record.ending, record.outcome.diverged_at) == ("diverged", 1)


def test_the_test_images_decide_nothing(tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test images the weights are the same, bit for bit, for every method."""
    import benchmark.runs.execute as module

    load = module.load_images
    kinds = [
        (name, kind)
        for name, f in discovery.methods().items()
        for kind in {"weights", "macs"} & set(f.facts.get("removes", ()))
    ]
    whole = recipe(epochs=3, epoch_images=None)
    for name, kind in [("dense", "macs"), *sorted(kinds)]:
        before = finish(name, make_context(tmp_path / "a", environment), recipe=whole, kind=kind).record
        monkeypatch.setattr(module, "load_images", lambda *a: replace(i := load(*a), test=255 - i.test[::-1]))
        after = finish(name, make_context(tmp_path / "b", environment), recipe=whole, kind=kind).record
        monkeypatch.setattr(module, "load_images", load)
        assert before.how.data_hash != after.how.data_hash
        assert before.network.weights_hash == after.network.weights_hash


def test_another_machine_may_judge_a_few_images_otherwise_and_this_one_none(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = execute(tiny(), context)
    side, n = context.store.side(stored), stored.record.outcome.n

    def wrong(flips: int, fingerprint: str, *, lie: float = 0.0) -> list[str]:
        packed = np.frombuffer(base64.b64decode(side["bits"]), dtype=np.uint8)
        bits = np.unpackbits(packed)[:n]
        bits[:flips] ^= 1
        changed = side | {"bits": base64.b64encode(np.packbits(bits).tobytes()).decode()}
        monkeypatch.setattr(context.store, "side", lambda stored: changed)
        outcome = stored.record.outcome.model_copy(update={"top1": 100 * int(bits.sum()) / n + lie})
        how = stored.record.how.model_copy(update={"fingerprint": fingerprint})
        record = stored.record.model_copy(update={"outcome": outcome, "how": how})
        checks = verify(Stored(record, stored.path), context.store, context.environment, context.data_root)
        return [check.what for check in checks if not check.ok]

    here = context.environment.fingerprint
    assert wrong(0, here) == wrong(n // 100, "elsewhere") == []
    assert "changed predictions" in wrong(1, here)
    assert "changed predictions" in wrong(n // 50, "elsewhere")
    assert wrong(0, "elsewhere", lie=0.5) == ["accuracy from stored predictions"]
