"""Every random draw has a seed of its own, made only from its purpose and from counters."""

import torch

from benchmark.plan.canonical import digest


def seed_of(*key: int | str) -> int:
    """A seed for one purpose, from its name and counters."""
    return int(digest(list(key))[:15], 16)


def generator(*key: int | str) -> torch.Generator:
    """A host generator for one purpose."""
    return torch.Generator().manual_seed(seed_of(*key))
