"""The command line: flags only. Each command calls the part that does the work.

Imports stand inside the commands, so that `table`, `status` and `check` start without torch.
"""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands import options as o
from benchmark.commands import readers
from benchmark.commands.output import print_report
from benchmark.errors import UserError, visible

app = typer.Typer(
    help="A reproducibility benchmark suite for neural-network pruning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(readers.app)


@app.callback()
def common(debug: o.Debug = False) -> None:
    """Options for every command."""


@app.command()
def run(
    suite: o.SuiteName,
    dry: Annotated[bool, typer.Option("--dry", help="List the cells, their state and cost; run nothing.")] = False,
    only: o.Only = "",
    set: o.Sets = None,
    tier: o.Tier = "full",
    budget: o.Budget = "",
    device: o.Device = "auto",
    mode: o.Mode = "repeatable",
    threads: o.Threads = None,
    shared: o.Shared = 1,
    jobs: o.Jobs = 1,
    launcher: Annotated[str, typer.Option("--launcher", help="inline, process (with -j) or slurm.")] = "",
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    methods: o.Methods = None,
    stale: Annotated[bool, typer.Option("--stale", help="Redo the cells whose record is of other code.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run even what is done, from the start.")] = False,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Run what is not done yet of a suite."""
    from benchmark.commands.run import RunOptions, run_suite

    options = RunOptions(
        dry=dry, only=only, sets=tuple(set or ()), tier=tier, budget=budget, device=device, mode=mode,
        threads=threads, shared=shared, jobs=jobs, launcher=launcher, out=out, data=data,
        methods_from=tuple(methods or ()), stale=stale, force=force, as_json=as_json,
        debug=debug or "--debug" in sys.argv,
    )  # fmt: skip
    raise typer.Exit(run_suite(suite, options))


@app.command()
def reproduce(
    suite: o.SuiteName,
    budget: o.Budget = "1h",
    tier: Annotated[str, typer.Option("--tier", help="Else full on a GPU; on a CPU small, where there is one.")] = "",
    only: o.Only = "",
    device: o.Device = "auto",
    jobs: o.Jobs = 1,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
) -> None:
    """Redo what fits in the budget, and see it beside what papers print and what is published and pinned here."""
    from benchmark.commands.reproduce import reproduce_suite
    from benchmark.commands.run import RunOptions

    asked = RunOptions(budget=budget, tier=tier, only=only, device=device, jobs=jobs, out=out, data=data)
    raise typer.Exit(reproduce_suite(suite, asked))


@app.command(hidden=True)
def work() -> None:
    """A worker of `run -j`: its order comes through the standard input."""
    from benchmark.launch.local import worker_main

    worker_main(json.loads(sys.stdin.readline()))


@app.command(hidden=True)
def rank(id: str, store: Path, force: bool = False) -> None:
    """One of the processes that train a cell together; torchrun starts it."""
    from benchmark.launch.distributed import rank_main

    rank_main(id, store, force)


@app.command()
def status(
    what: Annotated[str, typer.Argument(help="A suite, or the beginning of a run's id; else the store.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Draw it anew every second.")] = False,
    set: o.Sets = None,
    tier: o.Tier = "full",
    mode: o.Mode = "repeatable",
    out: o.Read = o.RESULTS,
    methods: o.Methods = None,
    as_json: o.AsJson = False,
) -> None:
    """What is done, running, pending, failed, stale or blocked."""
    from benchmark.commands.status import show_status, watch_status

    asked = (what, tier, out, tuple(methods or ()), tuple(set or ()), mode)
    if watch:
        watch_status(*asked)
        return
    gc.disable()  # ten thousand records are no cycles: looking for those takes a quarter of the time
    print_report(show_status(*asked), as_json)


@app.command()
def verify(
    id: o.RecordId,
    device: o.Device = "auto",
    threads: o.Threads = None,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    as_json: o.AsJson = False,
) -> None:
    """Rebuild a network from its record and weights, count and evaluate again, compare."""
    from benchmark.commands.verify import verify_record

    report, ok = verify_record(id, device, threads, out, data)
    print_report(report, as_json)
    raise typer.Exit(0 if ok else 1)


@app.command()
def rerun(
    id: o.RecordId,
    records: Annotated[Path, typer.Option("--records", help="Where that record lies.")] = o.RESULTS,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; else the record's.")] = "",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; else the record's.")] = None,
    shared: o.Shared = 1,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    methods: o.Methods = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a record's cell once more, exactly as it was asked, and compare."""
    from benchmark.commands.rerun import rerun_record

    report, kept = rerun_record(
        id, records, device=device, threads=threads, shared=shared, out=out, data=data,
        methods_from=tuple(methods or ()), to_stderr=as_json,
    )  # fmt: skip
    print_report(report, as_json)
    raise typer.Exit(0 if kept else 1)


@app.command()
def retime(
    suite: o.SuiteName,
    only: o.Only = "",
    set: o.Sets = None,
    tier: o.Tier = "full",
    again: Annotated[bool, typer.Option("--again", help="Those too that were timed alone before.")] = False,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    methods: o.Methods = None,
) -> None:
    """Re-measure the training time of runs that shared a machine. Needs an idle machine."""
    from benchmark.commands.retime import time_suite

    code = time_suite(
        suite, only=only, sets=tuple(set or ()), tier=tier, again=again, out=out, data=data,
        methods_from=tuple(methods or ()),
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def count(
    model: Annotated[str, typer.Argument(help="A model's name.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Count it for this data set's shape and classes.")] = "",
    input: Annotated[str, typer.Option("--input", help="3x224x224")] = "",
    as_json: o.AsJson = False,
) -> None:
    """MACs of a model by every counter, and its parameters."""
    from benchmark.commands.count import count_model

    print_report(count_model(model, dataset, input), as_json)


@app.command("data")
def data_command(
    name: Annotated[str, typer.Argument(help="A data set; folder:NAME for a tree of your own.")],
    check: Annotated[bool, typer.Option("--check", help="Check what lies there; fetch nothing.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Download, check and decode.")] = False,
    size: Annotated[int | None, typer.Option("--size", help="Pixels a side, for sets of uneven images.")] = None,
    skip: Annotated[int, typer.Option("--skip-corrupt", min=0, help="So many may be left out, and are named.")] = 0,
    data: o.Data = None,
    as_json: o.AsJson = False,
) -> None:
    """Is a data set there, and is it the right one?"""
    from benchmark.commands.data import look_at_data

    print_report(look_at_data(name, check, prepare, size, skip, data), as_json)


@app.command()
def bench(
    networks: Annotated[
        list[str] | None, typer.Argument(help="Networks to time, any of `show models`; else one of each family.")
    ] = None,
    device: o.Device = "auto",
    threads: o.Threads = None,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile too: a minute or two a network.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Images a second of a training step here: the plain loop, the engine, and compiled."""
    from benchmark.commands.bench.command import as_text
    from benchmark.commands.bench.command import bench as time_them

    about, found = time_them(networks or [], device, threads, compile)
    print_report(
        {"machine": about, "speeds": [s.as_json() for s in found]} if as_json else as_text(about, found), as_json
    )


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="methods, models, datasets, suites, env, a NAME, or method-template.")],
    methods: o.Methods = None,
    as_json: o.AsJson = False,
) -> None:
    """What there is: the lists, one thing, this machine, or a method file to start from."""
    from benchmark.commands.show import show_things

    print_report(show_things(what, tuple(methods or ())), as_json)


def main(arguments: list[str] | None = None) -> None:
    try:
        app(arguments)
    except UserError as error:
        if "--debug" in (sys.argv if arguments is None else arguments):
            raise
        typer.echo(f"prunebench: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever reads has read enough: `prunebench status … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a disk that is full, broken or read-only where nobody caught it
        if error.strerror is None or "--debug" in (sys.argv if arguments is None else arguments):
            raise
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        typer.echo(f"prunebench: {visible(said)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
