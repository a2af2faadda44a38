"""What the tests of channels share: networks as after some training, scores that were drawn, a cut."""

import torch
from torch import Tensor, nn

from benchmark.plan import discovery
from benchmark.pruning import cuts
from benchmark.pruning.channels import Channels
from benchmark.pruning.groups import Groups

TINY = ["resnet_tiny", "vgg_tiny", "mobilenetv2_tiny", "vit_tiny"]
CUT = [
    *TINY,
    "resnet20",
    "resnet20_pad",
    "resnet56",
    "vgg16_quarter",
    "mobilenetv2_cifar",
    "vit_cifar",
    "resnet18_cifar",
]


class Grouped(nn.Module):
    """A convolution in two groups, a depthwise one, and an image flattened into a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 16, 3, padding=1)
        self.b = nn.Conv2d(16, 24, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(24)
        self.c = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.out = nn.Linear(24 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.flatten(self.c(self.norm(self.b(self.a(x).relu())).relu()), 1))  # type: ignore[no-any-return]


def network_of(name: str) -> tuple[nn.Module, tuple[int, int, int], int]:
    if name == "grouped":
        torch.manual_seed(0)
        return Grouped(), (3, 4, 4), 10
    found = discovery.models()[name]
    torch.manual_seed(0)
    network = discovery.load(found)(found.facts["classes"])
    with torch.no_grad():  # statistics and scales as after some training: all different
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.dim() == 1 and tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) / 2)
    return network, found.facts["input"], found.facts["classes"]


def drawn(groups: Groups, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.rand(group.width, generator=draw) for name, group in groups.items()}


def cut(network: nn.Module, channels: Channels, kept: cuts.Kept) -> None:
    cuts.apply(network, channels.cut(network, kept))
