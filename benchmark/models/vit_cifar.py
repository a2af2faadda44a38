"""Vision transformers for small images: timm's, with patches of 4 × 4 pixels.

They need another recipe than convolutional networks (AdamW, warm-up, RandAugment); suites give them one.
"""

from torch import nn

from benchmark import model


@model(input=(3, 32, 32), classes=10)
def vit_cifar(classes: int) -> nn.Module:
    """Six blocks of width 192 with three heads, 64 patches: 183 M MACs."""
    return _transformer(classes, img_size=32, embed_dim=192, depth=6, num_heads=3)


@model(input=(3, 16, 16), classes=10)
def vit_tiny(classes: int) -> nn.Module:
    """Two blocks of width 32 with four heads, for `quick` and the tests."""
    return _transformer(classes, img_size=16, embed_dim=32, depth=2, num_heads=4)


def _transformer(classes: int, **shape: int) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    network = VisionTransformer(**shape, patch_size=4, num_classes=classes)
    for block in network.blocks:  # with few patches two products are faster: the fused kernel's backward pass
        block.attn.fused_attn = False  # takes half of a step on a CPU (docs/LOG.md)
    return network  # type: ignore[no-any-return]
