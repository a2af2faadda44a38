"""Control: the widths that another method found, trained from scratch for the same number of epochs.

In tables: From scratch, same epochs
After Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019 (Scratch-E). Only the widths
are taken. The channels of the initial weights that fill them do not depend on what was kept.
Expected:  if this row equals the method's, the method found widths and nothing else.
"""

from benchmark import Run, method


@method(removes={"macs", "params", "channels"}, version=1, architecture="of")
def scratch_epochs(run: Run, *, of: str = "ocspruner") -> None:
    widths = run.architecture()["widths"]
    run.cut({group: list(range(width)) for group, width in widths.items()}, momentum="reset")
    run.train()
