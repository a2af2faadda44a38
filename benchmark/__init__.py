"""prunebench: does a pruning paper's claim hold, at what accuracy, at what MACs, at what cost?

The names below are the whole face a method sees. They load on first use, so that plans, tables
and gates run on a machine without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.network.schedules import prune_along as prune_along
    from benchmark.registry import dataset as dataset
    from benchmark.registry import method as method
    from benchmark.registry import model as model
    from benchmark.run import Run as Run

FACE = {
    "Run": "benchmark.run",
    "method": "benchmark.registry",
    "model": "benchmark.registry",
    "dataset": "benchmark.registry",
    "prune_along": "benchmark.network.schedules",
}
__all__ = ["Run", "dataset", "method", "model", "prune_along"]


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"benchmark offers {', '.join(__all__)}; not {name!r}")
    return getattr(import_module(FACE[name]), name)
