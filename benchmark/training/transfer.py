"""Copies from the host to the device, without waiting for the device's work."""

import torch
from torch import Tensor


def onto(device: torch.device, made: Tensor) -> Tensor:
    """A copy from pinned memory is queued. For any other copy the host would wait."""
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made.to(device)
