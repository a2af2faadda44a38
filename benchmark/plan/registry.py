"""The decorators that mark a function as a method, a model or a data set.

They only keep the facts given to them. `discovery.py` reads the same facts from the file's text, so
that a suite can be planned without importing anything heavy.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def method(
    *,
    removes: Collection[str] = (),
    version: int = 1,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    start: str = "",
    architecture: str = "",
    implied: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[F], F]:
    """`removes`: the kinds of target it can meet. Raise `version` when its meaning changes.

    `variants`: named sets of options. `start`: the option that says which share of the epochs a
    dense parent is trained for; `run.start_from_dense()` takes over its weights. `architecture`: the
    option that names the method whose widths `run.architecture()` gives. `implied`: for an option that was
    added later, the value that held for each kind of target before. At that value it is not written into a cell,
    so older cells keep their ids.
    """
    return _keep(
        removes=frozenset(removes),
        version=version,
        variants=variants or {},
        start=start,
        architecture=architecture,
        implied=implied or {},
    )


def model(*, input: tuple[int, int, int], classes: int) -> Callable[[F], F]:
    """`input` and `classes`: used to count the network when no data set is named."""
    return _keep(input=input, classes=classes)


def dataset(*, shape: tuple[int, int, int] | None = None, classes: int | None = None) -> Callable[[F], F]:
    """None where only the files show it."""
    return _keep(shape=shape, classes=classes)


def _keep(**facts: Any) -> Callable[[F], F]:
    def mark(function: F) -> F:
        function.__dict__["facts"] = facts
        return function

    return mark
