"""A network is read to the same tensors, however it was written."""

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.audit.files import open_network
from benchmark.errors import UserError
from tests.audit.test_hostile import tiny


def equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("wrap", "place", "kind"),
    [
        (lambda network: network.state_dict(), "", "a state_dict"),
        (lambda network: network, "", "a pickled module"),
        (lambda network: {"net": network.state_dict(), "acc": 91.5, "epoch": 3}, "net", "a state_dict"),
        (lambda network: {"state_dict": network, "arch": "tiny"}, "state_dict", "a pickled module"),
        (lambda network: {"model": {"weights": network.state_dict()}}, "model.weights", "a state_dict"),
        (lambda network: nn.DataParallel(network), "", "a pickled module"),
    ],
)
def test_what_torch_saved_is_read_without_torchs_loader(
    wrap: Any, place: str, kind: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, path = tiny(), tmp_path / "network.pth"
    torch.save(wrap(network), path, _use_new_zipfile_serialization=zipped)
    monkeypatch.setattr(torch, "load", None)
    opened = open_network(path)
    prefix = "module." if isinstance(wrap(network), nn.DataParallel) else ""
    assert equal(opened.tensors, {prefix + name: tensor for name, tensor in network.state_dict().items()})
    assert (opened.place, opened.kind) == (place, kind)


def test_numbers_beside_the_weights_are_told(tmp_path: Path) -> None:
    torch.save({"net": tiny().state_dict(), "acc": 91.5, "epoch": 3, "by": "me"}, tmp_path / "a.pth")
    assert open_network(tmp_path / "a.pth").noted == {"acc": 91.5, "epoch": 3, "by": "me"}


def test_safetensors(tmp_path: Path) -> None:
    wanted = tiny().state_dict()
    save_file(wanted, tmp_path / "a.safetensors")
    assert equal(open_network(tmp_path / "a.safetensors").tensors, wanted)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).view(2, 3).T, torch.arange(10.0)[3:7], torch.tensor(3.0), torch.zeros(0, 4),
        torch.arange(4).half(), torch.arange(4).bfloat16(), torch.arange(4).double(), torch.tensor([True, False]),
        torch.arange(5, dtype=torch.int16), nn.Parameter(torch.ones(3)),
    ],
)  # fmt: skip
def test_views_and_types(tensor: Tensor, tmp_path: Path) -> None:
    shared = torch.arange(8.0)
    wanted = OrderedDict(a=tensor, b=shared[:4], c=shared[2:])
    torch.save(wanted, tmp_path / "a.pth")
    found = open_network(tmp_path / "a.pth").tensors
    assert equal(found, dict(wanted))
    assert all(found[name].dtype == wanted[name].dtype for name in wanted)


def test_of_several_networks_one_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"teacher": tiny().state_dict(), "student": tiny().state_dict()}, path)
    with pytest.raises(UserError, match="several networks in it; name one: --key teacher, --key student"):
        open_network(path)
    assert open_network(path, "student").place == "student"
    with pytest.raises(UserError, match="no tensors under 'mine'"):
        open_network(path, "mine")


def test_the_optimizer_is_not_taken_for_the_network(tmp_path: Path) -> None:
    network = tiny()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.zeros(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    torch.save({"weights of it": network.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pth")
    assert open_network(tmp_path / "a.pth").place == "weights of it"


# ---- HDF5 ------------------------------------------------------------------------------------------


def keras(path: Path, *, link: bool = False) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv", b"bn", b"dense"]
        for layer, weights in {
            "conv": {"kernel:0": np.arange(3 * 3 * 2 * 4.0).reshape(3, 3, 2, 4), "bias:0": np.zeros(4)},
            "bn": {
                "gamma:0": np.ones(4),
                "beta:0": np.zeros(4),
                "moving_mean:0": np.ones(4),
                "moving_variance:0": np.ones(4),
            },
            "dense": {"kernel:0": np.arange(8.0).reshape(4, 2), "bias:0": np.zeros(2)},
        }.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in weights]
            for name, value in weights.items():
                group[f"{layer}/{name}"] = value.astype("float32")
        if link:
            del file["dense/dense/bias:0"]
            file["dense/dense/bias:0"] = h5py.ExternalLink("other.h5", "bias")


def test_keras_puts_the_outputs_last(tmp_path: Path) -> None:
    keras(tmp_path / "a.h5")
    found = open_network(tmp_path / "a.h5").tensors
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        "conv.weight": (4, 2, 3, 3), "conv.bias": (4,), "bn.weight": (4,), "bn.bias": (4,), "bn.running_mean": (4,),
        "bn.running_var": (4,), "dense.weight": (2, 4), "dense.bias": (2,),
    }  # fmt: skip
    assert found["conv.weight"][3, 1, 2, 0] == ((2 * 3 + 0) * 2 + 1) * 4 + 3
    assert found["dense.weight"][1, 2] == 2 * 2 + 1


def test_a_link_to_another_file_is_refused(tmp_path: Path) -> None:
    keras(tmp_path / "a.h5", link=True)
    with pytest.raises(UserError, match="a link"):
        open_network(tmp_path / "a.h5")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_of_keras_that_ends_early(share: float, tmp_path: Path) -> None:
    keras(tmp_path / "a.h5")
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match="not read"):
        open_network(tmp_path / "a.h5")


def test_a_file_without_a_suffix_is_known_by_its_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(tiny().state_dict(), buffer)
    (tmp_path / "network").write_bytes(buffer.getvalue())
    assert equal(open_network(tmp_path / "network").tensors, tiny().state_dict())
