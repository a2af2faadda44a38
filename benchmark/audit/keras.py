"""Weights that Keras wrote as HDF5, in PyTorch's names and shapes."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.audit.unpickle import Refused
from benchmark.errors import UserError

NAMES = {
    "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip


def read(path: Path, largest: int) -> dict[str, Tensor]:
    """The tensors, layer by layer in Keras' order."""
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path}: HDF5 needs h5py; `pip install h5py`") from None
    found: dict[str, Tensor] = {}
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        for layer in map(_text, root.attrs["layer_names"]):
            for name in map(_text, root[layer].attrs["weight_names"]):
                _check(h5py, root[layer], name)
                data = root[layer][name]
                largest -= data.nbytes
                if largest < 0 or data.dtype.kind != "f" or data.external:
                    raise Refused(f"{name}: too large, not of numbers, or in another file")
                leaf = name.rpartition("/")[2].partition(":")[0]
                found[f"{layer}.{NAMES.get(leaf, leaf)}"] = _turned(torch.from_numpy(data[()].astype("float32")))
    return found


def _check(h5py: Any, group: Any, name: str) -> None:
    """Only what lies in the file itself: a link could name any file of this machine."""
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise Refused(f"{name}: a link")
        group = group[part]


def _turned(tensor: Tensor) -> Tensor:
    """Keras puts the outputs last."""
    if tensor.dim() == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.T.contiguous() if tensor.dim() == 2 else tensor


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
