"""Control: the widths that another method found, trained from scratch for as many MACs as that method took.

In tables: From scratch, same FLOPs
Like `scratch_epochs`, with the schedule stretched until the training costs as much as the method's own
training and search (Scratch-B of Liu et al., ICLR 2019, with the method's cost instead of the
dense network's).
"""

from benchmark import Run, method


@method(removes={"macs", "params", "channels"}, version=1, architecture="of")
def scratch_flops(run: Run, *, of: str = "ocspruner") -> None:
    found = run.architecture()
    run.cut({group: list(range(width)) for group, width in found["widths"].items()}, momentum="reset")
    run.stretch(found["training_macs"] / run.macs_to_train(run.epochs))
    run.train()
