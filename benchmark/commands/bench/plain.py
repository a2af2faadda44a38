"""The plain training loop: torchvision transforms, DataLoader, fp32, NCHW.

The engine is compared with it: with the faster of 0 and 2 workers, warm, on the same images.
"""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset[Any]):
    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        self.images, self.labels = images.transpose(0, 2, 3, 1), labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(images.shape[-1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def images_per_second(
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    workers: int,
    steps: int,
    device: torch.device,
) -> float:
    network.to(device)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)
    loader = DataLoader(
        Pictures(images, labels),
        batch_size=128,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    network.train()
    started, done = 0.0, -2  # two steps warm up
    while done < steps:
        for x, y in loader:
            if done == 0:
                started = time.perf_counter()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
            loss.item()  # as is usual, to print it
            done += 1
            if done == steps:
                break
    return 128 * steps / (time.perf_counter() - started)
