"""The loss of many candidate cuts on a few images, exactly, without making a single cut.

A cut network computes the same as the uncut one with the removed channels set to zero where they are read.
So each candidate is the network with some inputs of some layers set to zero:

- What comes before the first such layer is the same for all. It runs once, and its values are kept.
- Candidates of one group differ only in activations. They are stacked along the batch.
- Candidates that silence the same channels are scored once.
- Batch norm is folded into the convolutions. The pass in bf16 is cheap; candidates near the best are
  scored again in fp32, so the choice is the one that fp32 makes.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.pruning.count import macs_by_layer
from benchmark.pruning.groups import Group, Groups, Member, is_attention

Gone = tuple[str, tuple[int, ...]]  # a group, and its channels that a candidate silences
GIB = 2**30
ROWS = {"cpu": 512, "cuda": 8192}  # images at a time, over all candidates: what fits into a cache, what fills a GPU
AGAIN = 3  # so many of the best are always scored in fp32 too: they show the error of bf16


def can_be_silenced(network: nn.Module, group: Group) -> bool:
    """Not if a layer norm normalises the group: it uses all channels together, so silent is not the same as cut."""
    layers = dict(network.named_modules())
    return not any(isinstance(layers.get(member.layer), nn.LayerNorm | nn.GroupNorm) for member in group.members)


@torch.no_grad()
def losses(
    network: nn.Module,
    groups: Groups,
    candidates: Sequence[Gone],
    images: Tensor,
    labels: Tensor,
    *,
    bf16: bool = False,
    memory: float = 4 * GIB,
) -> tuple[dict[Gone, float], int]:
    """The mean cross-entropy of each candidate, and the MACs that computing it took."""
    memory = max(memory - images.numel() * images.element_size(), memory / 4)  # the images stay in memory
    shape = (images.shape[1], images.shape[2], images.shape[3])
    exact = Program(network, groups, torch.float32, shape, memory)
    if not bf16:
        return exact.losses(candidates, images, labels), exact.macs
    quick = Program(network, groups, torch.bfloat16, shape, memory)
    found = quick.losses(candidates, images, labels)
    again: dict[Gone, float] = {}
    order = sorted(found, key=found.__getitem__)
    first_of_group = {each[0]: each for each in reversed(order)}  # errors of one group's candidates are alike
    wanted = list(dict.fromkeys([*order[:AGAIN], *sorted(first_of_group.values(), key=found.__getitem__)[:AGAIN]]))
    while wanted:
        again |= exact.losses(wanted, images, labels)
        off = max(abs(found[each] - again[each]) for each in again)
        near = min(again.values()) + 3 * off
        wanted = [each for each in found if each not in again and found[each] <= near]
    return found | again, quick.macs + exact.macs


class Program:
    """The network as a list of steps, so that it can start in the middle."""

    def __init__(
        self, network: nn.Module, groups: Groups, dtype: torch.dtype, shape: tuple[int, int, int], memory: float
    ) -> None:
        self.module = _unrolled(network).to(dtype=dtype)
        self.steps = list(self.module.graph.nodes)
        self.dtype, self.memory, self.macs = dtype, memory, 0
        layers = macs_by_layer(network, shape)
        self.cost = [_macs_of(step, layers) for step in self.steps]
        self.readers = {name: [m for m in group.members if m.side == "in"] for name, group in groups.items()}

    def losses(self, candidates: Sequence[Gone], images: Tensor, labels: Tensor) -> dict[Gone, float]:
        different = list(dict.fromkeys(candidates))
        by_group: dict[str, list[Gone]] = defaultdict(list)
        for candidate in different:
            by_group[candidate[0]].append(candidate)
        starts = {name: min(self._step(member) for member in self.readers[name]) for name in by_group}
        at_once, stacked = self._sizes(images, starts)
        total = dict.fromkeys(different, 0.0)
        for part in range(0, len(images), at_once):
            chunk = slice(part, part + at_once)
            values = self._whole(images[chunk].to(self.dtype), starts)
            for name, mine in by_group.items():
                for few in _in_parts(mine, stacked):
                    sums = self._rest(starts[name], values, few, labels[chunk])
                    for candidate, loss in zip(few, sums, strict=True):
                        total[candidate] += loss
        return {candidate: loss / len(images) for candidate, loss in total.items()}

    # ---- one pass ------------------------------------------------------------------------------

    def _whole(self, images: Tensor, starts: dict[str, int]) -> dict[fx.Node, Any]:
        """Run all of it once and keep the values that a later start needs."""
        needed = {node for start in starts.values() for node in self._live(start)}
        runner = fx.Interpreter(self.module, garbage_collect_values=False)
        runner.args_iter = iter([images])
        kept = {}
        for place, node in enumerate(self.steps[: max(starts.values(), default=0)]):
            value = runner.env[node] = runner.run_node(node)
            if node in needed:
                kept[node] = value
            for other in [n for n in runner.env if n not in needed and self._last_use(n) <= place]:
                del runner.env[other]
        self.macs += len(images) * sum(self.cost[: max(starts.values(), default=0)])
        return kept

    def _rest(self, start: int, values: dict[fx.Node, Any], few: list[Gone], labels: Tensor) -> list[float]:
        """Run from `start` on, for some stacked candidates: the sum of the losses of each."""
        count = len(few)
        runner = fx.Interpreter(self.module)
        runner.env = {node: _stacked(values[node], count, len(labels)) for node in self._live(start)}
        hooks = [
            self.module.get_submodule(member.layer).register_forward_pre_hook(self._silencer(member, few))
            for member in self.readers[few[0][0]]
        ]
        try:
            for node in self.steps[start:]:
                scores = runner.env[node] = runner.run_node(node)  # the last step is the output
                for done in runner.user_to_last_uses.get(node, []):
                    runner.env.pop(done, None)
        finally:
            for hook in hooks:
                hook.remove()
        each = F.cross_entropy(scores.float(), labels.repeat(count), reduction="none")
        self.macs += count * len(labels) * sum(self.cost[start:])
        sums: list[float] = each.view(count, -1).double().sum(1).tolist()
        return sums

    def _silencer(self, member: Member, few: list[Gone]) -> Any:
        layer = self.module.get_submodule(member.layer)
        weight: Any = layer.weight
        masks = []
        for _, gone in few:
            alive = torch.ones(len(member.places), dtype=self.dtype, device=weight.device)
            alive[list(gone)] = 0
            masks.append(member.spread(alive, weight).flatten())
        mask = torch.stack(masks)

        def silence(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            inputs = args[0]
            rows = mask.repeat_interleave(len(inputs) // len(mask), 0)
            shape = (len(rows), -1, 1, 1) if inputs.dim() == 4 else (len(rows), *[1] * (inputs.dim() - 2), -1)
            return (inputs * rows.view(shape), *args[1:])

        return silence

    # ---- where things are ----------------------------------------------------------------------

    def _step(self, member: Member) -> int:
        """The step that reads here: the layer itself, or the attention that it is a part of."""
        return next(
            place
            for place, node in enumerate(self.steps)
            if node.op == "call_module" and f"{member.layer}.".startswith(f"{node.target}.")
        )

    def _live(self, start: int) -> list[fx.Node]:
        """The values computed before `start` and used after it."""
        return [node for node in self.steps[:start] if node.op != "output" and self._last_use(node) >= start]

    def _last_use(self, node: fx.Node) -> int:
        if not hasattr(self, "_uses"):
            place = {step: i for i, step in enumerate(self.steps)}
            self._uses = {step: max((place[user] for user in step.users), default=-1) for step in self.steps}
        return self._uses[node]

    def _sizes(self, images: Tensor, starts: dict[str, int]) -> tuple[int, int]:
        """How many images at once and how many stacked candidates fit into the memory allowed, kept values included."""
        runner = fx.Interpreter(self.module, garbage_collect_values=False)
        runner.args_iter = iter([images[:1].to(self.dtype)])
        size = {}
        for node in self.steps[:-1]:
            value = runner.env[node] = runner.run_node(node)
            size[node] = value.numel() * value.element_size() if torch.is_tensor(value) else 0
        kept = sum(size[node] for node in {n for start in starts.values() for n in self._live(start)})
        passing = 3 * max(sum(size[n] for n in self._live(i)) + size[step] for i, step in enumerate(self.steps[:-1]))
        rows = ROWS[images.device.type]
        at_once = int(max(1, min(rows, len(images), self.memory / 2 / max(kept + passing, 1))))
        return at_once, int(max(1, min(rows // at_once or 1, self.memory / 2 / max(at_once * passing, 1))))


def _macs_of(step: fx.Node, layers: dict[str, int]) -> int:
    """The MACs of this step for one image: a layer's, or those of all layers within it."""
    if step.op != "call_module":
        return 0
    return sum(macs for name, macs in layers.items() if f"{name}.".startswith(f"{step.target}."))


def _stacked(value: Any, count: int, images: int) -> Any:
    """Repeat a value for each candidate if it has a row per image. Anything else is shared."""
    by_image = torch.is_tensor(value) and value.dim() > 1 and len(value) == images
    return torch.cat([value] * count) if by_image and count > 1 else value


def _in_parts(items: list[Gone], size: int) -> Iterator[list[Gone]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# ---- the network as steps ----------------------------------------------------------------------


class _Tracer(fx.Tracer):
    """Traces down to layers; attention and timm's own layers stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_attention(m) or not list(m.children()) or type(m).__module__.startswith("timm.layers")


def _unrolled(network: nn.Module) -> fx.GraphModule:
    """A copy in evaluation mode, batch norm folded in. Nothing is done in place, so kept values stay valid."""
    whole = copy.deepcopy(network).eval()
    module = fx.GraphModule(whole, _Tracer().trace(whole))
    for node in module.graph.nodes:
        if node.op == "call_method" and node.target.endswith("_"):
            node.target = node.target.rstrip("_")
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target), nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op == "call_module" and len(before.users) == 1:
            convolution = module.get_submodule(before.target)
            if isinstance(convolution, nn.Conv2d):
                norm: Any = module.get_submodule(node.target)
                _put(module, before.target, fuse_conv_bn_eval(convolution, norm))
                node.replace_all_uses_with(before)
                module.graph.erase_node(node)
    uses = Counter(node.target for node in module.graph.nodes if node.op == "call_module")
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target is F.relu:
            node.kwargs = {"inplace": _spends(node, node.args[0])}
        if node.op == "call_module" and isinstance(layer := module.get_submodule(node.target), nn.ReLU | nn.ReLU6):
            spends = uses[node.target] == 1 and _spends(node, node.args[0])
            _put(module, node.target, type(layer)(inplace=spends))
    module.recompile()
    return module


def _spends(node: fx.Node, value: fx.Node) -> bool:
    """Whether this value may be overwritten: no other step uses it, and no start is between it and this node."""
    return list(value.users) == [node] and value.next is node and value.op != "placeholder"


def _put(module: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, layer)
