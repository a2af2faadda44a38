"""The wheel is whole: without the checkout, in another folder, every command finds what it needs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmark import __version__
from benchmark.plan.discovery import ROOT

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*", "results", "tests", "docs", "build", "dist")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which an installer would put the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "source"),
    ]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def prunebench(installed: Path, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(command, cwd=here, env=surroundings, capture_output=True, text=True)


def test_what_is_in_the_repository_is_in_the_wheel(installed: Path) -> None:
    kinds = (".py", ".toml", ".csv", ".html", ".js", ".css", ".pyi", ".txt")
    for folder in ("benchmark", "methods", "baselines"):
        there = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix in kinds}
        assert there == {
            path.relative_to(installed) for path in (installed / folder).rglob("*") if path.suffix in kinds
        }


def test_a_run_a_table_a_site_a_check_and_verdicts(installed: Path, tmp_path: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in installed.rglob("*") if path.suffix != ".pyc"}
    only = "--only=table=quick-channels,model=vgg_tiny,method=one_shot"
    for arguments, said in (
        (("--version",), f"prunebench {__version__}"),
        (("show", "suites"), "quick"),
        (("show", "method-template"), "@method"),
        (("run", "quick", only), "done     one_shot"),
        (("table", "quick"), "One-shot"),
        (("report", "quick", "--to", "site"), "site/index.html"),
        (("claims", "--out", "results"), "# Claims"),
        (("audit",), " released networks are evaluated"),
    ):
        done = prunebench(installed, tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert prunebench(installed, tmp_path, "check", "quick").returncode == 4, "most cells are not measured"
    pinned = prunebench(installed, tmp_path, "pin", "quick")
    assert (pinned.returncode, pinned.stdout) == (2, "")
    assert "pins belong to a checkout" in pinned.stderr
    now = {path: path.stat().st_mtime_ns for path in installed.rglob("*") if path.suffix != ".pyc" and path.is_file()}
    assert {p: t for p, t in files.items() if p.is_file()} == now, "nothing is written into the package"
