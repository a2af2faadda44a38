"""The error of the whole ledger, simulated: how often any claim of it gets a wrong verdict. `pytest -s` prints it."""

import random
from dataclasses import replace

import pytest

from benchmark.evidence import claims as module
from benchmark.evidence.claim_files import Claim
from benchmark.evidence.claims import Finding
from benchmark.evidence.differences import Sample, Side

CLAIMS, MARGIN, STD = 9, 0.2, 0.35  # the ledger of today, and the spread of its rows
RIVALS = 4
LEDGERS, SEED = 600, 1127  # a rate of 5 % is then told from one of 7.5 %
ALLOWED = 0.05


def ledger(draw: random.Random, n: int, gain: float, rivals: int, shared: bool) -> list[str]:
    """Every method is `gain` points above each of its rivals; with `shared` all claims face the same rivals."""

    def row(name: str, mean: float) -> Side:
        return Side((name,), [draw.gauss(mean, STD) for _ in range(n)])

    common = [row(f"rival {k}", 0.0) for k in range(rivals)]
    found = []
    for i in range(CLAIMS):
        claim = Claim(id=f"c{i}", says="", reference="", kind="beats", where=["a/b"], method="m", n=n, margin=MARGIN)
        mine = row(f"method {i}", gain)
        faced = common if shared else [row(f"rival {i} {k}", 0.0) for k in range(rivals)]
        nothing = Finding(claim, "a/b", "inconclusive", "", seeds=n)
        found.append(module._faced(nothing, [Sample([(mine, rival)]) for rival in faced]))
    return [finding.state for finding in module._after_holm(found, unread=0)]


@pytest.mark.parametrize("n", [3, 5])
def test_few_ledgers_hold_a_wrong_verdict(n: int) -> None:
    """Equal rivals, and true gains up to the margin: neither verdict may come by chance."""
    draw = random.Random(SEED + n)
    print(f"\nseed {SEED + n}, n = {n}, {CLAIMS} claims, sd {STD}, margin {MARGIN}")
    for rivals, shared in ((1, False), (RIVALS, False), (RIVALS, True)):
        for gain in (0.0, MARGIN / 2, MARGIN):
            states = [ledger(draw, n, gain, rivals, shared) for _ in range(LEDGERS)]
            rate = {s: sum(s in each for each in states) / LEDGERS for s in ("reproduced", "not reproduced")}
            said = ", ".join(f"{rate[s]:.3f} of ledgers have one {s}" for s in rate)
            print(f"  true gain {gain:.1f}, {rivals} rivals{' that all share' if shared else ''}: {said}")
            assert rate["not reproduced"] <= ALLOWED
            if gain == 0:
                assert rate["reproduced"] <= ALLOWED


def test_what_is_far_from_the_bar_is_decided() -> None:
    """The control costs power, not all of it: four points either way are decided by three seeds."""
    draw = random.Random(SEED)
    for gain, state in ((4.0, "reproduced"), (-4.0, "not reproduced")):
        decided = [s for _ in range(50) for s in ledger(draw, 3, gain, RIVALS, shared=False)]
        assert decided.count(state) > 0.5 * len(decided)
        assert set(decided) <= {state, "inconclusive"}


def test_the_printed_bounds_agree_with_the_verdict() -> None:
    draw = random.Random(SEED)
    claim = Claim(id="c", says="", reference="", kind="beats", where=["a/b"], method="m", n=5, margin=MARGIN)
    for _ in range(300):
        gain = draw.uniform(-2, 2)
        mine = Side(("m",), [draw.gauss(gain, STD) for _ in range(5)])
        rivals = [Side((str(k),), [draw.gauss(0, STD) for _ in range(5)]) for k in range(RIVALS)]
        nothing = Finding(claim, "a/b", "inconclusive", "", seeds=5)
        found = [module._faced(nothing, [Sample([(mine, rival)]) for rival in rivals])]
        found.append(replace(found[0], p=0.9, p_not=0.9))  # a second claim that decides nothing
        finding = module._after_holm(found, unread=2)[0]
        assert finding.low is not None
        assert finding.high is not None
        assert (finding.state == "reproduced") == (finding.low > 0)
        wrong = finding.high < 0 or -MARGIN < finding.low < finding.high < MARGIN
        assert wrong or finding.state != "not reproduced"
