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
    """For commands that would say "nothing yet" of a mistyped folder. The usual one may not exist yet."""
    if store != RESULTS and not store.is_dir():
        raise UserError(f"{store}: no such folder of results")
    return store


def _there_if_named(store: Path | None) -> Path | None:
    return None if store is None else _there(store)


Out = Annotated[Path, typer.Option("--out", help="Where records lie and results go.")]
Read = Annotated[Path, typer.Option("--out", help="Where records lie and results go.", callback=_there)]
Data = Annotated[Path | None, typer.Option("--data", help="Where data sets lie; else PRUNEBENCH_DATA, else the cache.")]
Methods = Annotated[list[Path] | None, typer.Option("--methods", help="A folder of your own methods; may be repeated.")]
Only = Annotated[str, typer.Option("--only", help="method=a+b,model=…,seed=0-2,amount=…,table=…,data=…")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="recipe.matched.epochs=3; may be repeated.")]
Tier = Annotated[str, typer.Option("--tier", help="full, or small: what a CPU can afford, at a small scale.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Mode = Annotated[str, typer.Option("--mode", help="repeatable: bit for bit; fast: kernels picked by timing.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; else the suite's, else all.")]
Shared = Annotated[
    int,
    typer.Option(
        "--shared", min=1, help="How many runs share this machine. Recorded, so that their timings are not compared."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells at the same time, a process each.")]
Budget = Annotated[str, typer.Option("--budget", help="30s, 9m, 1h: cheapest cells first, then stop cleanly.")]
RecordId = Annotated[str, typer.Argument(help="The beginning of a cell's id or of a record's name.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Against = Annotated[
    Path | None,
    typer.Option("--against", help="Another store: what changed, and why.", callback=_there_if_named),
]
