"""Work in a process of its own that need not import torch again: a fork of this one. On a slow machine that is
the difference between a test of a second and one of half a minute."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch._dynamo  # noqa: F401  # the first optimizer imports it: once here, or once in every child

from benchmark.cli import main
from benchmark.plan.discovery import ROOT


def in_child(do: Callable[[], Any]) -> int:
    """Begin it; its process number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prunebench(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command as typed in a shell, but for the start of Python."""
    words = [str(argument) for argument in arguments]
    with TemporaryFile() as out, TemporaryFile() as err:
        code = end_of(in_child(lambda: os._exit(_as_typed(words, cwd, out.fileno(), err.fileno()))))
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(["prunebench", *words], code, *texts)


def _as_typed(words: list[str], cwd: Path, out: int, err: int) -> int:
    """In the child: its own output, folder and exit code."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest had put its own there
    sys.argv = ["prunebench", *words]
    os.chdir(cwd)
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code
