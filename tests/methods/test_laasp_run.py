"""LAASP's run: choices, recoveries and costs are told; its limits are said before anything is trained."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.errors import Stopped, UserError
from benchmark.pruning.view import View
from benchmark.runs.execute import Context, execute
from benchmark.training.training import Trainer
from tests.conftest import finish, make_context, planned, recipe

ROUGH = {"start": 1, "images": 64, "step": 0.05, "every": 0.2}


def test_a_run_tells_its_choices_and_what_they_cost(context: Context) -> None:
    stored = finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6))
    record, side = stored.record, context.store.side(stored)
    asks = [entry["result"] for entry in side["journal"] if entry["call"] == "ask best_choice"]
    cut = [entry["result"]["macs"] for entry in side["journal"] if entry["call"] == "cut"]
    assert len(asks) == len(cut) > 3
    assert cut == sorted(cut, reverse=True)
    assert cut[-1] == record.network.macs
    for ask in asks:
        lowest_loss = min(loss for losses in ask["losses"].values() for loss in losses)
        assert lowest_loss == pytest.approx(ask["loss"], abs=1e-6)
    recoveries = [entry for entry in side["journal"] if entry["call"] == "recover"]
    assert recoveries
    assert record.outcome.epochs_trained == 6, "recoveries take their epochs out of the schedule"
    assert record.cost.search > 0
    assert record.cost.recover > 0
    assert record.cost.search_macs > len(asks) * 64 * record.network.macs
    official = finish("laasp", context, config={**ROUGH, "variant": "official"}, recipe=recipe(epochs=6)).record
    assert official.outcome.epochs_trained > 6
    assert official.network.removed >= 0.4


def test_a_recovery_follows_each_share_at_the_rate_of_the_start(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs after each tenth, counted anew from the last recovery; momentum as asked at every cut."""
    momenta: list[str] = []
    cut = Trainer.cut

    def watched(self: Trainer, parts: Any, momentum: str) -> Any:
        momenta.append(momentum)
        return cut(self, parts, momentum)

    monkeypatch.setattr(Trainer, "cut", watched)
    options = {**ROUGH, "every": 0.1, "recover": 2, "momentum": "reset"}
    stored = finish("laasp", context, config=options, recipe=recipe(epochs=12))
    journal, curves = (context.store.side(stored)[part] for part in ("journal", "curves"))
    last, due = 0.0, 0
    for before, entry in pairwise(journal):
        if before["call"] == "note":
            now = before["removed"] - last >= 0.1
            assert (entry["call"] == "recover") == now
            last, due = (before["removed"], due + 1) if now else (last, due)
    assert due >= 3, "several, or nothing was counted anew"
    recovering = [point for point in curves if point["kind"] == "recover"]
    assert [point["at"] for point in recovering] == [1] * 2 * due
    assert set(momenta) == {"reset"}
    asks = [entry["result"]["criterion"] for entry in journal if entry["call"] == "ask best_choice"]
    assert [entry["result"]["chosen"] for entry in journal if entry["call"] == "note"] == asks


def test_the_subset_is_one_draw_a_seed_and_never_the_test_images(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    import methods.laasp as module

    seen: list[Tensor] = []
    look = module.best_choice

    def best_choice(view: View, *args: Any) -> Any:
        seen.append(view.images(64)[0])
        return look(view, *args)

    monkeypatch.setattr(module, "best_choice", best_choice)
    finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6))
    first = len(seen)
    assert first > 3
    assert all(torch.equal(seen[0], other) for other in seen)
    finish("laasp", context, config=ROUGH, recipe=recipe(epochs=6), seed=1)
    assert not torch.equal(seen[0], seen[first]), "another seed, another draw"


def test_all_layers_at_their_cap_is_said(context: Context) -> None:
    with pytest.raises(UserError, match=r"all layers at their cap at \d+\.\d\d % of 60 %"):
        finish("laasp", context, config={**ROUGH, "cap": 0.2}, recipe=recipe(epochs=6), amount=0.6)
    cell, _ = planned("laasp", config={**ROUGH, "cap": 0.2}, recipe=recipe(epochs=6), amount=0.6)
    lines = (context.store.run_folder(cell.id) / "attempts.jsonl").read_text()
    assert '"failed"' in lines
    assert "all layers at their cap" in lines


def test_an_unknown_criterion_in_the_pool_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown laasp.pool 'l3'; did you mean l"):
        planned("laasp", config={**ROUGH, "pool": ["l1", "l3"]})


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"images": 5000}, "a subset of 5000 images was asked for; there are 1337 to train on"),
        ({"images": 0}, "a subset of 0 images was asked for"),
        ({"pool": []}, "the pool is empty; name one or more of l1, l2, euclidean, cosine"),
        # a tenth of a layer's filters is a small share of all MACs: a recovery may come after every fiftieth of them
        ({"step": 0.1, "step_of": "filters", "every": 0.02}, "1 epochs and about 20 recoveries of 1 fill all 6 epochs"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    config: dict[str, Any], line: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch(*args: Any, **more: Any) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr(Trainer, "epoch", epoch)
    with pytest.raises(UserError, match=line):
        finish("laasp", context, config={**ROUGH, **config}, recipe=recipe(epochs=6))


def test_killed_in_the_middle_of_a_search_and_of_a_recovery_it_ends_the_same(tmp_path: Path, environment: Any) -> None:
    cell, _ = planned("laasp", config=ROUGH, recipe=recipe(epochs=6))
    whole = execute(cell, make_context(tmp_path / "whole", environment)).record
    import methods.laasp as module

    look, calls = module.best_choice, 0

    def dies(view: View, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = look(view, *args)
        if calls in (2, 5):
            raise KeyboardInterrupt
        return answer

    dies.__name__ = "best_choice"
    context = make_context(tmp_path / "pieces", environment, save_every=0.0)
    recovering = 0

    def in_recovery() -> bool:
        """Stops twice while a recovery is under way."""
        nonlocal recovering
        journal = running[0].progress.journal if running else []
        recovering += bool(journal and journal[-1]["call"] == "note")
        return recovering in (2, 7)

    running: list[Any] = []
    context = replace(context, stop=in_recovery, watch=lambda run: running.__setitem__(slice(None), [run]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "best_choice", dies)
        for _ in range(20):
            try:
                pieces = execute(cell, context).record
                break
            except (KeyboardInterrupt, Stopped):
                continue
    assert pieces.how.attempts >= 4
    assert pieces.network.weights_hash == whole.network.weights_hash
    assert pieces.side == whole.side
