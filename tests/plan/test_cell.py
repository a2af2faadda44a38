"""A cell's id: the same experiment has one, another experiment has another."""

import pytest
from pydantic import ValidationError

from benchmark.plan.cell import Cell, Remove, Sgd
from tests.conftest import recipe, tiny


def test_the_id_is_pinned() -> None:
    """It names every record ever published: a change here orphans them all."""
    assert tiny("one_cycle").id == "f5fb35aaa4ed8d09"


def test_everything_asked_is_in_the_id() -> None:
    base = tiny("one_cycle")
    others = [
        tiny("one_cycle", seed=1),
        tiny("one_cycle", amount=0.8),
        tiny("one_cycle", config={"beta": 6.0}),
        tiny("one_cycle", model="vgg_tiny"),
        tiny("one_cycle", recipe=recipe(precision="bf16")),
        tiny("one_cycle", recipe=recipe(epochs=3)),
        tiny("one_shot"),
    ]
    assert len({base.id, *(cell.id for cell in others)}) == 1 + len(others)


def test_a_cell_survives_json() -> None:
    cell = tiny("agp")
    assert Cell.model_validate_json(cell.model_dump_json()) == cell


@pytest.mark.parametrize("amount", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_target_is_refused(amount: float) -> None:
    with pytest.raises(ValidationError):
        Remove(kind="weights", amount=amount)


def test_no_field_can_be_invented() -> None:
    with pytest.raises(ValidationError):
        Sgd(lr=0.1, dampening=0.5)  # type: ignore[call-arg]
