"""Pretrain, prune once, fine-tune: the usual pipeline that one-cycle methods are compared with.

In tables: One-shot + fine-tuning
The pretraining is a dense cell of its own. It has the share `pretrain` of the epochs, with the whole schedule
compressed into them; its hours count. Fine-tuning follows the rest of the recipe's schedule, where
the learning rate is low already.
Expected:  OCSPruner's claim is that this costs more for no more accuracy (ResNet-50: 1.28 to 1.41 times).
"""

from typing import Literal

from benchmark import Run, lowest, method, usual


@method(removes={"macs", "params", "channels"}, version=1, start="pretrain")
def finetune_one_shot(
    run: Run,
    *,
    pretrain: float = 0.5,
    by: Literal["group_norm", "l1", "l2", "scaled_square", "fpgm", "bn_scale", "lamp", "random"] = "group_norm",
) -> None:
    run.check_reach()
    run.start_from_dense()
    run.cut(run.ask(lowest, by, usual(by), run.target))
    run.train()
