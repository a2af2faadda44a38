"""bf16 where the processor has none: the same roundings, made with fp32 arithmetic."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.errors import UserError
from benchmark.training import precision
from benchmark.training.environment import prepare
from benchmark.training.precision import VARIABLE, autocast, rounds

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    rounds.cache_clear()
    yield
    rounds.cache_clear()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


def gradients() -> tuple[Tensor, list[Tensor]]:
    model, draw = network(), torch.Generator().manual_seed(1)
    images, labels = torch.randn(16, 3, 8, 8, generator=draw), torch.arange(16) % 5
    with autocast(CPU, "bf16"):
        loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters() if p.grad is not None]


def test_rounded_products_are_those_of_bf16_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for way in ("native", "rounded"):
        monkeypatch.setenv(VARIABLE, way)
        rounds.cache_clear()
        found[way] = gradients()
    exact = network()
    (loss, grads), (rounded_loss, rounded_grads) = found["native"], found["rounded"]
    assert rounded_loss == pytest.approx(loss.item(), rel=2**-8)
    for grad, rounded, parameter in zip(grads, rounded_grads, exact.parameters(), strict=True):
        assert rounded.dtype == parameter.dtype == torch.float32
        assert (grad - rounded).norm() <= 2**-6 * grad.norm() + 1e-6  # sums taken in another order, then rounded
    with autocast(CPU, "fp32"):
        draw = torch.Generator().manual_seed(1)
        unrounded = F.cross_entropy(exact(torch.randn(16, 3, 8, 8, generator=draw)), torch.arange(16) % 5)
    assert rounded_loss != unrounded, "bf16 it was"


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: a @ b,
        torch.matmul,
        lambda a, b: a.matmul(b),
        lambda a, b: F.linear(a, b.mT),
        lambda a, b: torch.bmm(a[None], b[None])[0],
    ],
)
def test_every_product_a_network_makes_is_rounded(product: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "rounded")
    a, b = torch.randn(2, 9, 9, generator=torch.Generator().manual_seed(0))
    with autocast(CPU, "bf16"):
        found = product(a, b)  # type: ignore[operator]
    assert torch.equal(found, (a.bfloat16().float() @ b.bfloat16().float()).bfloat16())
    assert found.dtype == torch.bfloat16


def test_fp32_is_left_alone_and_a_gpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "rounded")
    a, b = torch.randn(2, 9, 9, generator=torch.Generator().manual_seed(0))
    with autocast(CPU, "fp32"):
        assert torch.equal(a @ b, torch.mm(a, b))
    assert not rounds("cuda")


def test_what_is_rounded_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_native", lambda: True)
    native = prepare("cpu").fingerprint
    rounds.cache_clear()
    monkeypatch.setattr(precision, "_native", lambda: False)
    assert prepare("cpu").fingerprint != native
    rounds.cache_clear()
    monkeypatch.setenv(VARIABLE, "nativ")
    with pytest.raises(UserError, match="did you mean native"):
        rounds("cpu")
