"""How much a network computes: multiply-accumulates of one image, by several counters.

`macs` is the canonical one: convolutions, linear layers and attention products; no bias, no
normalisation, no activation. Counted at the operator level under the math attention kernel with
the fast path off, because otherwise attention vanishes on a CPU (pytorch#195460).
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, int, int]


def macs(network: nn.Module, shape: Shape) -> int:
    with _still(network), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(_one(network, shape))
    flops: int = counter.get_total_flops()
    if flops % 2:
        raise ArithmeticError(f"an odd number of FLOPs, {flops}: the counter no longer counts pairs")
    return flops // 2


def macs_by_layer(network: nn.Module, shape: Shape) -> dict[str, int]:
    """The closed form, from the shapes that pass each layer. Attention products under `<module>.products`."""
    found: dict[str, int] = {}
    handles = []

    def note(name: str, value: int) -> None:
        found[name] = found.get(name, 0) + value

    def conv(name: str, m: nn.Conv2d) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            per_place = m.out_channels * (m.in_channels // m.groups) * m.kernel_size[0] * m.kernel_size[1]
            note(name, per_place * out.shape[2] * out.shape[3])

        handles.append(m.register_forward_hook(hook))

    def linear(name: str, m: nn.Linear) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            note(name, m.in_features * m.out_features * (args[0].numel() // args[0].shape[-1]))

        handles.append(m.register_forward_hook(hook))

    def torch_attention(name: str, m: nn.MultiheadAttention) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            tokens, width = args[0].shape[1], m.embed_dim
            note(f"{name}.in_proj", 3 * tokens * width * width)
            note(f"{name}.out_proj", tokens * width * width)
            note(f"{name}.products", 2 * tokens * tokens * width)

        handles.append(m.register_forward_hook(hook))

    def timm_attention(name: str, heads: int, head_dim: int, m: nn.Module) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            note(f"{name}.products", 2 * args[0].shape[1] ** 2 * heads * head_dim)

        handles.append(m.register_forward_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            conv(name, module)
        elif isinstance(module, nn.MultiheadAttention):
            torch_attention(name, module)
        elif isinstance(module, nn.Linear):
            linear(name, module)
        elif hasattr(module, "num_heads") and hasattr(module, "head_dim"):
            timm_attention(name, int(module.num_heads), int(module.head_dim), module)
    try:
        with _still(network), torch.no_grad():
            network(_one(network, shape))
    finally:
        for handle in handles:
            handle.remove()
    return found


def places_by_layer(network: nn.Module, kinds: tuple[type[nn.Module], ...], shape: Shape) -> dict[str, int]:
    """How many numbers a layer of these kinds gives for each of its channels."""
    found: dict[str, int] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def count(module: nn.Module, _: Any, out: Tensor) -> None:
            channels: int = next(module.parameters()).shape[0]
            found[name] = found.get(name, 0) + out.numel() // channels

        return count

    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, kinds) and list(m.parameters(recurse=False))]
    handles = [module.register_forward_hook(hook(name)) for name, module in layers]
    try:
        with _still(network), torch.no_grad():
            network(_one(network, shape))
    finally:
        for handle in handles:
            handle.remove()
    return found


def macs_closed_form(network: nn.Module, shape: Shape) -> int:
    return sum(macs_by_layer(network, shape).values())


def macs_nonzero(network: nn.Module, shape: Shape) -> int:
    """The canonical count with zero weights skipped, to the nearest integer."""
    weights = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}

    def share(name: str) -> float:
        w = weights.get(name)
        return int(w.count_nonzero()) / w.numel() if w is not None else 1.0

    return round(sum(count * share(name) for name, count in macs_by_layer(network, shape).items()))


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def nonzero_parameters(network: nn.Module) -> int:
    return sum(int(p.count_nonzero()) for p in network.parameters())


def macs_tp(network: nn.Module, shape: Shape) -> int:
    """Torch-Pruning's convention (bias and normalisation added), for papers that count so."""
    import torch_pruning

    with _still(network):
        return int(torch_pruning.utils.count_ops_and_params(network, _one(network, shape))[0])


def macs_thop(network: nn.Module, shape: Shape) -> int:
    """thop's; blind to functional attention."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # thop still imports distutils
        import thop

    network = copy.deepcopy(network)  # thop leaves buffers behind
    with _still(network):
        return int(thop.profile(network, (_one(network, shape),), verbose=False)[0])


def every_count(network: nn.Module, shape: Shape) -> dict[str, int]:
    canonical = macs(network, shape)
    return {
        "macs": canonical,
        "macs_closed_form": macs_closed_form(network, shape),
        "macs_nonzero": macs_nonzero(network, shape),
        "macs_tp": macs_tp(network, shape),
        "macs_thop": macs_thop(network, shape),
        "flops_2x": 2 * canonical,
        "params": parameters(network),
        "nonzero": nonzero_parameters(network),
    }


def _one(network: nn.Module, shape: Shape) -> Tensor:
    return torch.zeros(1, *shape, device=next(network.parameters()).device)


@contextmanager
def _still(network: nn.Module) -> Iterator[None]:
    """Counting changes nothing: evaluation mode inside, the old mode and fast path after."""
    training, fastpath = network.training, torch.backends.mha.get_fastpath_enabled()
    network.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        network.train(training)
        torch.backends.mha.set_fastpath_enabled(fastpath)
