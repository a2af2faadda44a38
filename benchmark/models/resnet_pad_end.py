"""ResNets for 32 × 32 images whose shortcuts add the missing channels behind the others, all zeros.

That is how the code of SFP and FPGM pads; He's own padding (resnet_cifar.py) adds half of them on either side.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import model

from .resnet_cifar import Block, ResNet


class Behind(nn.Module):
    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
        return padded


def _padded(blocks: int, classes: int) -> nn.Module:
    network = ResNet(blocks, classes, pad=True)
    for block in network.blocks:
        assert isinstance(block, Block)
        if not isinstance(block.shortcut, nn.Identity):
            block.shortcut = Behind(block.conv1.out_channels - block.conv1.in_channels)
    return network


@model(input=(3, 32, 32), classes=10)
def resnet20_pad_end(classes: int) -> nn.Module:
    return _padded(3, classes)


@model(input=(3, 32, 32), classes=10)
def resnet32_pad_end(classes: int) -> nn.Module:
    return _padded(5, classes)
