"""The command line: flags only. Each command calls the part that does the work.

Imports are inside the commands, so that `table`, `status` and `check` start without torch.
"""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark import __version__
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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prunebench {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: o.Debug = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
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
    stale: Annotated[bool, typer.Option("--stale", help="Run cells again whose record is of other code.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run all cells from the start, finished ones too.")] = False,
    retime: Annotated[
        bool, typer.Option("--retime/--no-retime", help="After -j: time runs again alone, for up to 5 % of the launch.")
    ] = True,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Run the cells of a suite that are not done yet."""
    from benchmark.commands.run import RunOptions, run_suite

    options = RunOptions(
        dry=dry, only=only, sets=tuple(set or ()), tier=tier, budget=budget, device=device, mode=mode,
        threads=threads, shared=shared, jobs=jobs, launcher=launcher, out=out, data=data,
        methods_from=tuple(methods or ()), stale=stale, force=force, as_json=as_json, retime=retime,
        debug=debug or "--debug" in sys.argv,
    )  # fmt: skip
    raise typer.Exit(run_suite(suite, options))


@app.command()
def reproduce(
    suite: o.SuiteName,
    budget: o.Budget = "1h",
    tier: Annotated[str, typer.Option("--tier", help="Default: full on a GPU; small, if there is one, on a CPU.")] = "",
    only: o.Only = "",
    device: o.Device = "auto",
    jobs: o.Jobs = 1,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
) -> None:
    """Run what fits in the budget, and print it beside reported, published and pinned numbers."""
    from benchmark.commands.reproduce import reproduce_suite
    from benchmark.commands.run import RunOptions

    asked = RunOptions(budget=budget, tier=tier, only=only, device=device, jobs=jobs, out=out, data=data)
    raise typer.Exit(reproduce_suite(suite, asked))


@app.command(hidden=True)
def work() -> None:
    """A worker of `run -j`. It reads its order from standard input."""
    from benchmark.launch.local import worker_main

    worker_main(json.loads(sys.stdin.readline()))


@app.command(hidden=True)
def rank(id: str, store: Path, force: bool = False) -> None:
    """One of the processes that train a cell together; torchrun starts it."""
    from benchmark.launch.distributed import rank_main

    rank_main(id, store, force)


@app.command()
def status(
    what: Annotated[str, typer.Argument(help="A suite, or the beginning of a run's id. Default: the store.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Redraw every second.")] = False,
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
    gc.disable()  # records form no reference cycles; with ten thousand, looking for them takes a quarter of the time
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
    """Rebuild a network from its record and weights, count and evaluate it again, and compare."""
    from benchmark.commands.verify import verify_record

    report, ok = verify_record(id, device, threads, out, data)
    print_report(report, as_json)
    raise typer.Exit(0 if ok else 1)


@app.command()
def rerun(
    id: o.RecordId,
    records: Annotated[Path, typer.Option("--records", help="The store that holds the record.")] = o.RESULTS,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda. Default: the record's.")] = "",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: the record's.")] = None,
    shared: o.Shared = 1,
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    methods: o.Methods = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a record's cell again, exactly as it was asked, and compare."""
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
    again: Annotated[bool, typer.Option("--again", help="Include runs that were timed alone before.")] = False,
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
    dataset: Annotated[str, typer.Option("--dataset", help="Use this data set's shape and classes.")] = "",
    input: Annotated[str, typer.Option("--input", help="Input shape, such as 3x224x224.")] = "",
    as_json: o.AsJson = False,
) -> None:
    """Count a model's MACs by every counter, and its parameters."""
    from benchmark.commands.count import count_model

    print_report(count_model(model, dataset, input), as_json)


@app.command("data")
def data_command(
    name: Annotated[str, typer.Argument(help="A data set; folder:NAME for a tree of your own.")],
    check: Annotated[bool, typer.Option("--check", help="Check what is there; fetch nothing.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Download, check and decode.")] = False,
    size: Annotated[int | None, typer.Option("--size", help="Pixels per side, if sizes differ.")] = None,
    skip: Annotated[int, typer.Option("--skip-corrupt", min=0, help="Leave out up to so many images.")] = 0,
    data: o.Data = None,
    as_json: o.AsJson = False,
) -> None:
    """Check whether a data set is there and is the right one, or prepare it."""
    from benchmark.commands.data import look_at_data

    print_report(look_at_data(name, check, prepare, size, skip, data), as_json)


@app.command()
def bench(
    networks: Annotated[
        list[str] | None, typer.Argument(help="Networks to time, any of `show models`. Default: one per family.")
    ] = None,
    device: o.Device = "auto",
    threads: o.Threads = None,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile too: 1 to 2 minutes per network.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Time a training step here, in images per second: the plain loop, the engine, and compiled."""
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
    """Show what there is: a list, one thing, this machine, or a method file to start from."""
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
    except BrokenPipeError:  # the reader closed the pipe: `prunebench status … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a full, broken or read-only disk that no other code caught
        if error.strerror is None or "--debug" in (sys.argv if arguments is None else arguments):
            raise
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        typer.echo(f"prunebench: {visible(said)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
