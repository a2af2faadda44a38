"""Puts the tensors of a file into a model of this repository: which layer is which, and how wide each is.

Layers with the same names are taken by name. Otherwise they are matched by structure: the third 3 × 3 convolution of
the file is the third of the model, and a normalisation belongs to the convolution that it follows. Widths are those of
the file. That the layers then fit together is shown by a pass through the network.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import UserError

LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
OWN = ("weight", "bias", "running_mean", "running_var", "weight_orig")
MASKS = ("weight_mask", "mask")
GATES = ("g", "bn_mask")
UNUSED = ("num_batches_tracked", "total_ops", "total_params")  # thop leaves the last two behind
Kind = tuple[object, ...]
Layers = dict[str, dict[str, Tensor]]  # layer -> its tensors


@dataclass(frozen=True)
class Matched:
    """Model layer -> file layer, and what of the file was not used."""

    layers: dict[str, str]
    how: str  # by name, by structure, as mapped
    unused: tuple[str, ...]


def fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    shape: tuple[int, int, int],
    classes: int,
    names: Mapping[str, str],
    without: Iterable[str] = (),
) -> Matched:
    """Put the tensors into the network, in place. `names` maps model layers to file layers and overrules the rest.
    The blocks named in `without` are passed over."""
    for block in without:
        _pass_over(network, block)
    theirs, unused = layers_of(tensors)
    ours = {name: module for name, module in network.named_modules() if isinstance(module, LAYERS)}
    if other := sorted({name.rpartition(".")[0] for name, _ in network.named_parameters()} - ours.keys()):
        raise UserError(f"{other[0]}: only convolutions, linear layers and batch norms are matched")
    layers, how = _paired(ours, theirs, names)
    for name, theirs_name in layers.items():
        _put(ours[name], theirs[theirs_name], theirs_name)
    if left := [name for name in theirs if name not in layers.values()]:
        raise UserError(f"the model has no place for its layer {left[0]}; another --model?")
    outputs = _outputs(network, shape)
    if outputs != classes:
        raise UserError(f"it tells {outputs} classes apart; this data set has {classes}")
    return Matched(layers, how, unused)


def _pass_over(network: nn.Module, block: str) -> None:
    parent, _, name = block.rpartition(".")
    try:
        network.get_submodule(block)
        setattr(network.get_submodule(parent), name, nn.Identity())
    except AttributeError:
        raise UserError(f"the model has no block {block!r}") from None


def layers_of(tensors: Mapping[str, Tensor]) -> tuple[Layers, tuple[str, ...]]:
    """Layer -> weight, bias, statistics, as fp32, with masks and gates applied; and the tensors of no use."""
    layers: Layers = {}
    unused = []
    for name, tensor in tensors.items():
        layer, _, leaf = name.removeprefix("module.").rpartition(".")
        if leaf in (*OWN, *MASKS, *GATES):
            layers.setdefault(layer, {})[leaf] = tensor.float()
        elif leaf not in UNUSED:
            unused.append(name)
    for name, parts in layers.items():
        _mask(name, parts)
        _gate(name, parts, layers)
    whole = {name: parts for name, parts in layers.items() if "weight" in parts}
    for name, parts in whole.items():
        if any(not part.isfinite().all() for part in parts.values()):
            raise UserError(f"{name}: it has weights that are not finite")
    return whole, (*unused, *(name for name, parts in layers.items() if parts and name not in whole))


def _mask(name: str, parts: dict[str, Tensor]) -> None:
    """`weight_orig` and `weight_mask` of torch's own pruning, or a `mask` beside the weight."""
    if "weight_orig" in parts:
        parts["weight"] = parts.pop("weight_orig")
    for leaf in MASKS:
        if (mask := parts.pop(leaf, None)) is not None and "weight" in parts:
            if mask.shape != parts["weight"].shape:
                raise UserError(f"{name}: its mask has another shape than its weight")
            parts["weight"] = parts["weight"] * mask


def _gate(name: str, parts: dict[str, Tensor], layers: Layers) -> None:
    """Gate Decorator multiplies a norm's output by a gate and a mask. Both become part of the norm `<name>.bn`."""
    factors = [factor.flatten() for leaf in GATES if (factor := parts.pop(leaf, None)) is not None]
    for factor in factors if "weight" in (norm := layers.get(f"{name}.bn", {})) else ():
        if factor.shape != norm["weight"].shape:
            raise UserError(f"{name}: its gates have another shape than its norm")
        norm["weight"], norm["bias"] = norm["weight"] * factor, norm["bias"] * factor


def _paired(ours: Mapping[str, nn.Module], theirs: Layers, names: Mapping[str, str]) -> tuple[dict[str, str], str]:
    if wrong := [name for name in names if name not in ours]:
        raise UserError(f"--map: the model has no layer {wrong[0]}; it has {', '.join(list(ours)[:6])}, …")
    if wrong := [name for name in names.values() if name not in theirs]:
        raise UserError(f"--map: the file has no layer {wrong[0]}; it has {', '.join(list(theirs)[:6])}, …")
    rest = {name: module for name, module in ours.items() if name not in names}
    left = {name: parts for name, parts in theirs.items() if name not in names.values()}
    same = all(name in left and _kind(left[name]["weight"]) == _kind(_weight(rest[name])) for name in rest)
    found = {name: name for name in rest} if same else _by_structure(rest, left)
    how = "as mapped" if not rest else "by name" if same else "by structure"
    return {**names, **found}, f"{how}, {len(names)} as mapped" if names and rest else how


def _by_structure(ours: Mapping[str, nn.Module], theirs: Layers) -> dict[str, str]:
    depthwise = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in ours.values())
    mine = _places(((name, _weight(module)) for name, module in ours.items()), depthwise)
    others = _places(((name, parts["weight"]) for name, parts in theirs.items()), depthwise)
    for kind in dict.fromkeys((*mine, *others)):
        a, b = len(mine.get(kind, ())), len(others.get(kind, ()))
        if a != b:
            raise UserError(f"it has {b} {_words(kind)}, the model {a}; another --model, or --map?")
    return {name: other for kind, names in mine.items() for name, other in zip(names, others[kind], strict=True)}


def _places(layers: Iterable[tuple[str, Tensor]], depthwise: bool) -> dict[Kind, list[str]]:
    """Kind -> layers of it, in order. A norm is of the kind of the layer that it follows."""
    found: dict[Kind, list[str]] = {}
    before: Kind = ()
    for name, weight in layers:
        kind = _kind(weight, depthwise)
        if kind == ("norm",):
            found.setdefault((*kind, *before), []).append(name)
        else:
            before = kind
            found.setdefault(kind, []).append(name)
    return found


def _kind(weight: Tensor, depthwise: bool = False) -> Kind:
    """Depthwise convolutions are told apart only where the model has some: a cut may leave one channel to read."""
    if weight.dim() == 4:
        alone = ("of one channel each",) if depthwise and weight.shape[1] == 1 and weight.shape[0] > 1 else ()
        return ("convolutions", *weight.shape[2:], *alone)
    return ("linear layers",) if weight.dim() == 2 else ("norm",)


def _words(kind: Kind) -> str:
    if kind[0] == "norm":
        return f"norms behind {_words(kind[1:])}" if kind[1:] else "norms at the beginning"
    name, *sides = kind
    alone = [side for side in sides if isinstance(side, str)]
    size = " × ".join(str(side) for side in sides if not isinstance(side, str))
    return " ".join([f"{size} {name}" if size else str(name), *alone])


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module.weight, Tensor)
    return module.weight


def _put(module: Any, parts: Mapping[str, Tensor], name: str) -> None:
    """The file's tensors become the layer's, and its numbers follow from their shapes."""
    weight, bias = parts["weight"], parts.get("bias")
    module.weight = nn.Parameter(weight)
    module.bias = nn.Parameter(bias) if bias is not None else None
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:
            module.groups = len(weight)
        module.out_channels, module.in_channels = len(weight), weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        if "running_mean" not in parts or "running_var" not in parts:
            raise UserError(f"{name}: a batch norm without its running mean and variance")
        module.num_features = len(weight)
        module.running_mean, module.running_var = parts["running_mean"], parts["running_var"]
    if bias is not None and len(bias) != len(weight):
        raise UserError(f"{name}: its bias and its weight have other widths")


@torch.no_grad()
def _outputs(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """How many classes it tells apart, by a pass that shows whether its layers fit together."""
    try:
        return int(network.eval()(torch.zeros(1, *shape)).shape[1])
    except (RuntimeError, ValueError) as error:
        raise UserError(f"its layers do not fit together in this model: {str(error).splitlines()[0]}") from None
