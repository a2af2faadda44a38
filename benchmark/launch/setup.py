"""What a worker needs for its cells, set up once in its process."""

import os
from pathlib import Path

from benchmark.launch.spec import How
from benchmark.plan.discovery import ROOT
from benchmark.records.store import Store
from benchmark.runs.execute import Context
from benchmark.training.environment import prepare


def own_code() -> dict[str, str]:
    """The environment of a process that we start. It imports this code, not a folder `benchmark` where it starts."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def context_for(how: How, store: Store) -> Context:
    environment = prepare(how.device, "fast" if how.mode == "fast" else "repeatable", how.threads)
    methods = tuple(map(Path, how.methods))
    return Context(store, environment, Path(how.data), methods, save_every=how.save_every, shared=how.shared)
