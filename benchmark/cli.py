"""The verbs. No logic here: each one reads its flags and calls the part that does the work.

Imports stand inside the verbs, so that `table`, `status` and `check` start without torch.
"""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.errors import UserError

app = typer.Typer(
    help="A reproducibility benchmark suite for neural-network pruning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
RESULTS = Path("results")


def _suites() -> list[str]:
    from benchmark.suite_file import known

    return list(known())


SuiteName = Annotated[str, typer.Argument(help="A suite's name, or a TOML file.", autocompletion=_suites)]


def _there(store: Path) -> Path:
    """For commands that would say "nothing yet" of a mistyped folder. The usual one may not exist yet."""
    if store != RESULTS and not store.is_dir():
        raise UserError(f"{store}: no such folder of results")
    return store


def _there_too(store: Path | None) -> Path | None:
    return None if store is None else _there(store)


Out = Annotated[Path, typer.Option("--out", help="Where records lie and results go.")]
Read = Annotated[Path, typer.Option("--out", help="Where records lie and results go.", callback=_there)]
Data = Annotated[Path | None, typer.Option("--data", help="Where data sets lie; else PRUNEBENCH_DATA, else the cache.")]
Methods = Annotated[list[Path] | None, typer.Option("--methods", help="A folder of your own methods; may be repeated.")]
Only = Annotated[str, typer.Option("--only", help="method=a+b,model=…,seed=0-2,amount=…,table=…,data=…")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="recipe.matched.epochs=3; may be repeated.")]
Tier = Annotated[str, typer.Option("--tier", help="full, or small: what a CPU can afford, indicative.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Mode = Annotated[str, typer.Option("--mode", help="repeatable: bit for bit; fast: kernels picked by timing.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; else the suite's, else all.")]
Packed = Annotated[
    int,
    typer.Option(
        "--packed", min=1, help="How many runs share this machine. Recorded, so that their timings are not compared."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.callback()
def common(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Options for every verb."""


@app.command()
def run(
    suite: SuiteName,
    dry: Annotated[bool, typer.Option("--dry", help="List the cells, their state and cost; run nothing.")] = False,
    only: Only = "",
    set: Sets = None,
    tier: Tier = "full",
    budget: Annotated[str, typer.Option("--budget", help="30s, 9m, 1h: cheapest cells first, then stop cleanly.")] = "",
    device: Device = "auto",
    mode: Mode = "repeatable",
    threads: Threads = None,
    packed: Packed = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells beside each other, a process each.")] = 1,
    launcher: Annotated[str, typer.Option("--launcher", help="inline, process (with -j) or slurm.")] = "",
    out: Out = RESULTS,
    data: Data = None,
    methods: Methods = None,
    stale: Annotated[bool, typer.Option("--stale", help="Redo the cells whose record is of other code.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run even what is done, from the start.")] = False,
    as_json: AsJson = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Run what is not done yet of a suite."""
    from benchmark.verbs.run import run_suite

    code = run_suite(
        suite, dry=dry, only=only, sets=tuple(set or ()), tier=tier, budget=budget, device=device, mode=mode,
        threads=threads, packed=packed, jobs=jobs, launcher=launcher, out=out, data=data,
        methods_from=tuple(methods or ()), stale=stale, force=force, as_json=as_json,
        debug=debug or "--debug" in sys.argv,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def reproduce(
    suite: SuiteName,
    budget: Annotated[str, typer.Option("--budget", help="30s, 9m, 1h.")] = "1h",
    tier: Annotated[str, typer.Option("--tier", help="Else full on a GPU; on a CPU small, where there is one.")] = "",
    only: Only = "",
    device: Device = "auto",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells beside each other, a process each.")] = 1,
    out: Out = RESULTS,
    data: Data = None,
) -> None:
    """Redo what fits in the budget, and see it beside what papers print and what is published and pinned here."""
    from benchmark.verbs.reproduce import reproduce_suite

    code = reproduce_suite(
        suite, budget=budget, tier=tier, only=only, device=device, jobs=jobs, out=out, data=data
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(hidden=True)
def work() -> None:
    """A worker of `run -j`: its order comes through the standard input."""
    from benchmark.launch.local import worker_main

    worker_main(json.loads(sys.stdin.readline()))


@app.command(hidden=True)
def rank(id: str, store: Path, force: bool = False) -> None:
    """One of the processes that train a cell together; torchrun starts it."""
    from benchmark.launch.together import rank_main

    rank_main(id, store, force)


@app.command()
def status(
    what: Annotated[str, typer.Argument(help="A suite, or the beginning of a run's id; else the store.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Draw it anew every second.")] = False,
    set: Sets = None,
    tier: Tier = "full",
    mode: Mode = "repeatable",
    out: Read = RESULTS,
    methods: Methods = None,
    as_json: AsJson = False,
) -> None:
    """What is done, running, pending, failed, stale or blocked."""
    from benchmark.verbs.status import show_status, watch_status

    asked = (what, tier, out, tuple(methods or ()), tuple(set or ()), mode)
    if watch:
        watch_status(*asked)
        return
    _reads_only()
    _print(show_status(*asked), as_json)


@app.command()
def table(
    suite: Annotated[str, typer.Argument(help="A suite's name, a TOML file, or all.", autocompletion=_suites)],
    format: Annotated[str, typer.Option("--format", help="md, tex or csv; nothing: all three into OUT/tables.")] = "",
    tier: Tier = "full",
    set: Sets = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where OUT/tables differs.")] = False,
    out: Out = RESULTS,
    methods: Methods = None,
) -> None:
    """Build the tables of a suite from its records."""
    _reads_only()
    from benchmark.verbs.table import check_table, make_table

    make = check_table if check else make_table
    typer.echo(make(suite, format, tier, tuple(set or ()), out, tuple(methods or ())), nl=False)


@app.command()
def verify(
    id: Annotated[str, typer.Argument(help="The beginning of a cell's id or of a record's name.")],
    device: Device = "auto",
    threads: Threads = None,
    out: Out = RESULTS,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a network from its record and weights, count and evaluate again, compare."""
    from benchmark.verbs.look import verify_record

    report, ok = verify_record(id, device, threads, out, data)
    _print(report, as_json)
    raise typer.Exit(0 if ok else 1)


@app.command()
def rerun(
    id: Annotated[str, typer.Argument(help="The beginning of a cell's id or of a record's name.")],
    records: Annotated[Path, typer.Option("--records", help="Where that record lies.")] = RESULTS,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; else the record's.")] = "",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; else the record's.")] = None,
    packed: Packed = 1,
    out: Out = RESULTS,
    data: Data = None,
    methods: Methods = None,
    as_json: AsJson = False,
) -> None:
    """Train a record's cell once more, exactly as it was asked, and compare."""
    from benchmark.verbs.rerun import rerun_record

    report, kept = rerun_record(
        id, records, device=device, threads=threads, packed=packed, out=out, data=data,
        methods_from=tuple(methods or ()), to_stderr=as_json,
    )  # fmt: skip
    _print(report, as_json)
    raise typer.Exit(0 if kept else 1)


@app.command()
def hours(
    suite: SuiteName,
    only: Only = "",
    set: Sets = None,
    tier: Tier = "full",
    again: Annotated[bool, typer.Option("--again", help="Those too that were timed alone before.")] = False,
    out: Out = RESULTS,
    data: Data = None,
    methods: Methods = None,
) -> None:
    """Re-measure the training time of runs that shared a machine. Needs an idle machine."""
    from benchmark.verbs.hours import time_suite

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
    as_json: AsJson = False,
) -> None:
    """MACs of a model by every counter, and its parameters."""
    from benchmark.verbs.look import count_model

    _print(count_model(model, dataset, input), as_json)


@app.command("data")
def data_verb(
    name: Annotated[str, typer.Argument(help="A data set; folder:NAME for a tree of your own.")],
    check: Annotated[bool, typer.Option("--check", help="Check what lies there; fetch nothing.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Download, check and decode.")] = False,
    size: Annotated[int | None, typer.Option("--size", help="Pixels a side, for sets of uneven images.")] = None,
    skip: Annotated[int, typer.Option("--skip-corrupt", min=0, help="So many may be left out, and are named.")] = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Is a data set there, and is it the right one?"""
    from benchmark.verbs.look import look_at_data

    _print(look_at_data(name, check, prepare, size, skip, data), as_json)


@app.command()
def pin(
    suite: SuiteName,
    tier: Tier = "full",
    set: Sets = None,
    out: Out = RESULTS,
    records: Annotated[bool, typer.Option(help="Copy the pinned records to results/published too.")] = True,
    tolerance: Annotated[
        list[Path] | None,
        typer.Option(help="A store of the same suite from another environment: how far it may lie off."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Drop the pins of cells that OUT does not hold.")] = False,
) -> None:
    """Pin what a suite measured: clean, finished records of the current code, for `check` to hold others against.

    Pins of cells that OUT does not hold stay as they are.
    """
    from benchmark.verbs.evidence import pin_suite

    published = Path("results/published") if records else None
    _print(pin_suite(suite, tier, tuple(set or ()), out, published, tolerance or [], replace=replace), as_json=False)


@app.command()
def check(
    suite: SuiteName,
    tier: Tier = "full",
    set: Sets = None,
    out: Read = RESULTS,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another store: what changed, and why.", callback=_there_too)
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    summary: Annotated[Path | None, typer.Option("--summary", help="Write every number there, as Markdown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold what was measured against pins. Exit 0 pass, 1 changed, 2 bad input, 3 undecided, 4 not measured."""
    _reads_only()
    from benchmark.report.verdicts import as_json as to_json
    from benchmark.report.verdicts import as_markdown
    from benchmark.verbs.evidence import check_suite

    report = check_suite(suite, tier, tuple(set or ()), out, against, junit, summary)
    _print(to_json(report) if as_json else as_markdown(report), as_json)
    raise typer.Exit(report.exit)


@app.command()
def claims(
    format: Annotated[str, typer.Option("--format", help="md, html or json.")] = "md",
    out: Read = Path("results/published"),
) -> None:
    """What the papers claim, and what the records say to it."""
    _reads_only()
    from benchmark.verbs.evidence import list_claims

    _print(*list_claims(format, out))


@app.command()
def report(
    suites: Annotated[list[str] | None, typer.Argument(help="Suites to show; else every one that has records.")] = None,
    out: Out = RESULTS,
    to: Annotated[Path, typer.Option("--to", help="Where the site goes.")] = RESULTS / "report",
    methods: Methods = None,
) -> None:
    """One static site of all that was measured: leaderboard, plots, a page a run, the ledger of claims."""
    _reads_only()
    from benchmark.verbs.report import make_report

    typer.echo(make_report(suites or [], out, to, tuple(methods or ())), nl=False)


@app.command()
def bench(
    networks: Annotated[
        list[str] | None, typer.Argument(help="Networks to time, any of `show models`; else one of each family.")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile too: a minute or two a network.")] = False,
    as_json: AsJson = False,
) -> None:
    """Images a second of a training step here: the plain loop, the engine, and compiled."""
    from benchmark.verbs.bench import as_text
    from benchmark.verbs.bench import bench as time_them

    about, found = time_them(networks or [], device, threads, compile)
    _print({"machine": about, "speeds": [s.as_json() for s in found]} if as_json else as_text(about, found), as_json)


@app.command()
def golden(
    commit: Annotated[str, typer.Argument(help="The code to compare with: a commit that records were made at.")],
    suites: Annotated[list[str] | None, typer.Argument(help="Suites to run; else every golden one.")] = None,
    enter: Annotated[bool, typer.Option("--enter", help="Write what is equal into baselines/code_equal.csv.")] = False,
) -> None:
    """Do this code and that of COMMIT train to the same bits? Then their records may count as one code's."""
    from benchmark.verbs.evidence import compare_codes

    _print(compare_codes(commit, suites or [], enter), as_json=False)


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="methods, models, datasets, suites, env, a NAME, or method-template.")],
    methods: Methods = None,
    as_json: AsJson = False,
) -> None:
    """What there is: the lists, one thing, this machine, or a method file to start from."""
    from benchmark.verbs.look import show_things

    _print(show_things(what, tuple(methods or ())), as_json)


def _reads_only() -> None:
    """Ten thousand records are millions of small objects and no cycles: looking for those takes a quarter of it."""
    gc.disable()


def _print(report: Any, as_json: bool) -> None:
    """A report is text as it is, or a dict of lines, or a list of dicts with the same keys."""
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    elif isinstance(report, str):
        typer.echo(report, nl=not report.endswith("\n"))
    elif isinstance(report, dict):
        width = max((len(str(key)) for key in report), default=0)
        for key, value in report.items():
            typer.echo(f"{key!s:{width}}  {value}")
    else:
        _print_rows([[str(value) for value in line.values()] for line in report])


def _print_rows(rows: list[list[str]]) -> None:
    """In columns. A row of one value is a sentence: no column grows for it."""
    table = [row for row in rows if any(row[1:])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in rows:
        if any(row[1:]):
            typer.echo("  ".join(f"{value:{width}}" for value, width in zip(row, widths, strict=True)).rstrip())
        else:
            typer.echo(row[0])


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


if __name__ == "__main__":
    main()
