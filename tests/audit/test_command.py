"""`evaluate` and `audit`: from a file to a record, a table and a verdict."""

import csv
import hashlib
import io
import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.cli import main
from benchmark.evidence import released
from benchmark.evidence.claim_files import Claim
from benchmark.evidence.claims import judge
from benchmark.records.audit import all_audits
from benchmark.records.store import Store
from tests.audit.test_hostile import tiny

HEAD = """
paper = "Mine"
title = "A paper of mine"
repository = "github.com/me/mine"
commit = "0123456789012345678901234567890123456789"
data = "digits"
"""
NETWORK = """
[[network]]
path = "nets/{name}.pth"
sha256 = "{sha256}"
model = "resnet_tiny"
group = "{group}"
checkpoint = "{checkpoint}"
run = {run}
printed = {{ place = "log", top1 = {top1}, flops_removed = 0.0 }}
"""


def prunebench(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(tiny().state_dict(), tmp_path / "network.pth")
    return tmp_path / "network.pth"


def test_evaluate_says_what_the_network_does(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a forward pass that shares no code with it."""
    from benchmark.data.digits import digits
    from benchmark.data.images import Place

    images = digits(Place(tmp_path))
    mean, std = (np.array(part, dtype="float32")[:, None, None] for part in images.normalise)
    network = tiny().eval()
    with torch.no_grad():
        scores = network(torch.from_numpy((np.asarray(images.test) / 255 - mean) / std).float())
    right = scores.argmax(1).numpy() == images.test_labels
    asked = ["evaluate", file, "--model", "resnet_tiny", "--dataset", "digits", "--out", tmp_path / "store"]
    assert prunebench(*asked, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["top-1"] == f"{100 * right.mean():.2f} %"
    assert report["matched"] == "by name"
    assert "hardly better than guessing" in report["warning"], "it was never trained"
    ((path, audit),) = all_audits(tmp_path / "store")
    assert str(path) == report["record"]
    assert (np.unpackbits(np.frombuffer(b64decode(audit.judged.bits), "uint8"))[: len(right)] == right).all()
    assert audit.judged.loss == pytest.approx(
        float(nn.functional.cross_entropy(scores, torch.from_numpy(images.test_labels))), rel=1e-5
    )
    assert audit.counted.macs == audit.counted.macs_closed_form == audit.counted.macs_dense


def test_another_normalisation_is_another_question(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["evaluate", file, "--model", "resnet_tiny", "--dataset", "digits", "--out", tmp_path / "store"]
    for more in ((), ("--normalise", "0.5,0.5,0.5/0.5,0.5,0.5"), ("--pixel-mean",)):
        assert prunebench(*asked, *more) == 0
    assert len({audit.asked.id for _, audit in all_audits(tmp_path / "store")}) == 3


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Four networks of one repository (last and best of two runs) and their list; `printed` is what is said of them."""

    def make(printed: float = 10.0, **changes: str) -> Path:
        nets, folder = tmp_path / "clones" / "me+mine" / "nets", tmp_path / "released"
        nets.mkdir(parents=True)
        folder.mkdir()
        text = HEAD
        for run in (1, 2):
            for checkpoint in ("last", "best"):
                name = f"{run}-{checkpoint}"
                torch.manual_seed(run + 10 * (checkpoint == "best"))
                network = tiny()
                nn.init.normal_(network.get_parameter("fc.weight"))
                torch.save(network.state_dict(), nets / f"{name}.pth")
                sha = hashlib.sha256((nets / f"{name}.pth").read_bytes()).hexdigest()
                text += NETWORK.format(
                    name=name, sha256=changes.get(name, sha), group="half", checkpoint=checkpoint, run=run, top1=printed
                )
        (folder / "mine.toml").write_text(text)
        monkeypatch.setattr(released, "FOLDER", folder)
        for function in (released.sources, released.settings):
            monkeypatch.setattr(function, "__defaults__", (*(function.__defaults__ or ())[:-1], folder))
        return tmp_path / "clones"

    return make


def test_audit_evaluates_what_lies_there_once(
    lists: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clones = lists(**{"2-best": "0" * 64})
    (clones / "me+mine" / "nets" / "1-best.pth").unlink()
    asked = ["audit", "--from", clones, "--out", tmp_path / "store", "--data", tmp_path]
    assert prunebench(*asked) == 0
    said = capsys.readouterr().out
    assert "2 of 4 released networks are evaluated, of 1 repositories" in said
    assert "github.com/me/mine: nets/1-best.pth" in said
    assert "another file than the one listed" in said
    assert "2-best.pth" in said
    before = [path for path, _ in all_audits(tmp_path / "store")]
    assert prunebench(*asked) == 0
    assert [path for path, _ in all_audits(tmp_path / "store")] == before


def test_the_table_holds_what_the_audits_hold(
    lists: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prunebench("audit", "--from", lists(), "--out", tmp_path / "store", "--data", tmp_path)
    capsys.readouterr()
    assert prunebench("audit", "mine", "--format", "csv", "--out", tmp_path / "store") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    audits = {audit.asked.id: audit for _, audit in all_audits(tmp_path / "store")}
    assert len(rows) == 4
    for row in rows:
        assert float(row["top1"]) == audits[row["record"]].judged.top1
    prunebench("audit", "--out", tmp_path / "store")
    best, last = ([float(row["top1"]) for row in rows if row["checkpoint"] == kind] for kind in ("best", "last"))
    assert f"{np.mean(best):.2f} ± {np.std(best, ddof=1):.2f}" in (table := capsys.readouterr().out)
    assert f"{np.mean(best) - np.mean(last):+.2f}" in table
    with pytest.raises(SystemExit) as end:
        main(["audit", "min", "--out", str(tmp_path)])
    assert end.value.code == 2
    assert "did you mean mine" in capsys.readouterr().err


def test_a_damaged_audit_is_told_and_left_out(
    lists: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prunebench("audit", "--from", lists(), "--out", tmp_path / "store", "--data", tmp_path)
    path, _ = next(all_audits(tmp_path / "store"))
    path.write_text(path.read_text().replace('"top1": ', '"top1": 9'))
    capsys.readouterr()
    assert prunebench("audit", "--out", tmp_path / "store") == 0
    said = capsys.readouterr()
    assert "3 of 4 released networks are evaluated" in said.out
    assert f"left out: {path}: its bytes are not those" in said.err


def claim(**changes: object) -> Claim:
    whole: dict[str, object] = {
        "id": "c", "says": "s", "reference": "r", "kind": "released reaches", "where": ["released/mine"],
        "method": "half", "value": 1.0, "margin": 0.1, "n": 2,
    }  # fmt: skip
    return Claim.model_validate(whole | changes)


def test_claims_are_decided_by_looking(lists: Callable[..., Path], tmp_path: Path) -> None:
    clones, store = lists(), Store(tmp_path / "store")

    def state(**changes: object) -> str:
        (finding,) = judge([claim(**changes)], store)
        return finding.state

    assert state() == "not tested"
    prunebench("audit", "--from", clones, "--out", store.root, "--data", tmp_path)
    best = [audit.judged.top1 for _, audit in all_audits(store.root)]
    assert state() == "reproduced"
    assert state(value=99.0) == "not reproduced"
    assert state(n=3) == "not tested", "only two runs were released"
    assert state(kind="released removes", value=1e-9) == "reproduced"
    assert state(kind="released removes", value=0.5) == "not reproduced"
    assert state(kind="best epoch adds", method="all", value=None, margin=0.0) in (
        "inconclusive",
        "reproduced",
        "not reproduced",
    )
    assert best
