"""Parents: planned by themselves, run first, shared, their hours and MACs counted, their loss survived."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import UserError
from benchmark.plan.suite import Planned, plan
from benchmark.plan.suite_file import read
from benchmark.records.matrix import matrix
from benchmark.runs.execute import Context, execute
from benchmark.training.weights import read_weights
from tests.conftest import SUITE, finish, planned, recipe


def suite(tmp_path: Path, methods: str, remove: str = "macs = [0.4]") -> list[Planned]:
    path = tmp_path / "mine.toml"
    text = SUITE.replace('["one_cycle", "one_shot"]', methods).replace("weights = [0.9]", remove)
    path.write_text(text)
    return plan(read(str(path)))


def test_a_pipeline_is_planned_with_its_pretraining(tmp_path: Path) -> None:
    (child,) = (p for p in suite(tmp_path, '["finetune_one_shot"]') if p.label != "dense" and p.cell.seed == 0)
    (parent,) = child.parents
    assert child.cell.parents == {"start": parent.id}
    assert (parent.method.name, parent.remove, parent.recipe.epochs, parent.seed) == ("dense", None, 1, 0)
    assert child.cell.recipe.epochs == 2, "the budget is that of every other row"


def test_a_control_is_about_the_row_of_its_table(tmp_path: Path) -> None:
    methods = '[{ name = "one_shot", start = 0.5, as = "late" }, { name = "scratch_epochs", of = "late" }]'
    rows = {p.label: p for p in suite(tmp_path, methods) if p.cell.seed == 1}
    assert rows["scratch_epochs(of=late)"].cell.parents == {"architecture_of": rows["late"].cell.id}
    by_name = methods.replace('of = "late"', 'of = "one_shot"')
    again = {p.label: p for p in suite(tmp_path, by_name) if p.cell.seed == 1}
    assert again["scratch_epochs(of=one_shot)"].cell.parents == {"architecture_of": rows["late"].cell.id}


def test_a_parent_that_stands_in_no_table_is_planned_all_the_same(tmp_path: Path) -> None:
    (child,) = (
        p for p in suite(tmp_path, '[{ name = "scratch_flops", of = "agp" }]') if p.cell.seed == 0 and p.parents
    )
    assert [cell.method.name for cell in child.parents] == ["agp"]


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ('[{ name = "scratch_epochs", of = "dense" }]', "of = 'dense' removes no macs; it has no widths to take"),
        ('[{ name = "finetune_one_shot", by = "taylor" }]', "unknown finetune_one_shot.by 'taylor'"),
        ('[{ name = "scratch_epochs", of = "agpp" }]', "unknown method 'agpp'; did you mean agp"),
        ('[{ name = "finetune_one_shot", pretrain = 1.0 }]', "pretrain = 1.0 leaves no epoch of its own"),
        ('["one_shot", { name = "one_shot", by = "l1" }, { name = "scratch_epochs", of = "one_shot(by=l1)" }]', ""),
        (
            '[{ name = "one_shot", by = "l2" }, { name = "one_shot", by = "l1" }, '
            '{ name = "scratch_epochs", of = "one_shot" }]',
            "several rows match; give the one meant a label",
        ),
    ],
)
def test_a_mistake_about_parents_is_answered(tmp_path: Path, methods: str, says: str) -> None:
    if not says:
        assert suite(tmp_path, methods)
        return
    with pytest.raises(UserError, match=says):
        suite(tmp_path, methods)


def test_a_pipeline_starts_from_the_parents_weights_and_counts_its_cost(context: Context) -> None:
    cell, (parent,) = planned("finetune_one_shot", recipe=recipe(epochs=4))
    start = execute(parent, context).record
    seen: list[dict[str, torch.Tensor]] = []

    def look(run: Any) -> None:
        if not seen and run.progress.journal:
            seen.append({name: tensor.clone() for name, tensor in run.trainer.network.state_dict().items()})

    stored = execute(cell, replace(context, watch=look))
    weights = read_weights(context.store.weights(start.network.weights_hash))
    assert all(torch.equal(weights[name], tensor) for name, tensor in seen[0].items())
    record = stored.record
    assert record.cost.pretrain == start.cost.hours > 0
    assert record.cost.pretrain_macs == start.cost.training_macs
    assert record.cost.training_macs == 3 * record.network.macs * 2 * 512, "two of four epochs are its own"
    assert record.outcome.epochs_trained == 4
    assert record.parents == {"start": context.store.of(parent.id)[0].content}


def test_scratch_takes_widths_and_nothing_else(context: Context) -> None:
    found = finish("one_shot", context, kind="macs")
    stored = finish("scratch_epochs", context, config={"of": "one_shot"})
    kept, of_parent = context.store.side(stored)["kept"], context.store.side(found)["kept"]
    assert {g: len(k) for g, k in kept.items()} == {g: len(k) for g, k in of_parent.items()}
    assert all(k == list(range(len(k))) for k in kept.values())
    assert stored.record.network.macs == found.record.network.macs
    assert stored.record.cost.training_macs < found.record.cost.training_macs


def test_scratch_flops_spends_what_the_method_spent(context: Context) -> None:
    found = finish("ocspruner", context, recipe=recipe(epochs=6)).record
    record = finish("scratch_flops", context, recipe=recipe(epochs=6)).record
    assert record.parents
    spent = found.cost.training_macs + found.cost.search_macs
    one_epoch = 3 * record.network.macs * 512
    assert record.outcome.epochs_trained >= 7
    assert abs(record.cost.training_macs - spent) <= one_epoch / 2


def test_dense_longer_trains_longer_along_the_same_schedule(context: Context) -> None:
    stored = finish("dense_longer", context, recipe=recipe(epochs=4), config={"times": 2.0})
    curves = context.store.side(stored)["curves"]
    assert len(curves) == 8
    rates = [p["lr"] for p in curves]
    assert rates.index(max(rates)) == 1, "a quarter of eight epochs up, the rest down"
    assert rates[-1] < 0.01 * max(rates)


def test_without_its_parent_a_cell_says_what_it_waits_for(context: Context) -> None:
    cell, _ = planned("finetune_one_shot")
    with pytest.raises(UserError, match=r"its parent [0-9a-f]{16} \(start\) cannot be used: it has no finished record"):
        execute(cell, context)


def test_the_matrix_puts_parents_first_and_runs_one_again_whose_weights_are_gone(
    tmp_path: Path, context: Context
) -> None:
    places = [p for p in suite(tmp_path, '["finetune_one_shot"]') if p.cell.seed == 0]

    def states() -> list[tuple[str, str]]:
        entries = matrix(places, context.store, device="cpu", mode="repeatable")
        return [(entry.cell.method.name, entry.state) for entry in entries]

    assert states() == [("dense", "pending"), ("dense", "pending"), ("finetune_one_shot", "pending")]
    parent = places[-1].parents[0]
    stored = execute(parent, context)
    assert states()[1:] == [("dense", "done"), ("finetune_one_shot", "pending")]
    context.store.weights(stored.record.network.weights_hash).unlink()
    assert states()[1:] == [("dense", "pending"), ("finetune_one_shot", "pending")]
    execute(parent, context, force=True)
    execute(places[-1].cell, context)
    context.store.weights(stored.record.network.weights_hash).unlink()
    assert states()[1:] == [("dense", "done"), ("finetune_one_shot", "done")]
