"""Pretrain, then n times: prune a share and fine-tune. The remaining epochs are divided evenly.

In tables: Iterative + fine-tuning
The pretraining is a dense cell of its own, as in `finetune_one_shot`.
Expected:  loses less than one cut; papers differ on whether it is worth its epochs.
"""

from typing import Literal

from benchmark import Run, lowest, method, usual


@method(removes={"macs", "params", "channels"}, version=1, start="pretrain")
def finetune_iterative(
    run: Run,
    *,
    pretrain: float = 0.5,
    n: int = 3,
    by: Literal["group_norm", "l1", "l2", "scaled_square", "fpgm", "bn_scale", "lamp", "random"] = "group_norm",
) -> None:
    run.check_reach()
    run.start_from_dense()
    left = run.epochs - run.epoch
    for i in range(n):
        if kept := run.ask(lowest, by, usual(by), run.target * (i + 1) / n, 1, i + 1 == n):
            run.cut(kept)
        run.train(left * (i + 1) // n - left * i // n)
