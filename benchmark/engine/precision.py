"""fp32, or bf16 where it is safe (autocast)."""

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
