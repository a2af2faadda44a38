"""Control: the dense network, trained longer. If it gains, the table's reference was not trained to its end.

In tables: Dense, longer
Expected:  a little above `dense`; papers that fine-tune on top of a full training compare with this.
"""

from benchmark import Run, method


@method(version=1)
def dense_longer(run: Run, *, times: float = 1.5) -> None:
    run.stretch(times)
    run.train()
