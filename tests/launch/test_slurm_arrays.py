"""What is handed to Slurm: arrays by time class and generation, none longer than it takes. No Slurm is needed."""

from pathlib import Path

from benchmark.launch import slurm
from benchmark.launch.spec import Spec
from benchmark.plan.suite_file import Slurm
from benchmark.records.store import Store
from tests.conftest import tiny
from tests.launch.common import HOW, asked


def test_slurm_gets_an_array_for_each_time_class_and_generation(tmp_path: Path) -> None:
    specs = asked([tiny(seed=seed) for seed in range(4)], Store(tmp_path))
    first, second, third, fourth = (spec.cell.id for spec in specs)
    hours = {first: 0.2, second: 0.2, third: 3.0}  # nobody knows the fourth's
    ((*batches,),) = slurm._batches(specs, hours, Slurm())
    assert [(batch.minutes, len(batch.specs)) for batch in batches] == [(30, 2), (480, 1), (1440, 1)]
    assert batches[-1].specs[0].cell.id == fourth
    ((*one,),) = slurm._batches(specs, hours, Slurm(time=7))
    assert [(batch.minutes, len(batch.specs)) for batch in one] == [(7, 4)]


def test_an_array_is_no_longer_than_slurm_takes(tmp_path: Path) -> None:
    specs = [Spec(tiny(seed=seed), HOW) for seed in range(2300)]
    ((*batches,),) = slurm._batches(specs, {}, Slurm())
    assert [len(batch.specs) for batch in batches] == [1000, 1000, 300]
