"""A network that this suite cannot count, train or cut is refused before anything is trained, in one line."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.pruning import dry_run
from benchmark.pruning.dry_run import checked
from benchmark.runs.execute import execute
from benchmark.training.environment import Environment
from tests.conftest import make_context, tiny

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "ghostnet": (lambda: timm.create_model("ghostnet_050", num_classes=10), "a cut of its channels fails"),
    "shufflenet": (lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=10), "cannot be traced"),
    "cait": (lambda: timm.create_model("cait_xxs24_224", num_classes=10), "cannot be counted"),
    "maxvit": (lambda: timm.create_model("maxvit_pico_rw_256", num_classes=10), "cannot count one of its layers"),
    "torchvision's swin": (lambda: torchvision.models.swin_t(num_classes=10), "cannot count one of its layers"),
}
HANDLED = {
    "swin": "swin_tiny_patch4_window7_224",
    "mobilevit": "mobilevit_xxs",
    "vit": "vit_tiny_patch16_224",
    "regnet": "regnety_002",
}


def side_of(name: str) -> int:
    return 256 if name in ("maxvit", "mobilevit") else 224


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str) -> None:
    network, why = REFUSED[name]
    with pytest.raises(UserError, match=why) as refusal:
        checked(network(), (3, side_of(name), side_of(name)), 10, name, cuts_channels=True)
    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", HANDLED)
def test_windows_and_others_are_handled(name: str) -> None:
    """Windowed attention is counted window by window, and cut with its counts exact."""
    network = timm.create_model(HANDLED[name], num_classes=10)
    before = copy.deepcopy(network.state_dict())
    random_state = torch.get_rng_state()
    channels = checked(network, (3, side_of(name), side_of(name)), 10, name, cuts_channels=True)
    assert channels
    assert channels.widths == channels.costs.dense_widths, "the cut was tried on a copy"
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


class Doubled(nn.Module):
    """Its layers see half of what its operators compute."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean((2, 3))
        return self.fc(x) + nn.functional.linear(x, self.fc.weight)


class OneImage(Doubled):
    """It takes no batch."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean((2, 3)).view(1, 8))


@pytest.mark.parametrize(("network", "why"), [(Doubled, "its layers have"), (OneImage, "one step of training fails")])
def test_a_dense_cell_is_refused_too(network: type[nn.Module], why: str) -> None:
    with pytest.raises(UserError, match=why):
        checked(network(), (3, 8, 8), 10, "mine", cuts_channels=False)


def test_a_trace_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_ever(*anything: object) -> None:
        while True:
            pass

    monkeypatch.setattr(dry_run, "TRACE_SECONDS", 0.2)
    monkeypatch.setattr("benchmark.pruning.channels.find_groups", for_ever)
    with pytest.raises(UserError, match=r"mine: its channels cannot be traced .*not done after 0.2 s"):
        checked(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 10)),
            (3, 8, 8),
            10,
            "mine",
            cuts_channels=True,
        )


def test_a_cell_asks_before_it_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: Environment
) -> None:
    steps = []
    monkeypatch.setattr("benchmark.pruning.count.macs_closed_form", lambda network, shape: 1)
    with pytest.raises(UserError, match="its layers have 1 MACs"):
        execute(tiny("dense"), make_context(tmp_path, environment, watch=steps.append))
    assert not steps
