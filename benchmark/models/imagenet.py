"""The 224-pixel networks, as torchvision and timm define them, without their weights."""

from torch import nn

from benchmark import model


@model(input=(3, 224, 224), classes=1000)
def resnet18(classes: int) -> nn.Module:
    from torchvision.models import resnet18

    network: nn.Module = resnet18(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def resnet34(classes: int) -> nn.Module:
    from torchvision.models import resnet34

    network: nn.Module = resnet34(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def resnet50(classes: int) -> nn.Module:
    from torchvision.models import resnet50

    network: nn.Module = resnet50(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def vgg16_bn(classes: int) -> nn.Module:
    """With the 4096-4096 head. At 224 pixels the pool before the head is the identity, and on a
    GPU the pool has no deterministic gradient, so it is replaced by an identity."""
    from torchvision.models import vgg16_bn

    network: nn.Module = vgg16_bn(num_classes=classes)
    network.avgpool = nn.Identity()
    return network


@model(input=(3, 224, 224), classes=1000)
def mobilenetv2(classes: int) -> nn.Module:
    from torchvision.models import mobilenet_v2

    network: nn.Module = mobilenet_v2(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def vit_b_16(classes: int) -> nn.Module:
    """timm's, whose heads can be removed one by one; torchvision's has the same counts."""
    from timm.models.vision_transformer import vit_base_patch16_224

    network: nn.Module = vit_base_patch16_224(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def deit_tiny(classes: int) -> nn.Module:
    from timm.models.deit import deit_tiny_patch16_224

    network: nn.Module = deit_tiny_patch16_224(num_classes=classes)
    return network


@model(input=(3, 224, 224), classes=1000)
def deit_small(classes: int) -> nn.Module:
    from timm.models.deit import deit_small_patch16_224

    network: nn.Module = deit_small_patch16_224(num_classes=classes)
    return network
