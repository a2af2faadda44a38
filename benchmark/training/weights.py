"""A network's weights as bytes: their hash, and the file that holds them."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmark.records.store import write_safely


def weights_hash(network: nn.Module) -> str:
    """The hash of every parameter and buffer, in the order of their names. Equal hashes mean equal networks."""
    whole = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        whole.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return whole.hexdigest()[:16]


def write_weights(network: nn.Module, path: Path) -> None:
    write_safely(path, save({name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}))


def read_weights(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(path)
    return tensors
