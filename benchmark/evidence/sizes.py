"""The sizes of this repository's networks, by its own count. Printed percentages are checked against them."""

import csv
from dataclasses import dataclass
from functools import cache

from benchmark.errors import UserError
from benchmark.evidence.pins import FOLDER

PATH = FOLDER / "networks.csv"


@dataclass(frozen=True)
class Size:
    model: str
    data: str  # the data set whose image shape and classes it was counted with
    macs: int
    params: int


@cache
def sizes() -> tuple[Size, ...]:
    try:
        with PATH.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return tuple(Size(row["model"], row["data"], int(row["macs"]), int(row["params"])) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{PATH}: not a table of networks: {error}") from None
