"""A method that makes every kind of call, for the tests of the journal. No paper, no claim."""

import torch

from benchmark import Run, method


def first_convolution(view, count):  # type: ignore[no-untyped-def]
    """A search: the loss on a few training images, and a draw."""
    images, labels = view.images(count)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(view.network(images), labels).item()
    return {"loss": loss, "drawn": int(torch.randint(0, 100, (), generator=view.rng))}


def decay(network, now):  # type: ignore[no-untyped-def]
    with torch.no_grad():
        network.conv1.weight.mul_(1 - 0.1 * now.lr)


@method(removes={"weights"}, version=1)
def winding(run: Run, *, count: int = 64) -> None:
    run.train(1)
    for _ in range(2):
        seen = run.ask(first_convolution, count)
        run.note(seen=seen["loss"])
        run.recover(1, at=0)
    run.train(1, weights=decay if seen["drawn"] >= 0 else None)
    run.train()
