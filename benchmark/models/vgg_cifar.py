"""VGG-BN for 32 × 32 images, in the variants that the papers count.

`vgg16` has one linear layer after five pools (313 M MACs). LAASP puts a hidden layer of 512 before
it. OCSPruner skips the fourth pool and keeps convolution biases (398 M). Percentages of one are
not percentages of the other, so each has its own name.
"""

import torch
from torch import Tensor, nn

from benchmark import model

LAYERS_16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LAYERS_19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
Stages = tuple[tuple[int, ...], ...]


class Vgg(nn.Module):
    def __init__(
        self,
        stages: Stages,
        classes: int,
        *,
        bias: bool = False,
        hidden: int = 0,
        pools: tuple[int, ...] = (0, 1, 2, 3, 4),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = 3
        for number, stage in enumerate(stages):
            for width in stage:
                layers += [nn.Conv2d(width_in, width, 3, padding=1, bias=bias), nn.BatchNorm2d(width), nn.ReLU(True)]
                width_in = width
            if number in pools:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        head: list[nn.Module] = []
        if hidden:
            head = [nn.Linear(width_in, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(True)]
        self.classifier = nn.Sequential(*head, nn.Linear(hidden or width_in, classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))  # type: ignore[no-any-return]


def _narrow(stages: Stages, by: int) -> Stages:
    return tuple(tuple(width // by for width in stage) for stage in stages)


@model(input=(3, 32, 32), classes=10)
def vgg16(classes: int) -> nn.Module:
    return Vgg(LAYERS_16, classes)


@model(input=(3, 32, 32), classes=10)
def vgg19(classes: int) -> nn.Module:
    return Vgg(LAYERS_19, classes)


@model(input=(3, 32, 32), classes=10)
def vgg16_laasp(classes: int) -> nn.Module:
    return Vgg(LAYERS_16, classes, hidden=512)


@model(input=(3, 32, 32), classes=10)
def vgg16_ocspruner(classes: int) -> nn.Module:
    return Vgg(LAYERS_16, classes, bias=True, pools=(0, 1, 2))


@model(input=(3, 32, 32), classes=100)
def vgg19_ocspruner(classes: int) -> nn.Module:
    return Vgg(LAYERS_19, classes, bias=True, pools=(0, 1, 2))


@model(input=(3, 32, 32), classes=10)
def vgg16_quarter(classes: int) -> nn.Module:
    """Quarter width, for tier `small`."""
    return Vgg(_narrow(LAYERS_16, 4), classes)


@model(input=(3, 16, 16), classes=10)
def vgg_tiny(classes: int) -> nn.Module:
    """Four narrow layers, for `quick` and the tests."""
    return Vgg(((16,), (32,), (32, 32)), classes, pools=(0, 1))
