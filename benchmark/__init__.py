"""prunebench: does a pruning paper's claim hold, at what accuracy, at what MACs, at what cost?

The names below are the whole face a method sees. They load on first use, so that plans, tables
and gates run on a machine without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.cell import Scope as Scope
    from benchmark.engine.training import Now as Now
    from benchmark.errors import UserError as UserError
    from benchmark.network.criteria import NORMALISE as NORMALISE
    from benchmark.network.criteria import Criterion as Criterion
    from benchmark.network.criteria import scaled_square as scaled_square
    from benchmark.network.criteria import scores as scores
    from benchmark.network.criteria import usual as usual
    from benchmark.network.groups import Group as Group
    from benchmark.network.masks import hold_zeros as hold_zeros
    from benchmark.network.masks import prunable as prunable
    from benchmark.network.masks import zero_lowest as zero_lowest
    from benchmark.network.schedules import lowest as lowest
    from benchmark.network.schedules import prune_along as prune_along
    from benchmark.network.targets import NEAR as NEAR
    from benchmark.registry import dataset as dataset
    from benchmark.registry import method as method
    from benchmark.registry import model as model
    from benchmark.run import Run as Run
    from benchmark.view import View as View

__version__ = "0.1.0"
FACE = {
    "Criterion": "benchmark.network.criteria",
    "NEAR": "benchmark.network.targets",
    "NORMALISE": "benchmark.network.criteria",
    "Group": "benchmark.network.groups",
    "Now": "benchmark.engine.training",
    "Run": "benchmark.run",
    "Scope": "benchmark.cell",
    "UserError": "benchmark.errors",
    "View": "benchmark.view",
    "hold_zeros": "benchmark.network.masks",
    "lowest": "benchmark.network.schedules",
    "prunable": "benchmark.network.masks",
    "zero_lowest": "benchmark.network.masks",
    "method": "benchmark.registry",
    "model": "benchmark.registry",
    "dataset": "benchmark.registry",
    "prune_along": "benchmark.network.schedules",
    "scaled_square": "benchmark.network.criteria",
    "scores": "benchmark.network.criteria",
    "usual": "benchmark.network.criteria",
}
__all__ = [
    "NEAR",
    "NORMALISE",
    "Criterion",
    "Group",
    "Now",
    "Run",
    "Scope",
    "UserError",
    "View",
    "dataset",
    "hold_zeros",
    "lowest",
    "method",
    "model",
    "prunable",
    "prune_along",
    "scaled_square",
    "scores",
    "usual",
    "zero_lowest",
]


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"benchmark offers {', '.join(__all__)}; not {name!r}")
    return getattr(import_module(FACE[name]), name)
