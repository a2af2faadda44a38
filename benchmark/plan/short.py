"""The tier `short`: one epoch of five, with everything in epochs scaled."""

from pathlib import Path

from benchmark.plan import discovery
from benchmark.plan.cell import Method

SHORT = 5


def shortened(epochs: int) -> int:
    """At least one; what is no number of epochs (0, -1) stays."""
    return max(1, round(epochs / SHORT)) if epochs > 0 else epochs


def short_of(method: Method, methods_from: tuple[Path, ...]) -> Method:
    """With all options in epochs scaled as the recipe is."""
    marked = discovery.methods(methods_from)[method.name].epochs
    config = {
        key: shortened(value) if key in marked and isinstance(value, int) else value
        for key, value in method.config.items()
    }
    return method.model_copy(update={"config": config})
