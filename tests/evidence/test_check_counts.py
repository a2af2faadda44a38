"""The check's counts: a defect is caught on any processor, whatever bits that processor makes."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.evidence.check import check
from benchmark.evidence.pins import Pin, pin_of
from benchmark.pruning import count
from benchmark.pruning.masks import zero_lowest
from benchmark.records.store import Store
from benchmark.runs import schedules
from benchmark.runs.execute import execute
from methods import one_cycle
from tests.conftest import make_context, tiny
from tests.evidence.common import CELL, judged, places, run, smoke


def test_the_same_code_passes_here_and_on_another_processor(
    tmp_path: Path, environment: Any, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    here = judged(run(tmp_path / "here", environment), pinned)
    assert [(line.tier, line.verdict, line.why) for line in here.lines] == [
        ("counts", "pass", "equal"),
        ("smoke", "pass", "equal weights"),
    ]
    there = judged(run(tmp_path / "there", elsewhere), replace(pinned, weights="other"))
    assert there.exit == 0
    assert "in another environment, within 100" in there.lines[1].why


DEFECTS = {
    "a mask off by one": "zeros of each layer after each epoch",
    "the wrong beta": "zeros of each layer after each epoch",
    "MACs counted twice": "MACs of the dense network",
    "selection on test": "accuracy reported",
}


def select_on_test(patch: pytest.MonkeyPatch) -> None:
    """The network that is judged and kept is that of an epoch chosen by its test images, not the last one's."""
    import benchmark.runs.result
    import benchmark.runs.work

    look, judge = benchmark.runs.work.evaluate, benchmark.runs.result.evaluate
    seen: list[tuple[float, dict[str, Any]]] = []

    def looks(network: Any, batches: Any, part: Any) -> Any:
        found = look(network, batches, part)
        if part is batches.test:
            seen.append((found.top1, copy.deepcopy(network.state_dict())))
        return found

    def judges_the_chosen(network: Any, batches: Any, part: Any) -> Any:
        network.load_state_dict(max(seen[:-1], key=lambda pair: pair[0])[1])  # were it the last, nothing was chosen
        return judge(network, batches, part)

    patch.setattr(benchmark.runs.work, "evaluate", looks)
    patch.setattr(benchmark.runs.result, "evaluate", judges_the_chosen)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_caught_by_counts_on_another_processor(
    defect: str, tmp_path: Path, elsewhere: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(monkeypatch)
    with monkeypatch.context() as patch:
        if defect == "a mask off by one":
            patch.setattr(schedules, "zero_lowest", lambda net, share, *how: zero_lowest(net, share + 1e-3, *how))
        elif defect == "the wrong beta":
            patch.setattr(one_cycle, "fraction", lambda t, a, b, whole=one_cycle.fraction: whole(t, a, b + 1))
        elif defect == "MACs counted twice":
            for counter in ("macs", "macs_closed_form"):  # both: where they differ nothing is trained
                once = getattr(count, counter)
                patch.setattr(count, counter, lambda network, shape, once=once: 2 * once(network, shape))
        else:
            select_on_test(patch)
        context = run(tmp_path, elsewhere)
    report = judged(context, pinned)
    assert report.exit == 1
    (caught,) = [line for line in report.lines if line.tier == "counts"]
    assert caught.verdict == "regressed"
    assert DEFECTS[defect] in caught.why


@pytest.mark.parametrize(
    ("part", "field", "says"),
    [
        ("network", "params", "parameters: "),
        ("network", "macs_nonzero", "MACs without zeros: "),
        ("network", "nonzero", "parameters that are not zero: "),
        ("cost", "training_macs", "MACs of its training: "),
    ],
)
def test_every_count_of_a_record_is_held_against_its_pin(
    tmp_path: Path, environment: Any, pinned: Pin, part: str, field: str, says: str
) -> None:
    (stored,) = run(tmp_path / "true", environment).store.of(CELL.id)
    of_part = getattr(stored.record, part)
    wrong = of_part.model_copy(update={field: 2 * getattr(of_part, field)})
    store = Store(tmp_path / "wrong")
    side = (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes()
    store.add(stored.record.model_copy(update={part: wrong}), side)
    (line, *_) = check("s", places(CELL), [pinned], store, smoke=True).lines
    assert (line.verdict, says in line.why) == ("regressed", True)


def test_a_share_removed_that_its_macs_do_not_show_is_caught(tmp_path: Path, environment: Any) -> None:
    cell = tiny("one_shot", kind="macs")
    context = make_context(tmp_path / "true", environment)
    stored = execute(cell, context)
    pin = pin_of(stored, context.store)
    store = Store(tmp_path / "wrong")
    wrong = stored.record.network.model_copy(update={"removed": 0.0})
    side = (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes()
    store.add(stored.record.model_copy(update={"network": wrong}), side)
    (line, *_) = check("s", places(cell), [pin], store, smoke=True).lines
    assert (line.verdict, "by its MACs" in line.why) == ("regressed", True)


def test_a_newer_record_of_another_device_hides_none_that_fits(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    store = run(tmp_path, environment).store
    (stored,) = store.of(CELL.id)
    how = stored.record.how.model_copy(update={"device": "cuda"})
    later = stored.record.model_copy(update={"how": how, "finished": "2099-01-01T00:00:00+00:00"})
    store.add(later, (stored.path.parent / f"{stored.record.side}.side.gz").read_bytes())
    assert len(store.of(CELL.id)) == 2
    assert check("s", places(CELL), [pinned], store, smoke=True).exit == 0


def test_a_record_is_held_against_the_pin_that_was_run_as_it_was(tmp_path: Path, environment: Any, pinned: Pin) -> None:
    store = run(tmp_path, environment).store
    on_gpu = replace(pinned, device="cuda", fingerprint="gpu", weights="other", top1=1.0, path="other")
    assert check("s", places(CELL), [pinned, on_gpu], store, smoke=True).exit == 0
