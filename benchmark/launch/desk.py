"""What a worker needs from around its cells, set up once in its process."""

import os
from pathlib import Path

from benchmark.engine.environment import prepare
from benchmark.execute import Desk
from benchmark.find import ROOT
from benchmark.launch.spec import How
from benchmark.store import Store


def own_code() -> dict[str, str]:
    """The environment of a process we start: it imports this code, not a folder `benchmark` where it starts."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def desk_for(how: How, store: Store) -> Desk:
    environment = prepare(how.device, "fast" if how.mode == "fast" else "repeatable", how.threads)
    methods = tuple(map(Path, how.methods))
    return Desk(store, environment, Path(how.data), methods, save_every=how.save_every, packed=how.packed)
