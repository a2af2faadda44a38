"""From the host onto the device, without waiting for what the device is doing."""

import torch
from torch import Tensor


def onto(device: torch.device, made: Tensor) -> Tensor:
    """A copy from pinned memory takes its turn; any other would be waited for."""
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made.to(device)
