"""What a worker needs from around its cells, set up once in its process."""

from pathlib import Path

from benchmark.engine.environment import prepare
from benchmark.execute import Desk
from benchmark.launch.spec import How
from benchmark.store import Store


def desk_for(how: How, store: Store) -> Desk:
    environment = prepare(how.device, "fast" if how.mode == "fast" else "repeatable", how.threads)
    methods = tuple(map(Path, how.methods))
    return Desk(store, environment, Path(how.data), methods, save_every=how.save_every, packed=how.packed)
