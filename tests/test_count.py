"""Counts, to the last digit: the operator-level counter and the closed form agree with the pins."""

import pytest
import torch
from torch import nn

from benchmark import find
from benchmark.network import count

# MACs at the model's own input, parameters. Integers of dense networks: a change here is a change
# of network or counter, never a rounding.
PINNED = {
    "resnet20": (40_813_184, 272_474),
    "resnet32": (69_124_736, 466_906),
    "resnet56": (125_747_840, 855_770),
    "resnet110": (253_149_824, 1_730_714),
    "resnet20_pad": (40_551_040, 269_722),
    "resnet32_pad": (68_862_592, 464_154),
    "resnet56_pad": (125_485_696, 853_018),
    "resnet110_pad": (252_887_680, 1_727_962),
    "resnet_tiny": (809_280, 19_954),
    "vgg16": (313_201_664, 14_724_042),
    "vgg19": (398_136_320, 20_035_018),
    "vgg16_laasp": (313_463_808, 14_987_210),
    "vgg16_ocspruner": (398_136_320, 14_728_266),
    "vgg19_ocspruner": (511_428_608, 20_086_692),
    "vgg16_quarter": (19_907_840, 923_130),
    "vgg_tiny": (700_736, 24_026),
    "resnet18_cifar": (555_422_720, 11_173_962),
    "mobilenetv2_cifar": (87_976_448, 2_236_682),
    "mobilenetv2_tiny": (673_664, 9_570),
    "vit_cifar": (182_849_664, 2_693_578),
    "vit_tiny": (479_680, 27_946),
    "resnet18": (1_814_073_344, 11_689_512),
    "resnet34": (3_663_761_408, 21_797_672),
    "resnet50": (4_089_184_256, 25_557_032),
    "vgg16_bn": (15_470_264_320, 138_365_992),
    "mobilenetv2": (300_774_272, 3_504_872),
    "vit_b_16": (17_563_828_224, 86_567_656),
    "deit_tiny": (1_253_683_200, 5_717_416),
    "deit_small": (4_598_882_304, 22_050_664),
}


def test_every_model_is_pinned() -> None:
    assert set(find.models()) == set(PINNED)


@pytest.mark.parametrize("name", PINNED)
@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
def test_macs_and_parameters(name: str, grad: bool) -> None:
    found = find.models()[name]
    network = find.load(found)(found.facts["classes"])
    with torch.set_grad_enabled(grad):
        macs = count.macs(network, found.facts["input"])
        closed = count.macs_closed_form(network, found.facts["input"])
    assert (macs, closed, count.parameters(network)) == (PINNED[name][0], *PINNED[name])


def test_a_depthwise_convolution_costs_a_channel_each() -> None:
    network = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    assert count.macs(network, (8, 10, 10)) == count.macs_closed_form(network, (8, 10, 10)) == 8 * 9 * 100


def test_zeros_are_skipped_by_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        network[0].weight[0] = 0
    assert count.macs(network, (1, 2, 2)) == 2 * 4 + 24
    assert count.macs_nonzero(network, (1, 2, 2)) == 1 * 4 + 24


def test_counting_changes_nothing() -> None:
    found = find.models()["resnet_tiny"]
    network = find.load(found)(10)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count.every_count(network, (3, 16, 16))
    assert network.training
    assert torch.backends.mha.get_fastpath_enabled()
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
