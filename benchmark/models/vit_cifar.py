"""Vision transformers for small images: timm's, with patches of 4 × 4 pixels.

They want another recipe than convolutions do (AdamW, warm-up, RandAugment); suites give them one.
"""

from torch import nn

from benchmark import model


@model(input=(3, 32, 32), classes=10)
def vit_cifar(classes: int) -> nn.Module:
    """Six blocks of width 192 with three heads, 64 patches: 183 M MACs."""
    from timm.models.vision_transformer import VisionTransformer

    shape = {"img_size": 32, "patch_size": 4, "embed_dim": 192, "depth": 6, "num_heads": 3}
    network: nn.Module = VisionTransformer(**shape, num_classes=classes)
    return network


@model(input=(3, 16, 16), classes=10)
def vit_tiny(classes: int) -> nn.Module:
    """Two blocks of width 32 with four heads, for `quick` and the tests."""
    from timm.models.vision_transformer import VisionTransformer

    shape = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 4}
    network: nn.Module = VisionTransformer(**shape, num_classes=classes)
    return network
