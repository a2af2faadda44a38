"""ResNets for 32 × 32 images: three stages of basic blocks, 6n+2 layers (He et al. 2016).

There are two shortcuts where the width doubles: a 1 × 1 convolution with batch norm (the form that OCSPruner
and LAASP prune), and He's parameter-free padding, under its own name.

The first ReLU of a block, the stem's ReLU and the pooling are modules; the ReLU after the sum is not. That is
as in OCSPruner's networks, whose counter sees only modules.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import model


class Pad(nn.Module):
    """Every second pixel, and zeros for the missing channels."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class Block(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int, pad: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if width_in != width:
            one = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            self.shortcut = Pad(width - width_in) if pad else one

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)).add_(self.shortcut(x)), inplace=True)


class ResNet(nn.Module):
    def __init__(self, blocks: int, classes: int, width: int = 16, pad: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        stages: list[Block] = []
        width_in = width
        for stage in range(3):
            for block in range(blocks):
                out, stride = width * 2**stage, 2 if stage and not block else 1
                stages.append(Block(width_in, out, stride, pad))
                width_in = out
        self.blocks = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width_in, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.pool(x), 1))  # type: ignore[no-any-return]


@model(input=(3, 32, 32), classes=10)
def resnet20(classes: int) -> nn.Module:
    return ResNet(3, classes)


@model(input=(3, 32, 32), classes=10)
def resnet32(classes: int) -> nn.Module:
    return ResNet(5, classes)


@model(input=(3, 32, 32), classes=10)
def resnet56(classes: int) -> nn.Module:
    return ResNet(9, classes)


@model(input=(3, 32, 32), classes=10)
def resnet110(classes: int) -> nn.Module:
    return ResNet(18, classes)


@model(input=(3, 32, 32), classes=10)
def resnet20_pad(classes: int) -> nn.Module:
    return ResNet(3, classes, pad=True)


@model(input=(3, 32, 32), classes=10)
def resnet32_pad(classes: int) -> nn.Module:
    return ResNet(5, classes, pad=True)


@model(input=(3, 32, 32), classes=10)
def resnet56_pad(classes: int) -> nn.Module:
    return ResNet(9, classes, pad=True)


@model(input=(3, 32, 32), classes=10)
def resnet110_pad(classes: int) -> nn.Module:
    return ResNet(18, classes, pad=True)


@model(input=(3, 32, 32), classes=10)
def resnet18_cifar(classes: int) -> nn.Module:
    """torchvision's ResNet-18 with the usual small-image stem: 3 × 3, stride 1, no pool."""
    from torchvision.models import resnet18

    network: nn.Module = resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return network


@model(input=(3, 16, 16), classes=10)
def resnet_tiny(classes: int) -> nn.Module:
    """ResNet-8 of half width, for `quick` and the tests."""
    return ResNet(1, classes, width=8)
