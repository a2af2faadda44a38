"""Checks before any training whether this suite can count, train and cut a network.

A copy does one forward and backward pass, loses some channels of every group, and does another.
What fails here would otherwise fail, or count wrongly, after hours of training.
"""

import copy
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch import nn

from benchmark.errors import UserError
from benchmark.pruning import count, cuts
from benchmark.pruning.channels import Channels

SHARE = 0.25  # of each group's channels; at least one is removed, and one stays
TRACE_SECONDS = 60  # of this process's own CPU time, so that a busy machine refuses nothing


def checked(
    network: nn.Module, shape: count.Shape, classes: int, model: str, *, cuts_channels: bool
) -> Channels | None:
    """Refuse, in one line, a network that cannot be counted, trained or cut here. `network` is not changed.

    Returns its channels, if the cell cuts any."""
    trial = copy.deepcopy(network).train()
    with _refused(f"{model}: one step of training fails"):
        _step(trial, shape)
    with _refused(f"{model}: its MACs cannot be counted"):
        counted, by_layer = count.macs(network, shape), count.macs_closed_form(network, shape)
    if counted != by_layer:
        raise UserError(
            f"{model}: its layers have {by_layer:,} MACs, its operators {counted:,}; "
            "this suite cannot count one of its layers"
        )
    if not cuts_channels:
        return None
    with _refused(f"{model}: its channels cannot be traced"):
        channels = Channels(network, shape, classes, model)
    with _refused(f"{model}: a cut of its channels fails"):
        _try_a_cut(trial, copy.deepcopy(channels), shape)
    return channels


def _try_a_cut(trial: nn.Module, channels: Channels, shape: count.Shape) -> None:
    chance = torch.Generator().manual_seed(0)
    kept = {}
    for name, group in channels.groups.items():
        if stay := group.width - max(1, int(SHARE * group.width)):
            kept[name] = sorted(torch.randperm(group.width, generator=chance)[:stay].tolist())
    cuts.apply(trial, channels.cut(trial, kept))
    _step(trial, shape)
    counted, expected = count.macs(trial, shape), channels.costs.count("macs", channels.widths)
    if counted != expected:
        raise ArithmeticError(f"{counted:,} MACs are left, by its widths {expected:,}")


def _step(network: nn.Module, shape: count.Shape) -> None:
    """A forward and backward pass of two made-up images. The random state of the process is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        device = next(network.parameters()).device
        network(torch.randn(2, *shape, device=device)).sum().backward()


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Turn any library's error about a network that it cannot handle into one line."""
    try:
        with _limited():
            yield
    except UserError:
        raise
    except Exception as error:  # libraries raise errors of many types
        said = str(error).strip().partition("\n")[0]
        raise UserError(f"{what} ({type(error).__name__}{': ' if said else ''}{said})") from error


class _TooLong(Exception):
    pass


@contextmanager
def _limited() -> Iterator[None]:
    """Allow TRACE_SECONDS of computing. Signals reach only the main thread; in others there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(signum: int, frame: FrameType | None) -> None:
        raise _TooLong(f"not done after {TRACE_SECONDS} s of computing")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, TRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
