"""Hostile and damaged files through `evaluate`: one line each, no traceback, nothing run, nothing written."""

import io
import random
import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.cli import main
from benchmark.plan import discovery
from tests.audit import hostile


def tiny() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = discovery.load(discovery.models()["resnet_tiny"])(10)
    return network


@pytest.fixture(scope="module")
def good() -> bytes:
    file = io.BytesIO()
    torch.save(tiny().state_dict(), file)
    return file.getvalue()


def refused(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The one line with which `evaluate` refuses the file."""
    before = sorted(path.parent.iterdir())
    asked = ["evaluate", str(path), "--model", "resnet_tiny", "--dataset", "digits", "--out", str(path.parent), *more]
    with pytest.raises(SystemExit) as end:
        main(asked)
    said = capsys.readouterr()
    assert end.value.code == 2, said
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert sorted(path.parent.iterdir()) == before, "nothing is written"
    return said.err


NAMES = [name for name, _ in hostile.pickles(Path("marker"))]


@pytest.mark.parametrize("container", [hostile.zipped, hostile.legacy])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_pickle_runs_nothing(
    name: str, container: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(container)
    marker, path = tmp_path / "marker", tmp_path / "network.pth"
    path.write_bytes(container(dict(hostile.pickles(marker))[name]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert str(path) in refused(path, capsys)
    assert not marker.exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024, "KiB; a GiB was never needed"


@pytest.mark.parametrize("number", range(11))
def test_a_damaged_file_is_named(number: int, good: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "network.pth"
    path.write_bytes(list(hostile.containers(good))[number][1])
    assert str(path) in refused(path, capsys)


@pytest.mark.parametrize("name", [name for name, _ in hostile.networks(tiny)])
def test_a_network_that_does_not_fit_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "network.pth"
    torch.save(dict(hostile.networks(tiny))[name], path)
    assert str(path) in refused(path, capsys)


def test_flipped_bytes_give_a_line_or_a_number(good: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checksums of the archive find most; what they do not find is a network with other weights."""
    from benchmark.audit.files import open_network
    from benchmark.errors import UserError

    draw, path, refusals = random.Random(0), tmp_path / "network.pth", 0
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(draw.choice((1, 1, 3, 20))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            open_network(path)
        except UserError:
            refusals += 1
    assert refusals > 100


@pytest.mark.parametrize("arguments", [("--model", "resnet_tin"), ("--normalise", "1,2"), ("--map", "missing.toml")])
def test_wrong_arguments(
    arguments: tuple[str, str], good: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.pth"
    path.write_bytes(good)
    refused(path, capsys, *arguments)
