"""A network's channels, from dense to now: the groups, their costs, and which channels are left."""

from torch import nn

from benchmark.errors import UserError
from benchmark.pruning import cuts
from benchmark.pruning.costs import Costs, widths_of
from benchmark.pruning.groups import Groups, find_groups, shrunk


class Channels:
    """Records a network's cuts. The caller cuts the tensors."""

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
        """All cuts so far as one cut, with the channel numbers of the dense network."""
        return {name: list(group.ids) for name, group in self.groups.items()}

    def cut(self, network: nn.Module, kept: cuts.Kept) -> list[cuts.Slices]:
        """Record a cut, and return how to slice the network's tensors for it."""
        cuts.check(self.groups, kept, self.model)
        parts = cuts.slices(network, self.groups, kept)
        self.groups = shrunk(self.groups, kept)
        return parts
