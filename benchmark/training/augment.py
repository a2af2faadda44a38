"""Augmentation in batches, on the device. Random draws are made on the host, from counters.

A step's draws depend only on (seed, epochs trained, step), so a resumed run sees the same images
as an undisturbed one.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from benchmark.errors import UnknownName
from benchmark.training.transfer import onto

Augment = Callable[[Tensor, torch.Generator], Tensor]
Operation = Callable[[Tensor, float], Tensor]
Shear = tuple[float, float]


def crop4(images: Tensor, draw: torch.Generator) -> Tensor:
    """Pad by four zeros and cut a window of the old size, with one strided gather for the whole batch."""
    n, _, h, w = images.shape
    padded = F.pad(images, (4, 4, 4, 4))
    windows = padded.unfold(2, h, 1).unfold(3, w, 1)  # n, c, 9, 9, h, w: a view
    top, left = onto(images.device, torch.randint(0, 9, (2, n), generator=draw))
    return windows[torch.arange(n, device=images.device), :, top, left]


def flip(images: Tensor, draw: torch.Generator) -> Tensor:
    turned = onto(images.device, torch.rand(len(images), generator=draw) < 0.5)
    return torch.where(turned[:, None, None, None], images.flip(3), images)


def fastai(images: Tensor, draw: torch.Generator) -> Tensor:
    """fastai's aug_transforms() as one warp and one lighting change.

    Flip ½; rotate ±10°, zoom up to 1.1, perspective ±0.2, brightness and contrast 0.2, each with
    probability ¾. Reflection at the border. This is not fastai's code: the ranges are the same, the composition is not.
    """
    n, _, h, w = images.shape

    def sometimes(low: float, high: float, otherwise: float) -> Tensor:
        value = torch.rand(n, generator=draw) * (high - low) + low
        return torch.where(torch.rand(n, generator=draw) < 0.75, value, otherwise)

    angle = sometimes(-10, 10, 0) * math.pi / 180
    zoom = sometimes(1, 1.1, 1)
    tilt = torch.stack([sometimes(-0.2, 0.2, 0), sometimes(-0.2, 0.2, 0)])
    mirror = torch.where(torch.rand(n, generator=draw) < 0.5, -1.0, 1.0)
    light = sometimes(math.log(0.8), math.log(1.25), 0).exp()
    gain = sometimes(math.log(0.8), math.log(1.25), 0).exp()

    ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    x, y = xs.expand(n, h, w), ys.expand(n, h, w)
    cos, sin = (angle.cos() / zoom)[:, None, None], (angle.sin() / zoom)[:, None, None]
    x, y = mirror[:, None, None] * (cos * x - sin * y), sin * x + cos * y
    depth = 1 + 0.5 * (tilt[0][:, None, None] * x + tilt[1][:, None, None] * y)
    grid = torch.stack([x / depth, y / depth], dim=3).to(images.device)
    warped = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    light, gain = light.to(images.device)[:, None, None, None], gain.to(images.device)[:, None, None, None]
    middle = warped.mean(dim=(1, 2, 3), keepdim=True)
    return (((warped - middle) * gain + middle) * light).clamp(0, 255)


def randaugment(images: Tensor, draw: torch.Generator) -> Tensor:
    """RandAugment (Cubuk et al. 2020): two of fourteen operations per image, at magnitude 9 of 30.

    Images that drew the same operation and sign go through torchvision's together.
    """
    for _ in range(2):
        drawn = torch.randint(0, len(OPERATIONS), (len(images),), generator=draw)
        signs = torch.randint(0, 2, (len(images),), generator=draw)
        images = images.clone()
        for number, operation in enumerate(OPERATIONS):
            for sign in (0, 1):
                chosen = ((drawn == number) & (signs == sign)).nonzero().flatten().to(images.device)
                if len(chosen):
                    images[chosen] = operation(images[chosen], 0.3 * (1 - 2 * sign))
    return images


def _moved(images: Tensor, angle: float = 0.0, shift: tuple[int, int] = (0, 0), shear: Shear = (0.0, 0.0)) -> Tensor:
    moved: Tensor = tv.affine(images, angle, list(shift), 1.0, list(shear), interpolation=InterpolationMode.NEAREST)
    return moved


# An operation gets pixels and a signed strength between -1 and 1, which is a share of its range.
OPERATIONS: tuple[Operation, ...] = (
    lambda x, s: x,
    lambda x, s: tv.autocontrast(x),
    lambda x, s: tv.equalize(x),
    lambda x, s: _moved(x, angle=30 * s),
    lambda x, s: tv.solarize(x, 255 * (1 - abs(s))),
    lambda x, s: tv.posterize(x, 8 - round(4 * abs(s))),
    lambda x, s: tv.adjust_saturation(x, 1 + 0.9 * s),
    lambda x, s: tv.adjust_contrast(x, 1 + 0.9 * s),
    lambda x, s: tv.adjust_brightness(x, 1 + 0.9 * s),
    lambda x, s: tv.adjust_sharpness(x, 1 + 0.9 * s),
    lambda x, s: _moved(x, shear=(math.degrees(math.atan(0.3 * s)), 0.0)),
    lambda x, s: _moved(x, shear=(0.0, math.degrees(math.atan(0.3 * s)))),
    lambda x, s: _moved(x, shift=(round(150 / 331 * x.shape[3] * s), 0)),
    lambda x, s: _moved(x, shift=(0, round(150 / 331 * x.shape[2] * s))),
)

IN_LOADER = "resized_crop"
AUGMENTS: dict[str, Augment] = {"crop4": crop4, "flip": flip, "fastai": fastai, "randaugment": randaugment}


def augments(names: tuple[str, ...]) -> list[Augment]:
    """The augmentations of a batch of pixels. A crop of a file is made while it is decoded."""
    for name in names:
        if name not in AUGMENTS and name != IN_LOADER:
            raise UnknownName("augmentation", name, (*AUGMENTS, IN_LOADER))
    return [AUGMENTS[name] for name in names if name != IN_LOADER]
