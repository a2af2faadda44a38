"""How much a network computes: multiply-accumulates of one image, by several counters.

`macs` is the canonical one: convolutions, linear layers and attention products; no bias, no
normalisation, no activation. It is counted at the operator level, under the math attention kernel with
the fast path off. Otherwise attention is not counted on a CPU (pytorch#195460).
"""

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, int, int]
Watch = Callable[[str, Any, Tensor, Any], None]  # a layer's name, the layer, its input and its output


def macs(network: nn.Module, shape: Shape) -> int:
    with _still(network), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(_one(network, shape))
    flops: int = counter.get_total_flops()
    if flops % 2:
        raise ArithmeticError(f"an odd number of FLOPs, {flops}: the counter no longer counts pairs")
    return flops // 2


def macs_by_layer(network: nn.Module, shape: Shape) -> dict[str, int]:
    """The closed form, from the shapes at each layer. Attention products are under `<module>.products`."""
    found: Counter[str] = Counter()

    def conv(name: str, m: nn.Conv2d, images: Tensor, out: Tensor) -> None:
        per_place = m.out_channels * (m.in_channels // m.groups) * m.kernel_size[0] * m.kernel_size[1]
        found[name] += per_place * out.shape[2] * out.shape[3]

    def linear(name: str, m: nn.Linear, rows: Tensor, out: Tensor) -> None:
        found[name] += m.in_features * m.out_features * (rows.numel() // rows.shape[-1])

    def torch_attention(name: str, m: nn.MultiheadAttention, queries: Tensor, out: Tensor) -> None:
        tokens, width = queries.shape[1], m.embed_dim
        found[f"{name}.in_proj"] += 3 * tokens * width * width
        found[f"{name}.out_proj"] += tokens * width * width
        found[f"{name}.products"] += 2 * tokens * tokens * width

    def timm_attention(name: str, m: Any, tokens: Tensor, out: Tensor) -> None:
        windows, length = tokens.shape[:2]  # of one image: 1, or the windows that it is cut into
        found[f"{name}.products"] += windows * 2 * length**2 * len(m.qkv.weight) // 3

    def of(module: nn.Module) -> Watch | None:
        if isinstance(module, nn.Conv2d):
            return conv
        if isinstance(module, nn.MultiheadAttention):
            return torch_attention
        if isinstance(module, nn.Linear):
            return linear
        return timm_attention if hasattr(module, "num_heads") and hasattr(module, "qkv") else None

    _watch(network, shape, of)
    return dict(found)


def places_by_layer(network: nn.Module, kinds: tuple[type[nn.Module], ...], shape: Shape) -> dict[str, int]:
    """How many numbers each layer of these kinds outputs per channel."""
    found: Counter[str] = Counter()

    def places(name: str, module: nn.Module, images: Tensor, out: Tensor) -> None:
        if parameters := list(module.parameters(recurse=False)):
            found[name] += out.numel() // parameters[0].shape[0]

    _watch(network, shape, lambda module: places if isinstance(module, kinds) else None)
    return dict(found)


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.PReLU, nn.ELU, nn.LeakyReLU, nn.GELU)
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)


def activations_and_pools(network: nn.Module, shape: Shape) -> list[tuple[str, int]] | None:
    """(layer, numbers per channel of it) for each activation module (its outputs) and pooling module (its inputs) after
    that layer. None if one follows no single layer, because the channels of several are joined."""
    found: list[tuple[str, int]] = []
    before, channels, joined = "", 0, False

    def layer(name: str, module: nn.Module, images: Tensor, out: Tensor) -> None:
        nonlocal before, channels
        before, channels = name, len(next(module.parameters()))

    def numbers(name: str, module: nn.Module, images: Tensor, out: Tensor) -> None:
        nonlocal joined
        seen = images if isinstance(module, POOLS) else out
        joined = joined or channels not in (seen.shape[1], seen.shape[-1])
        found.append((before, seen.numel() // max(channels, 1)))

    def of(module: nn.Module) -> Watch | None:
        if isinstance(module, (*ACTIVATIONS, *POOLS)):
            return numbers
        return layer if next(module.parameters(recurse=False), None) is not None else None

    _watch(network, shape, of)
    return None if joined else found


def _watch(network: nn.Module, shape: Shape, of: Callable[[nn.Module], Watch | None]) -> None:
    """Send one image through. Give each layer's watcher its name, the layer, its input and its output."""

    def hook(name: str, watch: Watch) -> Callable[[nn.Module, tuple[Tensor, ...], Any], None]:
        return lambda module, args, out: watch(name, module, args[0], out)

    watched = [(name, module, watch) for name, module in network.named_modules() if (watch := of(module))]
    handles = [module.register_forward_hook(hook(name, watch)) for name, module, watch in watched]
    try:
        with _still(network), torch.no_grad():
            network(_one(network, shape))
    finally:
        for handle in handles:
            handle.remove()


def macs_closed_form(network: nn.Module, shape: Shape) -> int:
    return sum(macs_by_layer(network, shape).values())


def macs_nonzero(network: nn.Module, shape: Shape) -> int:
    """The canonical count without zero weights, to the nearest integer."""
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
    """thop's count. It does not see functional attention."""
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
    """Counting changes nothing: evaluation mode inside; the old mode and fast path again afterwards."""
    training, fastpath = network.training, torch.backends.mha.get_fastpath_enabled()
    network.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        network.train(training)
        torch.backends.mha.set_fastpath_enabled(fastpath)
