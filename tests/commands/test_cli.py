"""The command line as people and machines use it: exit codes, one-line errors, JSON."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark.cli import main
from benchmark.commands.run import _close, in_order
from benchmark.errors import UserError
from benchmark.launch.worker import Summary
from benchmark.plan import discovery
from benchmark.plan.discovery import ROOT
from benchmark.records.matrix import Entry
from benchmark.runs.calibrate import hours_per_epoch
from tests.conftest import SUITE, planned, recipe, tiny
from tests.runs.forked import prunebench

OPEN = SUITE.replace('"one_shot"]', '"one_shot", "*"]')  # takes the methods of --methods too


def process(*arguments: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A process that starts from nothing, where it matters what it imports or finds around it."""
    command = [sys.executable, "-m", "benchmark", *arguments]
    whole = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | env
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=whole, check=False)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small suite, run once with a method that a template made, in a folder of its own."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "mine.toml").write_text(OPEN)
    lab = folder / "lab"
    lab.mkdir()
    (lab / "my_method.py").write_text(prunebench("show", "method-template").stdout)
    done = prunebench("run", "mine.toml", "--methods", "lab", "--only", "seed=0", cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count("done ") == 4
    return folder


def test_a_method_from_the_template_stands_in_the_table(ran: Path) -> None:
    table = prunebench("table", "mine.toml", "--methods", "lab", cwd=ran)
    assert "| 90 % weights | lab:my_method |" in table.stdout
    assert {p.suffix for p in (ran / "results" / "tables").iterdir()} == {".md", ".tex", ".csv", ".bib"}


def test_a_second_run_has_nothing_to_do_and_imports_no_torch(ran: Path) -> None:
    block = ran / "block"
    (block / "torch").mkdir(parents=True, exist_ok=True)
    (block / "torch" / "__init__.py").write_text("raise ImportError('torch was imported')")
    env = {"PYTHONPATH": f"{block}:{ROOT}"}
    again = process("run", "mine.toml", "--methods", "lab", "--only", "seed=0", cwd=ran, env=env)
    assert again.returncode == 0, again.stderr
    assert "4 done" in again.stdout
    for verb in (["table", "mine.toml"], ["status", "mine.toml"], ["status"], ["show", "methods"], ["show", "suites"]):
        assert process(*verb, cwd=ran, env=env).returncode == 0
    assert process("check", "mine.toml", cwd=ran, env=env).returncode == 4, "measured, never pinned"
    assert process("claims", "--format", "json", "--out", "results", cwd=ran, env=env).returncode == 0
    assert process("count", "resnet20", cwd=ran, env=env).returncode != 0, "the block does block"


def test_status_of_a_suite_and_of_a_run(ran: Path) -> None:
    lines = json.loads(prunebench("status", "mine.toml", "--json", cwd=ran).stdout)
    assert [line["state"].strip() for line in lines[:-1]] == ["done", "pending"] * 3
    run = prunebench("status", lines[0]["id"][:8], cwd=ran).stdout
    assert lines[0]["id"] in run
    assert "record" in run


def test_verify_confirms_a_record_and_finds_another_network(ran: Path) -> None:
    id = json.loads(prunebench("status", "mine.toml", "--json", cwd=ran).stdout)[2]["id"]
    good = prunebench("verify", id, cwd=ran)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "DIFFERS" not in good.stdout
    weights = sorted((ran / "results" / "weights").iterdir())
    record = next((ran / "results" / "records" / id).glob("*.json"))
    mine = json.loads(record.read_text())["network"]["weights_hash"]
    path = ran / "results" / "weights" / f"{mine}.safetensors"
    kept, other = path.read_bytes(), next(w for w in weights if w != path).read_bytes()
    path.write_bytes(other)
    bad = prunebench("verify", id, cwd=ran)
    path.write_bytes(kept)
    assert bad.returncode == 1
    assert "weights" in bad.stdout
    assert "DIFFERS" in bad.stdout


def test_dry_lists_states_and_costs_and_runs_nothing(ran: Path) -> None:
    dry = json.loads(prunebench("run", "mine.toml", "--dry", "--json", cwd=ran).stdout)
    states = [cell["state"] for cell in dry["cells"]]
    assert states == ["done", "pending"] * 3
    assert dry["hours"] > 0
    assert {cell["from"] for cell in dry["cells"] if cell["state"] == "pending"} == {"records"}
    assert "3 done, 3 pending" in dry["counts"]


def test_a_spent_budget_stops_cleanly_and_the_next_run_goes_on(ran: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE.replace("epochs = 2", "epochs = 30"))
    first = prunebench("run", "mine.toml", "--budget", "3s", "--only", "seed=0,method=dense", "--json", cwd=tmp_path)
    report = json.loads(first.stdout)
    assert first.returncode == 0
    assert report["stopped"] == "the budget is spent"
    assert report["left"] == ["dense resnet_tiny digits seed 0"]
    second = prunebench("run", "mine.toml", "--only", "seed=0,method=dense", cwd=tmp_path)
    assert second.returncode == 0
    record = json.loads(next((tmp_path / "results" / "records").rglob("*.json")).read_text())
    assert record["how"]["attempts"] == 2
    assert record["cost"]["lost"] == 0
    assert record["outcome"]["epochs_trained"] == 30


def test_cells_that_failed_with_their_parents_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason stands in the parents' own line; without its data a suite would say it some hundred times."""
    failed = {f"dense seed {n}": "no archive" for n in range(3)}
    failed |= {f"finetune seed {n}": f"its parent {n}abc{n} (start) failed" for n in range(3)}
    assert _close("mine", [], Summary(failed=failed), as_json=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "failed   dense seed 0 and 2 more: no archive",
        "failed   finetune seed 0 and 2 more: its parent failed",
    ]
    _close("mine", [], Summary(failed=failed), as_json=True)
    assert json.loads(capsys.readouterr().out)["failed"] == failed, "each with its parent"


def test_a_failing_cell_does_not_stop_the_others(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "broken.py").write_text(
        '"""Broken."""\nfrom benchmark import Run, method\n\n\n@method(removes={"weights"})\n'
        "def broken(run: Run) -> None:\n    raise RuntimeError('by design')\n"
    )
    (lab / "explodes.py").write_text(
        '"""Explodes."""\nfrom benchmark import Run, method\n\n\n@method(removes={"weights"})\n'
        "def explodes(run: Run) -> None:\n"
        "    run.train(weights=lambda network, now: network.conv1.weight.data.fill_(float('nan')))\n"
    )
    (tmp_path / "mine.toml").write_text(OPEN.replace('"one_cycle", ', "").replace('"0-1"', '"0"'))
    done = prunebench("run", "mine.toml", "--methods", "lab", cwd=tmp_path)
    assert done.returncode == 1
    assert "failed   lab:broken weights -90% resnet_tiny digits seed 0: RuntimeError: by design" in done.stdout
    assert "diverged lab:explodes" in done.stdout
    assert "done     one_shot" in done.stdout
    again = prunebench("run", "mine.toml", "--methods", "lab", "--dry", "--json", cwd=tmp_path)
    states = {cell["cell"].split()[0]: cell["state"] for cell in json.loads(again.stdout)["cells"]}
    assert states == {"dense": "done", "one_shot": "done", "lab:broken": "pending", "lab:explodes": "done"}
    table = prunebench("table", "mine.toml", "--methods", "lab", "--format", "md", cwd=tmp_path).stdout
    assert "1 diverged" in table


def test_a_method_may_lie_anywhere_even_inside_the_checkout(ran: Path) -> None:
    """The installed command does not have the checkout on its path."""
    inside = ROOT / "results" / ".lab"
    inside.mkdir(parents=True, exist_ok=True)
    (inside / "my_method.py").write_text((ran / "lab" / "my_method.py").read_text())
    try:
        found = discovery.methods((inside,))[".lab:my_method"]
        assert discovery.load(found).__name__ == "my_method"
    finally:
        shutil.rmtree(inside)


def test_a_set_whose_size_nobody_knows_has_no_estimate() -> None:
    whole = recipe(epoch_images=None)
    unknown, known = (hours_per_epoch(tiny(data=data, recipe=whole), "cpu", 1) for data in ("folder:mine", "digits"))
    assert unknown is None
    assert known
    assert known > 0


def test_a_data_set_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE.replace('"digits"', '"cifar10-jpeg"'))
    done = prunebench("run", "mine.toml", "--data", str(tmp_path / "none"), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("no cifar10-jpeg.tar.xz") == 2, "when it happens, and in the list at the end"
    assert "and 5 more" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "quik"], "unknown suite 'quik'; did you mean quick"),
        (["table", "quick", "--out", "nowhere"], "no records of quick (tier full) in nowhere"),
        (["count", "resnet65"], "unknown model 'resnet65'; did you mean"),
        (["count", "resnet20", "--input", "32"], "write 3x224x224"),
        (["count", "deit_tiny", "--input", "3x32x32"], "does not run on an input of 3x32x32"),
        (["count", "resnet18", "--dataset", "cifar11"], "unknown data set 'cifar11'; did you mean cifar10"),
        (["show", "metods"], "unknown thing 'metods'; did you mean methods"),
        (["verify", "abc", "--out", "nowhere"], "no record abc in nowhere"),
        (["data", "cifar10", "--check", "--data", "nowhere"], "cifar10.npz or cifar-10-batches-py/) in nowhere"),
        (["run", "quick", "--budget", "soon"], "write 30s, 9m or 1h"),
        (["run", "quick", "--mode", "exact"], "unknown mode 'exact'"),
        (["run", "quick", "--device", "cuda:1"], "unknown device 'cuda:1'; did you mean cuda"),
        (["run", "quick", "--device", "cuda", "--force"], "no CUDA device"),
        (["run", "quick", "--tier", "small"], "has no tier small; a [small] table gives it one"),
        (["run", "quick", "--methods", "nowhere"], "no such folder"),
    ],
)
def test_errors_are_one_line_and_exit_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    said = capsys.readouterr().err
    assert says in said
    assert exit.value.code == 2
    assert len(said.strip().splitlines()) == 1
    with pytest.raises(UserError):
        main(["--debug", *arguments])


def test_an_error_at_the_prompt_is_one_line_and_debug_shows_where() -> None:
    plain, debug = prunebench("run", "quik"), prunebench("--debug", "run", "quik")
    assert (plain.returncode, plain.stderr.count("\n")) == (2, 1)
    assert "Traceback" in debug.stderr


def test_count_speaks_json() -> None:
    counted = json.loads(prunebench("count", "resnet56", "--json").stdout)
    assert counted["macs"] == counted["macs_closed_form"] == 125747840
    assert counted["params"] == 855770
    assert counted["flops_2x"] == 2 * 125747840


@pytest.mark.parametrize("what", ["methods", "models", "datasets", "suites", "env", "one_cycle", "quick", "resnet20"])
def test_show_shows(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["show", what])
    assert exit.value.code == 0
    assert capsys.readouterr().out.strip()


def test_with_a_budget_parents_come_before_their_children() -> None:
    """Also where the child is pinned or cheaper: its parent would count as failed."""
    child, parents = planned("finetune_one_shot")
    entries = [Entry(cell.id, cell, "pending", hours=hours) for cell, hours in ((parents[0], 2.0), (child, 1.0))]
    for order in (entries, entries[::-1]):
        assert [entry.cell for entry in in_order(order, 60.0, "quick", "full")] == [parents[0], child]


@pytest.mark.parametrize("verb", [["claims"], ["status"], ["check", "quick"], ["check", "quick", "--against"]])
def test_a_store_that_is_not_there_is_an_error(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*verb, "/nowhere"] if verb[-1] == "--against" else [*verb, "--out", "/nowhere"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "/nowhere: no such folder of results" in capsys.readouterr().err


def test_machines_get_names_without_padding(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", "methods", "--json"])
    names = [line["name"] for line in json.loads(capsys.readouterr().out)]
    assert "agp" in names
    assert all(name == name.strip() for name in names)
