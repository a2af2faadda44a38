"""`bench`: how fast a training step is on this machine."""

import os
import shutil
import sys
from typing import Any

from benchmark.commands.bench.step import NETWORKS, Speed, speed_of
from benchmark.errors import UnknownName, UserError
from benchmark.plan import discovery
from benchmark.training.environment import prepare

COMPILERS = ("g++", "clang++", "c++")


def bench(networks: list[str], device: str, threads: int | None, compile: bool) -> tuple[dict[str, Any], list[Speed]]:
    known = {*NETWORKS, *discovery.models()}
    for name in networks:
        if name not in known:
            raise UnknownName("network to time", name, sorted(known))
    environment = prepare(device, "repeatable", threads)
    if compile and environment.device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise UserError(f"--compile needs a C++ compiler; install one of {', '.join(COMPILERS)}")
    found = []
    for name in networks or NETWORKS:
        print(f"timing {name} …", file=sys.stderr, flush=True)
        found.append(speed_of(name, environment, compile=compile))
    about = {"device": environment.device_name, "threads": environment.threads, "load": os.getloadavg()[0]}
    return about | environment.versions(), found


def as_text(about: dict[str, Any], found: list[Speed]) -> str:
    lines = [", ".join(f"{key} {value}" for key, value in about.items()), ""]
    head = [
        "network",
        "plain, 0 workers",
        "2 workers",
        "eager",
        "graph",
        "ratio",
        "masked",
        "fast mode",
        "compiled",
        "pays after",
        "of peak",
        "GiB",
    ]
    body = [
        [
            speed.network,
            *(f"{rate:.0f}" for rate in speed.plain.values()),
            f"{speed.eager:.0f}",
            "–" if speed.graph is None else f"{speed.graph:.0f}",
            f"{speed.ratio:.2f}",
            f"{speed.masked:.0f}",
            f"{speed.fast:.0f}",
            "–" if speed.compiled is None else f"{speed.compiled:.0f}",
            "–" if speed.break_even is None else f"{speed.break_even:,.0f} images",
            f"{100 * speed.share_of_peak:.1f} %",
            f"{speed.peak_memory / 2**30:.2f}",
        ]
        for speed in found
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *body]]
    return "\n".join(line.rstrip() for line in lines) + "\n"
