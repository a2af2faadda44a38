"""OCSPruner: train from scratch, watch which sub-network a cut would leave, and cut once it no longer changes.

In tables: OCSPruner
Paper:     Ghimire, Kil, Jeong, Park, Kim, "One-cycle Structured Pruning with Stability Driven
           Structure Search", arXiv 2501.13439 (2025); WACV 2026.
Claim:     one training run, cut at the stable epoch, is as accurate as pretrain-prune-finetune at
           less than the cost of training dense; and better than cutting at initialisation.
Removes:   channel groups, over all layers at once, by the saliency of all that is coupled.
Expected:  ResNet-56, CIFAR-10, -50 % MACs, T = 300, best on test: 93.89 % at the stable epoch (94 of
           300) against 93.41 % at epoch 0 (three runs each, the authors' logs). ResNet-50 at 43 % of
           the MACs: 75.49 %, trained 1.38 times as fast as dense.
Variants:  `paper`, the defaults, is what the paper says. `official` is what the released code does:
             regulariser  penalty: the loss grows by reg × the norms of the doomed channels.
                          shrink: that term has no gradient there; after each step doomed weights
                          are multiplied by 1 - reg × lr instead.
             cost         own: a group is charged the cost of its own channels. predecessor: by an
                          index slip each is charged the cost of its neighbour towards the output.
             depthwise    True: depthwise filters are part of their group. False: they are not.
             search       walk: rank, and skip what overshoots. threshold: one global threshold, found
                          by halving; and the cap keeps one channel more where 16 are left 4.
             momentum     keep: stays over the cut. reset: the optimizer is made again.
             late         epochs between decision and cut, and (twice) before sparsity learning.
             lag          epochs by which the learning rate is behind after the cut.
             raised       the coefficient grows from the second epoch of sparsity learning on.
                          at once: from the first.
             counter      a target in MACs is met in MACs, and a channel's cost is in MACs. authors:
                          both count biases, two operations for each normalised number and one
                          for each number of an activation or pooling that is a module (1 % of
                          ResNet-56, where it equals their count to the last digit). On VGG-16 five
                          ReLUs more are modules here than there: .03 % of all.
Logs:      `back` is no difference of the released code, which compares with the sub-network of two
           epochs before. The ResNet-56 ablation's logs fit only consecutive epochs: back = 1.
Not taken: saliency and shrinking include layer norms here; the released code does not know them.
"""

from math import exp
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmark import NEAR, Epochs, Now, Run, UserError, View, method, scaled_square

Kept = dict[str, list[int]]


@method(
    removes={"macs", "params", "channels"},
    version=1,
    variants={
        "paper": {},
        "official": {
            "regulariser": "shrink",
            "cost": "predecessor",
            "depthwise": False,
            "search": "threshold",
            "momentum": "reset",
            "late": 1,
            "lag": 1,
            "raised": "at once",
            "counter": "authors",
        },
    },
)
def ocspruner(
    run: Run,
    *,
    eps: float = 0.999,
    monitor: Epochs = 2,  # the first epoch that is watched
    sl_start: Epochs = 30,  # sparsity learning from here on; -1: once the stability first stops changing
    sl_end: Epochs = 110,  # cut here at the latest
    cap: float = 0.75,
    reg: float = 1e-4,
    reg_delta: float = 1e-4,
    reg_every: int = 1,
    regulariser: Literal["penalty", "shrink"] = "penalty",
    cost: Literal["own", "predecessor"] = "own",
    depthwise: bool = True,
    search: Literal["walk", "threshold"] = "walk",
    momentum: Literal["keep", "reset"] = "keep",
    late: int = 0,
    lag: int = 0,
    raised: Literal["at once"] | None = None,
    counter: Literal["authors"] | None = None,
    back: int | None = None,  # the stability compares with the sub-network so many epochs before; None: two
) -> None:
    if not max(sl_start, 0) <= sl_end < run.epochs - 2 * late:
        raise UserError(f"ocspruner: sl_start {sl_start}, sl_end {sl_end} do not fit into {run.epochs} epochs")
    if reg_every < 1:
        raise UserError(f"ocspruner: reg_every = {reg_every}; the coefficient grows every 1, 2, … epochs")
    if back is not None and back < 1:
        raise UserError(f"ocspruner: back = {back}; the stability compares with 1, 2, … epochs before")
    run.check_reach(cap=cap)
    first = min(monitor, sl_end, sl_start if sl_start >= 0 else monitor)  # the doomed channels must be known
    watched: list[Kept] = []
    psi: list[float] = []
    sparse = False
    while True:
        if run.epoch >= first:
            watched.append(run.ask(subnetwork, run.target, cap, cost, depthwise, search, counter))
            psi.append(stability(watched, back or 2))
            run.note(psi=psi[-1])
        stable = bool(psi) and psi[-1] >= eps
        decided = stable or run.epoch >= sl_end + late
        if decided and not late:
            break
        begun = sparse
        sparse = sparse or (run.epoch >= sl_start + 2 * late if sl_start >= 0 else stands_still(psi, run.epoch))
        if (sparse if raised == "at once" else begun) and run.epoch % reg_every == 0:
            reg += reg_delta
        if sparse and regulariser == "penalty":
            run.train(1, loss=penalty(run, watched[-1], reg, depthwise))
        elif sparse:
            run.train(1, weights=shrink(run, watched[-1], reg, depthwise))
        else:
            run.train(1)
        if decided:
            break
    run.note(stable_epoch=run.epoch, decided_by="stability" if stable else "sl_end", reg=reg)
    run.cut(watched[-1], momentum=momentum)
    run.train(lag=lag)


# ---- the sub-network -------------------------------------------------------------------------


def subnetwork(
    view: View, target: float, cap: float, cost: str, depthwise: bool, search: str, counter: str | None = None
) -> Kept:
    """What a cut would keep now: saliency × (1 - share of cost), ranked over all groups."""
    if counter == "authors":
        view = view.counting_all()
    prices = softmax_of_costs(view, cost, counter)
    scores = {name: scaled_square(view, group, depthwise) * (1 - prices[name]) for name, group in view.groups.items()}
    cut = view.lowest(scores, target, cap=cap) if search == "walk" else by_threshold(view, scores, target, cap)
    return {name: cut.get(name, list(range(group.width))) for name, group in view.groups.items()}


def softmax_of_costs(view: View, cost: str, counter: str | None = None) -> dict[str, float]:
    """Softmax of the cost of one channel per group, in millions of MACs (of operations, if the view counts all)."""
    own = {name: view.macs_per_channel(name) for name in view.groups}
    if cost == "predecessor":  # in the order of the search, from the output back
        order = sorted(view.groups, key=lambda name: view.groups[name].rank)
        classifier = [m for m in view.network.modules() if isinstance(m, nn.Linear)][-1]
        first = classifier.in_features + (counter == "authors" and classifier.bias is not None)
        own = dict(zip(order, [float(first), *(own[name] for name in order)], strict=False))
    highest = max(own.values())
    weights = {name: exp((value - highest) / 1e6) for name, value in own.items()}
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def by_threshold(view: View, scores: dict[str, Tensor], target: float, cap: float) -> Kept:
    """Remove everything at or below one score, found by halving. A group's best channels are never removed."""
    kept_back = {n: g.width - int(g.width * cap * (1 - exp(-g.width))) for n, g in view.groups.items()}
    within = {n: torch.ones(len(s), dtype=torch.bool) for n, s in scores.items()}
    for name, score in scores.items():
        within[name][score.cpu().topk(kept_back[name]).indices] = False
    ladder = torch.cat([score.cpu()[within[name]] for name, score in scores.items()]).sort().values
    low, high, cut = 0, len(ladder) - 1, Kept()
    while low <= high:
        middle = (low + high) // 2
        gone = {name: within[name] & (score.cpu() <= ladder[middle]) for name, score in scores.items()}
        cut = {name: (~out).nonzero().flatten().tolist() for name, out in gone.items()}
        off = view.removed_by(cut) - target
        if abs(off) <= 5e-4:
            break
        low, high = (low, middle - 1) if off > 0 else (middle + 1, high)
    if low >= len(ladder) and target - view.removed_by(cut) > NEAR:
        reached = 100 * (view.removed_by(cut) if cut else 0.0)
        raise UserError(f"no threshold removes {100 * target:g} %: with the cap at {cap:g} it ends at {reached:.2f} %")
    return cut


# ---- stability -------------------------------------------------------------------------------


def stability(watched: list[Kept], back: int = 2) -> float:
    """PSI: mean of the last three overlaps, each between a sub-network and the one `back` epochs before."""
    last = [overlap(watched[i - back], watched[i]) if i >= back else 0.0 for i in range(len(watched))][-3:]
    return sum(last) / len(last)


def overlap(before: Kept, now: Kept) -> float:
    """Mean over groups of |both| / |either|. Every group has the same weight."""
    jaccard = [len({*before[g]} & {*now[g]}) / len({*before[g]} | {*now[g]}) for g in now]
    return sum(jaccard) / len(jaccard)


def stands_still(psi: list[float], epoch: int) -> bool:
    return epoch > 3 and len(psi) >= 3 and psi[-1] - psi[-3] <= 1e-4


# ---- sparsity learning -----------------------------------------------------------------------


def penalty(run: Run, kept: Kept, reg: float, depthwise: bool) -> Any:
    """reg × the sum over doomed channels of the norm of everything that would be removed with them."""
    marks = marked(run, kept)

    def loss(network: nn.Module, now: Now) -> Tensor:
        weights = dict(network.named_parameters())
        norms = []
        for name, group in run.groups.items():
            members = [m for m in group.weights() if depthwise or m.side != "through"]
            squares = torch.stack([m.rows(weights[m.path]).square().sum(1) for m in members]).sum(0)
            marks[name] = marks[name].to(squares.device)  # a GPU gets them once
            norms.append(((squares + 1e-12).sqrt() * marks[name]).sum())
        return reg * torch.stack(norms).sum()

    return loss


def shrink(run: Run, kept: Kept, reg: float, depthwise: bool) -> Any:
    """Doomed weights × (1 - reg × lr). A weight that is doomed as output and as input shrinks twice."""
    marks = marked(run, kept)

    @torch.no_grad()
    def weights(network: nn.Module, now: Now) -> None:
        tensors = dict(network.named_parameters())
        for name, group in run.groups.items():
            for member in group.weights():
                if member.side == "through" and not depthwise:
                    continue
                tensor = tensors[member.path]
                tensor.mul_(member.spread(1 - reg * now.lr * marks[name].to(tensor.device), tensor))

    return weights


def marked(run: Run, kept: Kept) -> dict[str, Tensor]:
    """1 for a doomed channel, 0 for one that stays. Not used, and no error, if a resumed run is past its cut."""
    stay = {name: set(channels) for name, channels in kept.items()}
    return {
        name: torch.tensor([float(channel not in stay[name]) for channel in range(group.width)])
        for name, group in run.groups.items()
    }
