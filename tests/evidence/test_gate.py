"""The gate: worked examples, and the whole procedure simulated with its false alarms and power printed."""

import numpy as np
import pytest
from scipy import stats

from benchmark.evidence.gate import CALL, FIRST, PINS, SECOND, Look, called, exit_code, look

TABLES, CELLS = 2000, 60


def test_a_worked_example() -> None:
    pins = [92.0, 92.2, 92.4, 92.1, 92.3, 92.2, 92.0, 92.4, 92.3, 92.1]
    new = [92.1, 92.3, 92.2, 92.0, 92.4]
    found = look(pins, new)
    assert found.verdict == "pass"
    assert found.p == pytest.approx(stats.ttest_ind(pins, new, equal_var=False).pvalue)
    assert found.pinned_std == pytest.approx(np.std(pins, ddof=1))
    assert found.bound is not None
    assert found.bound < 1.6


def test_five_seeds_alone_never_call_a_regression() -> None:
    pins = [92.0 + 0.1 * i for i in range(10)]
    found = called([look(pins, [90.0, 90.1, 90.2, 90.1, 90.0])])[0]
    assert (found.verdict, found.more_seeds) == ("inconclusive", 10)
    found = called([look(pins, [90.0 + 0.05 * i for i in range(15)])])[0]
    assert found.verdict == "regressed"
    assert called([look(pins, [94.0 + 0.05 * i for i in range(15)])])[0].verdict == "better"


def test_looks_are_at_five_and_fifteen_and_nowhere_else() -> None:
    pins = [92.0 + 0.1 * i for i in range(10)]
    bad = [90.0, 90.1, 90.2, 90.1, 90.0]
    assert look(pins, bad[:4]).more_seeds == 1
    for more in range(10):
        found = look(pins, bad + [92.4] * more)
        assert (found.verdict, found.new) == ("inconclusive", 5), "later seeds do not move the first look"
    assert look(pins, bad + [92.4] * 10).new == 15


def test_few_pins_are_inconclusive_not_a_pass() -> None:
    found = look([92.0, 92.2, 92.1], [92.0, 92.2, 92.1, 92.3, 92.1])
    assert found.verdict == "inconclusive"
    assert "3 pins are few" in found.why


def test_equal_values_pass_and_others_do_not() -> None:
    assert look([90.0] * 10, [90.0] * 5).verdict == "pass"
    assert look([90.0] * 10, [91.0] * 5).verdict == "inconclusive"
    assert called([look([90.0] * 10, [91.0] * 15)])[0].verdict == "better"


def test_exit_codes() -> None:
    assert exit_code(["pass", "pass"]) == 0
    assert exit_code(["pass", "no pin", "inconclusive", "regressed"]) == 1
    assert exit_code(["pass", "not measured", "inconclusive"]) == 3
    assert exit_code(["pass", "not comparable"]) == 4


def procedure(draw: np.random.Generator, deviations: np.ndarray, shift: np.ndarray) -> tuple[list[Look], int]:
    """One table, from its pins to its last verdict; how many runs beyond the first five that took."""
    pins = draw.normal(0, deviations[:, None], (CELLS, PINS))
    first = draw.normal(shift[:, None], deviations[:, None], (CELLS, FIRST))
    looks, extra = [], 0
    for cell in range(CELLS):
        found = look(pins[cell].tolist(), first[cell].tolist())
        if found.verdict == "inconclusive":
            more = draw.normal(shift[cell], deviations[cell], SECOND - FIRST)
            extra += len(more)
            found = look(pins[cell].tolist(), [*first[cell], *more])
        looks.append(found)
    return called(looks), extra


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_whole_procedure_simulated(spread: float, capsys: pytest.CaptureFixture[str]) -> None:
    """2 000 tables of 60 cells, unchanged; and as many with a drop of three standard deviations in one cell."""
    draw = np.random.default_rng(20261121)
    alarms = clean = extra = regressed = passed = 0
    for _ in range(TABLES):
        deviations = np.exp(draw.normal(0, spread, CELLS))
        looks, more = procedure(draw, deviations, np.zeros(CELLS))
        verdicts = [each.verdict for each in looks]
        alarms += any(v in ("regressed", "better") for v in verdicts)
        clean += exit_code(verdicts) == 0
        extra += more
        shift = np.zeros(CELLS)
        shift[0] = -3 * deviations[0]
        verdict = procedure(draw, deviations, shift)[0][0].verdict
        regressed += verdict == "regressed"
        passed += verdict == "pass"
    with capsys.disabled():
        print(f"\ngate, spread of deviations {spread}, {TABLES} tables of {CELLS} cells, calls at {CALL} a table:")
        print(
            f"unchanged: false alarms {alarms / TABLES:.2%}, pass {clean / TABLES:.2%}, {extra / TABLES:.0f} extra runs"
        )
        print(f"a drop of 3 sd in one cell: regressed {regressed / TABLES:.1%}, pass {passed / TABLES:.1%}")
    assert alarms / TABLES <= 0.015
    assert clean / TABLES >= 0.95
    assert regressed / TABLES >= 0.90
    assert passed / TABLES <= 0.02
