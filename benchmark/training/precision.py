"""fp32, or bf16 where it is safe (autocast).

A processor without bf16 arithmetic takes ten times as long for bf16 as for fp32. There, operands are rounded to
bf16, products are computed in fp32, and results are rounded to bf16. That is what bf16 arithmetic does, and it is as
fast as fp32. Set PRUNEBENCH_BF16 to `native` or `rounded` to choose one of them on any machine.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from benchmark.errors import UnknownName

VARIABLE, WAYS = "PRUNEBENCH_BF16", ("native", "rounded")
PRODUCTS = {
    *(torch.conv2d, F.linear, torch.matmul, torch.bmm, F.scaled_dot_product_attention),
    *(Tensor.matmul, Tensor.__matmul__, Tensor.bmm),
}


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    bf16 = precision == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        if bf16 and rounds(device.type):
            with Rounded():
                yield
        else:
            yield


@cache
def rounds(device: str) -> bool:
    """Whether bf16 is computed by rounded fp32 here."""
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", *WAYS):
        raise UnknownName(VARIABLE, asked, WAYS)
    return device == "cpu" and (asked == "rounded" if asked else not _native())


def _native() -> bool:
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Rounded(TorchFunctionMode):
    """Products of bf16 operands, computed in fp32. Their gradients too, because autograd uses the same operations."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            product: Tensor = func(*map(_rounded, args), **{key: _rounded(value) for key, value in kwargs.items()})
        return product.bfloat16()


def _rounded(value: Any) -> Any:
    return value.bfloat16().float() if torch.is_tensor(value) and value.is_floating_point() else value
