"""The network as it is, trained along the whole schedule: the reference of every row.

In tables: Dense
Expected: the accuracy floor that its table states; below it every row of the table is flagged.
"""

from benchmark import Run, method


@method(version=1)
def dense(run: Run) -> None:
    run.train()
