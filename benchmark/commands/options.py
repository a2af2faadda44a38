"""Arguments and options that the command line shares."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.errors import UserError

RESULTS = Path("results")


def suite_names() -> list[str]:
    from benchmark.plan.suite_file import known

    return list(known())


SuiteName = Annotated[str, typer.Argument(help="A suite's name, or a TOML file.", autocompletion=suite_names)]


def _there(store: Path) -> Path:
    """Refuse a folder that does not exist, so that a mistyped one is not called empty. The default may be missing."""
    if store != RESULTS and not store.is_dir():
        raise UserError(f"{store}: no such folder of results")
    return store


def _there_if_named(store: Path | None) -> Path | None:
    return None if store is None else _there(store)


Out = Annotated[Path, typer.Option("--out", help="Folder of the records and results.")]
Read = Annotated[Path, typer.Option("--out", help="Folder of the records and results.", callback=_there)]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of data sets. Default: PRUNEBENCH_DATA, else ~/.cache/prunebench.")
]
Methods = Annotated[list[Path] | None, typer.Option("--methods", help="A folder of your own methods; may be repeated.")]
Only = Annotated[str, typer.Option("--only", help="method=a+b,model=…,seed=0-2,amount=…,table=…,data=…")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Change the suite: recipe.matched.epochs=3; may be repeated.")
]
Tier = Annotated[
    str,
    typer.Option("--tier", help="full; short: a fifth of the epochs; small: a smaller scale that a CPU can afford."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Mode = Annotated[str, typer.Option("--mode", help="repeatable: equal bits; fast: kernels chosen by timing.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: the suite's, else all.")]
Shared = Annotated[
    int,
    typer.Option(
        "--shared", min=1, help="How many runs share this machine. Recorded, so that their timings are not compared."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells to run at the same time, one process each.")]
Budget = Annotated[str, typer.Option("--budget", help="30s, 9m or 1h: cheapest cells first, then a clean stop.")]
RecordId = Annotated[str, typer.Argument(help="The beginning of a cell's id or of a record's name.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Against = Annotated[
    Path | None,
    typer.Option("--against", help="Compare with another store: what changed, and why.", callback=_there_if_named),
]
