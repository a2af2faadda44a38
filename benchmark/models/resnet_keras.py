"""ResNets for 32 × 32 images as the examples of Keras build them (He et al. 2016, with differences).

Convolutions have biases, the shortcut is a 1 × 1 convolution without batch norm, and a batch norm adds 1e-3 to the
variance. "Same" padding at stride 2 adds a row and a column at the end only. Networks that authors released for Keras
can be evaluated with them; no suite trains them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import model


class Block(nn.Module):
    """In the order of Keras: the shortcut stands before the last batch norm."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 0 if stride == 2 else 1)
        self.bn1 = nn.BatchNorm2d(width, eps=1e-3)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut: nn.Module = nn.Conv2d(width_in, width, 1, stride) if width_in != width else nn.Identity()
        self.bn2 = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(16, eps=1e-3)
        stages: list[Block] = []
        for stage in range(3):
            for block in range(blocks):
                out, stride = 16 * 2**stage, 2 if stage and not block else 1
                stages.append(Block(out // stride, out, stride))
        self.blocks = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.pool(x), 1))  # type: ignore[no-any-return]


@model(input=(3, 32, 32), classes=10)
def resnet20_keras(classes: int) -> nn.Module:
    return ResNet(3, classes)


@model(input=(3, 32, 32), classes=10)
def resnet56_keras(classes: int) -> nn.Module:
    return ResNet(9, classes)


@model(input=(3, 32, 32), classes=10)
def resnet110_keras(classes: int) -> nn.Module:
    return ResNet(18, classes)
