"""The guides' examples are whole: their files are written, and their commands typed, in a copy of the code."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.plan.discovery import ROOT

GUIDES = [ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", re.S | re.M)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.S | re.M)
SAYS = {
    "index": "One-Cycle",
    "dataset": "hash of the pixels",
    "method": "lab:halving",
    "model": "macs_closed_form",
    "suite": "AGP, global",
}


@pytest.mark.parametrize("guide", GUIDES, ids=[guide.stem for guide in GUIDES])
def test_what_a_guide_shows_can_be_typed(guide: Path, tmp_path: Path) -> None:
    for part in ("benchmark", "methods"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    text = guide.read_text()
    files = FILE.findall(text)
    commands = [shlex.split(line, comments=True) for block in SHELL.findall(text) for line in block.splitlines()]
    mine = [words[1:] for words in commands if words[:1] == ["prunebench"] and "ID" not in words]
    assert files or guide.stem == "index"
    assert mine
    for name, content in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    where = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    said = ""
    for words in mine:
        command = [sys.executable, "-m", "benchmark", *words]
        done = subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"
        said += done.stdout
    assert SAYS[guide.stem] in said
