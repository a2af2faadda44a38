"""MobileNetV2 for 32 × 32 images: the usual adaptation, with the first two strides taken out.

Torchvision's blocks and widths. At 32 pixels the strides for 224 pixels would leave one pixel.
"""

from typing import Any

from torch import nn

from benchmark import model

# expansion, width, repeats, stride: as in the published table, except the stride of the second line (2 there)
BLOCKS = [[1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]


def _mobilenet(classes: int, blocks: list[list[int]]) -> Any:
    from torchvision.models import MobileNetV2

    network = MobileNetV2(num_classes=classes, inverted_residual_setting=blocks, dropout=0.0)
    network.features[0][0].stride = (1, 1)
    return network


@model(input=(3, 32, 32), classes=10)
def mobilenetv2_cifar(classes: int) -> nn.Module:
    network: nn.Module = _mobilenet(classes, BLOCKS)
    return network


@model(input=(3, 16, 16), classes=10)
def mobilenetv2_tiny(classes: int) -> nn.Module:
    """Four narrow blocks and a short head, for `quick` and the tests."""
    network = _mobilenet(classes, [[1, 8, 1, 1], [3, 16, 2, 2], [3, 24, 1, 2]])
    head = network.features[-1]
    head[0], head[1] = nn.Conv2d(24, 64, 1, bias=False), nn.BatchNorm2d(64)
    network.classifier = nn.Sequential(nn.Linear(64, classes))
    nn.init.kaiming_normal_(head[0].weight, mode="fan_out")
    tiny: nn.Module = network
    return tiny
