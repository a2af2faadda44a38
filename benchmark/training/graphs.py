"""Forward and backward as one CUDA graph: a step is one launch instead of some five hundred.

A recorded graph reads its inputs from the same memory every time, and writes its gradients to the same memory.
The optimizer and a method's callbacks work on that memory before and after the replay. They are launched one by
one, so their rates and thresholds can be plain numbers.
"""

from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor, nn

Work = Callable[[Tensor, Tensor], None]
Memory = list[tuple[int, bool]]
WARM_UP = 3  # steps before recording: the libraries set up what must not be recorded


class Captured:
    """`work` on one shape of batch, recorded once. It changes gradients and `touched`; recording restores `touched`."""

    def __init__(
        self, work: Work, network: nn.Module, images: Tensor, labels: Tensor, touched: Iterable[Tensor]
    ) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        before = [(tensor, tensor.clone()) for tensor in touched]
        beside = _stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                work(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self.graph, stream=beside):
                work(self.images, self.labels)
        except RuntimeError as error:
            if error.__context__:  # report what ended the recording, not that it ended
                raise error.__context__ from None
            raise
        for tensor, old in before:
            tensor.copy_(old)
        self.memory = memory_of(network)
        self.gradients = [(parameter, parameter.grad) for parameter in network.parameters()]

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        for (
            parameter,
            gradient,
        ) in self.gradients:  # None where the graph leaves none: a penalty's gradient is of this step only
            parameter.grad = gradient


def memory_of(network: nn.Module) -> Memory:
    """What a recording depends on: where the tensors are in memory, and which of them are trained."""
    learns = [(parameter.data_ptr(), parameter.requires_grad) for parameter in network.parameters()]
    return learns + [(buffer.data_ptr(), False) for buffer in network.buffers()]


@cache
def _stream() -> torch.cuda.Stream:
    """One stream for all recordings: the libraries keep a workspace for each stream and never free it."""
    return torch.cuda.Stream()
