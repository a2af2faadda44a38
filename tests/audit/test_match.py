"""Somebody else's layers find their places in a model here, at whatever width they have."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmark.audit.match import fit
from benchmark.errors import UserError
from benchmark.plan import discovery
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels

SHAPE = (3, 16, 16)


def network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = discovery.load(discovery.models()[name])(10)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return made.eval()


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As another repository would call them, with the shortcut before the second convolution."""
    out = {}
    for name, tensor in tensors.items():
        name = re.sub(r"blocks\.(\d+)\.", lambda m: f"stage_{int(m[1]) + 1}.0.", name)
        for ours, theirs in {"conv1": "conv_a", "bn1": "bn_a", "shortcut": "downsample", "fc": "classifier"}.items():
            name = name.replace(ours, theirs)
        out[f"module.{name}"] = tensor
    return out


def cut(name: str, shares: Callable[[int], int]) -> nn.Module:
    """A network whose groups have only their first channels left."""
    made = network(name)
    channels = Channels(made, SHAPE, 10, name)
    kept = {group: list(range(shares(width))) for group, width in channels.widths.items()}
    cuts.apply(made, channels.cut(made, kept))
    return made.eval()


@pytest.mark.parametrize("other_names", [True, False])
@pytest.mark.parametrize("name", ["resnet_tiny", "vgg_tiny", "mobilenetv2_tiny"])
@pytest.mark.parametrize("width", [lambda width: width, lambda width: max(1, width // 3), lambda width: 1])
def test_it_computes_what_it_computed_there(name: str, width: Callable[[int], int], other_names: bool) -> None:
    theirs, ours = cut(name, width), network(name, seed=1)
    tensors = renamed(theirs.state_dict()) if other_names else theirs.state_dict()
    found = fit(ours, tensors, SHAPE, 10, {})
    images = torch.randn(4, *SHAPE)
    assert torch.equal(ours(images), theirs(images))
    assert count.macs(ours, SHAPE) == count.macs(theirs, SHAPE)
    assert count.parameters(ours) == count.parameters(theirs)
    assert found.how == ("by structure" if other_names and name == "resnet_tiny" else found.how)


def test_masks_are_applied() -> None:
    theirs = network("resnet_tiny")
    whole = theirs.state_dict()
    mask = (torch.rand_like(whole["fc.weight"]) > 0.5).float()
    beside = {**whole, "fc.mask": mask}
    torchs = {
        **{k: v for k, v in whole.items() if k != "fc.weight"},
        "fc.weight_orig": whole["fc.weight"],
        "fc.weight_mask": mask,
    }
    for tensors in (beside, torchs):
        ours = network("resnet_tiny", seed=1)
        fit(ours, tensors, SHAPE, 10, {})
        assert torch.equal(ours.get_parameter("fc.weight"), whole["fc.weight"] * mask)


def test_gates_become_part_of_their_norms() -> None:
    theirs = network("resnet_tiny")
    gate, mask = torch.rand(8) + 0.5, (torch.rand(8) > 0.3).float()
    tensors = {k.replace("blocks.0.bn1.", "blocks.0.bn1.bn."): v for k, v in theirs.state_dict().items()}
    tensors |= {"blocks.0.bn1.g": gate.view(1, 8, 1, 1), "blocks.0.bn1.bn_mask": mask.view(1, 8, 1, 1)}
    ours = network("resnet_tiny", seed=1)
    fit(ours, tensors, SHAPE, 10, {})
    norm = theirs.get_submodule("blocks.0.bn1")
    norm.register_forward_hook(lambda m, x, y: y * (gate * mask).view(1, 8, 1, 1))
    images = torch.randn(4, *SHAPE)
    torch.testing.assert_close(ours(images), theirs(images))


def test_a_network_without_some_blocks() -> None:
    theirs = network("resnet20_keras")
    for gone in ("1", "5"):
        theirs.get_submodule("blocks")._modules[gone] = nn.Identity()
    ours = network("resnet20_keras", seed=1)
    with pytest.raises(UserError, match=r"it has 15 3 × 3 convolutions, the model 19"):
        fit(network("resnet20_keras"), renamed(theirs.state_dict()), (3, 32, 32), 10, {})
    fit(ours, renamed(theirs.state_dict()), (3, 32, 32), 10, {}, ("blocks.1", "blocks.5"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(ours(images), theirs(images))
    with pytest.raises(UserError, match=r"the model has no block 'blocks\.99'"):
        fit(ours, theirs.state_dict(), (3, 32, 32), 10, {}, ("blocks.99",))


def test_what_is_mapped_by_hand_overrules() -> None:
    theirs = network("resnet_tiny")
    tensors = theirs.state_dict()
    swapped = {"blocks.0.conv1": "blocks.0.conv2", "blocks.0.conv2": "blocks.0.conv1"}
    ours = network("resnet_tiny", seed=1)
    found = fit(ours, tensors, SHAPE, 10, swapped)
    assert found.how == "by name, 2 as mapped"
    assert torch.equal(ours.get_parameter("blocks.0.conv1.weight"), tensors["blocks.0.conv2.weight"])
    with pytest.raises(UserError, match="the model has no layer convX"):
        fit(ours, tensors, SHAPE, 10, {"convX": "conv1"})
    with pytest.raises(UserError, match="the file has no layer convY"):
        fit(ours, tensors, SHAPE, 10, {"conv1": "convY"})


def test_what_is_of_no_use_is_told() -> None:
    tensors = network("resnet_tiny").state_dict() | {"mean": torch.zeros(3), "conv1.total_ops": torch.zeros(1)}
    assert fit(network("resnet_tiny"), tensors, SHAPE, 10, {}).unused == ("mean",)
