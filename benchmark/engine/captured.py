"""Forward and backward as one CUDA graph: a step is one launch instead of some five hundred.

What is recorded reads its inputs from, and leaves its gradients in, the same memory every time. The
optimizer and a method's callbacks work on that memory before and after the replay, launched one by one:
they are few, and so their rates and thresholds may stay plain numbers.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Work = Callable[[Tensor, Tensor], None]
WARM_UP = 3  # steps before recording: the libraries set up what must not be recorded


class Captured:
    """`work` on one shape of batch, recorded once. Recording changes gradients alone, and puts `touched` back."""

    def __init__(self, work: Work, images: Tensor, labels: Tensor, touched: Iterable[Tensor]) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        before = [(tensor, tensor.clone()) for tensor in touched]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                work(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            work(self.images, self.labels)
        for tensor, old in before:
            tensor.copy_(old)

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
