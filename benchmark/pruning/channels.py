"""A network's channels, from dense to now: the groups, what they cost, which of them are left."""

from torch import nn

from benchmark.errors import UserError
from benchmark.pruning import cuts
from benchmark.pruning.costs import Costs, widths_of
from benchmark.pruning.groups import Groups, find_groups, shrunk


class Channels:
    """Keeps the books of a network's cuts; the tensors are cut by whoever owns them."""

    def __init__(self, dense: nn.Module, shape: tuple[int, int, int], classes: int, model: str = "the network") -> None:
        self.model = model
        self.groups: Groups = find_groups(dense, shape, classes)
        if not self.groups:
            raise UserError(f"{model}: it has no channel group that could be cut")
        self.costs = Costs(dense, self.groups, shape)

    @property
    def widths(self) -> dict[str, int]:
        return widths_of(self.groups)

    @property
    def kept(self) -> cuts.Kept:
        """All cuts so far as one, in the numbers of the dense network."""
        return {name: list(group.ids) for name, group in self.groups.items()}

    def cut(self, network: nn.Module, kept: cuts.Kept) -> list[cuts.Slices]:
        """Enter a cut into the books and say how to slice the network's tensors for it."""
        cuts.check(self.groups, kept, self.model)
        parts = cuts.slices(network, self.groups, kept)
        self.groups = shrunk(self.groups, kept)
        return parts
