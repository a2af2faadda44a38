"""Pretrain, then n times: prune a share, fine-tune. What is left of the epochs is divided evenly.

The pretraining is a dense cell of its own, as in `finetune_one_shot`.
Expected:  gentler than one cut; papers differ on whether it is worth its epochs.
"""

from benchmark import Criterion, Run, lowest, method


@method(removes={"macs", "params", "channels"}, version=1, start="pretrain")
def finetune_iterative(run: Run, *, pretrain: float = 0.5, n: int = 3, by: Criterion = "group_norm") -> None:
    run.start_from_dense()
    left = run.epochs - run.epoch
    for i in range(n):
        if kept := run.ask(lowest, by, "mean", run.target * (i + 1) / n):
            run.cut(kept)
        run.train(left * (i + 1) // n - left * i // n)
