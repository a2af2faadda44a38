"""prunebench: does a pruning paper's claim hold, at what accuracy, at what MACs, at what cost?

The names below are all that a method imports. They load on first use, so that plans, tables
and gates run on a machine without torch. `__init__.pyi` lists them for type checkers.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
FACE = {
    "Criterion": "benchmark.pruning.criteria",
    "Epochs": "benchmark.plan.discovery",
    "Group": "benchmark.pruning.groups",
    "NEAR": "benchmark.pruning.targets",
    "NORMALISE": "benchmark.pruning.criteria",
    "Now": "benchmark.training.training",
    "Run": "benchmark.runs.run",
    "Scope": "benchmark.plan.cell",
    "UserError": "benchmark.errors",
    "View": "benchmark.pruning.view",
    "dataset": "benchmark.plan.registry",
    "hold_zeros": "benchmark.pruning.masks",
    "lowest": "benchmark.runs.schedules",
    "method": "benchmark.plan.registry",
    "model": "benchmark.plan.registry",
    "prunable": "benchmark.pruning.masks",
    "prune_along": "benchmark.runs.schedules",
    "scaled_square": "benchmark.pruning.criteria",
    "scores": "benchmark.pruning.criteria",
    "usual": "benchmark.pruning.criteria",
    "zero_lowest": "benchmark.pruning.masks",
}
__all__ = [*FACE]


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"benchmark offers {', '.join(__all__)}; not {name!r}")
    return getattr(import_module(FACE[name]), name)
