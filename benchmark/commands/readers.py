"""Commands that read records and train nothing: flags only, as in cli.py."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands import options as o
from benchmark.commands.output import print_report
from benchmark.errors import UnknownName, UserError

app = typer.Typer()


@app.command()
def table(
    suite: Annotated[str, typer.Argument(help="A suite's name, a TOML file, or all.", autocompletion=o.suite_names)],
    format: Annotated[
        str, typer.Option("--format", help="md, tex, csv, parquet. Default: all but parquet, into OUT/tables.")
    ] = "",
    standalone: Annotated[bool, typer.Option("--standalone", help="A LaTeX document that compiles as it is.")] = False,
    tier: o.Tier = "full",
    set: o.Sets = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if OUT/tables differs.")] = False,
    out: o.Out = o.RESULTS,
    methods: o.Methods = None,
) -> None:
    """Build the tables of a suite from its records."""
    gc.disable()
    from benchmark.commands.table import check_table, make_table
    from benchmark.report.rendering import WHOLE

    if standalone and format not in ("", "tex"):
        raise UserError(f"--standalone is LaTeX, and --format {format} is not")
    format = WHOLE if standalone else format
    make = check_table if check else make_table
    typer.echo(make(suite, format, tier, tuple(set or ()), out, tuple(methods or ())), nl=False)


@app.command()
def audit(
    names: Annotated[list[str] | None, typer.Argument(help="Files of baselines/released. Default: all.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--from", help="Evaluate the networks that lie here, in clones of their repositories."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="md or csv.")] = "md",
    out: o.Out = o.RESULTS,
    data: o.Data = None,
    device: o.Device = "auto",
    threads: o.Threads = None,
) -> None:
    """Evaluate the networks that authors released, and set what they print beside it."""
    from benchmark.commands.audit import FORMATS, audit_table, evaluate_released

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    if folder is not None:
        print_report(evaluate_released(names or [], folder, out, data, device, threads), False)
    typer.echo(audit_table(names or [], out, format), nl=False)


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="safetensors, what torch.save wrote, or HDF5 of Keras.")],
    model: Annotated[str, typer.Option("--model", help="The model here that it is.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Whose test images.")] = "cifar10",
    normalise: Annotated[
        str, typer.Option("--normalise", help="means/deviations of the colours, if not the data set's own.")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="Which network in the file, if there are several.")] = "",
    map: Annotated[Path | None, typer.Option("--map", help="TOML: layer of the model = layer of the file.")] = None,
    without: Annotated[str, typer.Option("--without", help="Blocks that it lacks: blocks.3,blocks.5.")] = "",
    pixel_mean: Annotated[
        bool, typer.Option("--pixel-mean", help="Centre by the mean training image, as examples of Keras do.")
    ] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Measure it too.")] = False,
    device: o.Device = "auto",
    threads: o.Threads = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep it as a record in this store.")] = None,
    data: o.Data = None,
    as_json: o.AsJson = False,
) -> None:
    """Count and evaluate a network of somebody else's. Nothing in its file is run."""
    from benchmark.commands.evaluate import evaluate_file

    print_report(
        evaluate_file(
            file, model, dataset, normalise=normalise, key=key, map=map, without=without, pixel_mean=pixel_mean,
            latency=latency, device=device, threads=threads, out=out, images=data,
        ),
        as_json,
    )  # fmt: skip


@app.command()
def plot(
    suite: o.SuiteName,
    kind: Annotated[str, typer.Option("--kind", help="pareto, schedule, stability, choices or widths.")] = "pareto",
    format: Annotated[str, typer.Option("--format", help="pdf, svg or png.")] = "pdf",
    tier: o.Tier = "full",
    only: o.Only = "",
    out: o.Out = o.RESULTS,
    methods: o.Methods = None,
) -> None:
    """Draw the figures of a suite, of one kind, into OUT/figures."""
    from benchmark.commands.plot import plot as draw_them

    text = draw_them(suite, kind, format, tier=tier, only=only, out=out, methods_from=tuple(methods or ()))
    typer.echo(text, nl=False)


@app.command()
def pin(
    suite: o.SuiteName,
    tier: o.Tier = "full",
    set: o.Sets = None,
    out: o.Out = o.RESULTS,
    records: Annotated[bool, typer.Option(help="Copy the pinned records to results/published too.")] = True,
    tolerance: Annotated[
        list[Path] | None,
        typer.Option(help="A store of the same suite from another environment. It sets how far others may differ."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Drop the pins of cells that OUT does not hold.")] = False,
) -> None:
    """Pin what a suite measured, so that `check` can compare later runs with it.

    Only clean, finished records of the current code are pinned. Pins of cells that OUT does not hold stay as they are.
    """
    from benchmark.commands.pin import pin_suite

    published = Path("results/published") if records else None
    print_report(
        pin_suite(suite, tier, tuple(set or ()), out, published, tolerance or [], replace=replace), as_json=False
    )


@app.command()
def check(
    suite: o.SuiteName,
    tier: o.Tier = "full",
    set: o.Sets = None,
    out: o.Read = o.RESULTS,
    against: o.Against = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    summary: Annotated[Path | None, typer.Option("--summary", help="Write every number there, as Markdown.")] = None,
    as_json: o.AsJson = False,
) -> None:
    """Compare what was measured with pins. Exit 0 pass, 1 changed, 2 bad input, 3 undecided, 4 not measured."""
    gc.disable()
    from benchmark.commands.check import check_suite
    from benchmark.report.verdicts import as_json as to_json
    from benchmark.report.verdicts import as_markdown

    report = check_suite(suite, tier, tuple(set or ()), out, against, junit, summary)
    print_report(to_json(report) if as_json else as_markdown(report), as_json)
    raise typer.Exit(report.exit)


@app.command()
def compare(
    suite: o.SuiteName,
    a: Annotated[str, typer.Argument(help="A row, as its table's CSV calls it: one_cycle, or agp, global.")],
    b: Annotated[str, typer.Argument(help="Another row; nothing: the same row of --against.")] = "",
    only: o.Only = "",
    tier: o.Tier = "full",
    out: o.Read = o.RESULTS,
    against: o.Against = None,
    format: Annotated[str, typer.Option("--format", help="md or json.")] = "md",
    methods: o.Methods = None,
) -> None:
    """Compare two rows: the difference with its interval, image by image, and the costs."""
    gc.disable()
    from benchmark.commands.compare import FORMATS, as_json, as_markdown, compare_rows

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    if not (b or against):
        raise UserError("name a second row, or another store with --against")
    pairs = compare_rows(
        suite, a, b or a, tier=tier, only=only, stores=(out, against or out), methods_from=tuple(methods or ())
    )  # fmt: skip
    print_report(as_json(pairs) if format == "json" else as_markdown(pairs), format == "json")


@app.command()
def claims(
    format: Annotated[str, typer.Option("--format", help="md, html or json.")] = "md",
    out: o.Read = Path("results/published"),
) -> None:
    """List what papers claim, and what the records say about it."""
    gc.disable()
    from benchmark.commands.claims import list_claims

    print_report(*list_claims(format, out))


@app.command()
def report(
    suites: Annotated[list[str] | None, typer.Argument(help="Suites to show. Default: all that have records.")] = None,
    out: o.Out = o.RESULTS,
    to: Annotated[Path, typer.Option("--to", help="Where the site goes.")] = o.RESULTS / "report",
    methods: o.Methods = None,
) -> None:
    """Build one static site of all results: leaderboard, plots, a page for each run, the ledger of claims."""
    gc.disable()
    from benchmark.commands.report import make_report

    typer.echo(make_report(suites or [], out, to, tuple(methods or ())), nl=False)


@app.command()
def golden(
    commit: Annotated[str, typer.Argument(help="The code to compare with: a commit that records were made at.")],
    suites: Annotated[list[str] | None, typer.Argument(help="Suites to run. Default: every golden one.")] = None,
    enter: Annotated[bool, typer.Option("--enter", help="Write what is equal into baselines/code_equal.csv.")] = False,
) -> None:
    """Check that this code and that of COMMIT train to the same bits. If so, their records count as of one code."""
    from benchmark.commands.golden import compare_codes

    print_report(compare_codes(commit, suites or [], enter), as_json=False)
