"""Pins: their file, which records are pinned, which pins stay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import benchmark.evidence.pins as pins_module
from benchmark.commands import pin
from benchmark.commands.pin import pin_suite
from benchmark.errors import Damaged, UserError
from benchmark.evidence.pins import Pin, read_pins, write
from benchmark.records.store import Store, pack_side
from tests.conftest import SUITE, tiny
from tests.evidence.common import CELL, places, run
from tests.runs.forked import prunebench


def test_pins_survive_their_file_and_damage_is_named(tmp_path: Path, pinned: Pin) -> None:
    path = tmp_path / "s.csv"
    write([pinned, replace(pinned, name="a", cell="1")], path)
    assert read_pins(path) == [replace(pinned, name="a", cell="1"), pinned]
    assert read_pins(tmp_path / "none.csv") == []
    text = path.read_text()
    path.write_text(text.replace(str(pinned.macs), "many"))
    with pytest.raises(UserError, match=r"s\.csv: not a pin"):
        read_pins(path)
    path.write_text(text.splitlines()[0] + "\n")
    with pytest.raises(UserError, match="no pin in it"):
        read_pins(path)
    path.write_text(text.replace("top1", "accuracy"))
    with pytest.raises(UserError, match="its columns must be"):
        read_pins(path)


def test_only_clean_records_are_pinned_and_they_are_copied_as_they_are(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = run(tmp_path / "mine", environment)
    (stored,) = context.store.of(CELL.id)
    clean = stored.record.model_copy(update={"code": stored.record.code.model_copy(update={"dirty": False})})
    monkeypatch.setattr(pin, "plan", lambda suite, tier: places(CELL, tiny("agp"), tiny("random"), tiny("dense")))
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    store = Store(tmp_path / "store")
    packed = pack_side({"curves": [], "journal": [], "bits": ""})
    kept = store.add(clean.model_copy(update={"side": packed[0]}), packed[1])
    left_out = {
        "agp": {"code": clean.code.model_copy(update={"dirty": True})},
        "random": {"how": clean.how.model_copy(update={"fingerprint": "one+another"})},
        "dense": {"ending": "diverged"},
    }
    for name, update in left_out.items():
        cell = tiny(name)
        store.add(clean.model_copy(update={"id": cell.id, "cell": cell, "side": packed[0], **update}), packed[1])
    monkeypatch.setattr(pins_module, "code_of", lambda cell: clean.code)
    report = pin.pin_suite("quick", "full", (), store.root, tmp_path / "published", [])
    assert report["pinned"] == 1
    assert report["left out: its code was not committed"] == 1
    assert report["left out: two environments made it"] == 1
    assert report["left out: its record is of other code, or diverged"] == 1
    assert [pin.record for pin in read_pins(tmp_path / "pinned" / "quick.csv")] == [kept.content]
    copied = sorted(path.relative_to(tmp_path / "published") for path in (tmp_path / "published").rglob("*.*"))
    assert len(copied) == 2
    assert all((tmp_path / "published" / path).read_bytes() == (store.root / path).read_bytes() for path in copied)


def test_a_pin_of_some_cells_keeps_the_others_unless_they_are_to_be_dropped(
    tmp_path: Path, environment: Any, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = run(tmp_path / "mine", environment)
    planned = places(CELL, tiny("agp"))
    monkeypatch.setattr(pin, "plan", lambda suite, tier: planned)
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    monkeypatch.setattr(pins_module, "why_not", lambda record: "")
    path = tmp_path / "pinned" / "quick.csv"
    other = replace(pinned, cell=tiny("agp").id, name="agp")
    old = replace(pinned, top1=1.0)
    pins_module.write([old, other], path)
    report = pin.pin_suite("quick", "full", (), context.store.root, None, [])
    assert (report["pinned"], report["kept as they were"]) == (1, 1)
    assert report["planned cells with a pin"] == "2 of 2"
    assert {pin.cell: pin.top1 == 1.0 for pin in read_pins(path)} == {CELL.id: False, other.cell: False}
    assert len(read_pins(path)) == 2
    report = pin.pin_suite("quick", "full", (), context.store.root, None, [], replace=True)
    assert (report["dropped"], report["planned cells with a pin"]) == (1, "1 of 2")
    assert [pin.cell for pin in read_pins(path)] == [CELL.id]


def test_a_damaged_side_is_not_published_and_nothing_is_pinned(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins_module, "why_not", lambda record: "")
    monkeypatch.setattr(pins_module, "FOLDER", tmp_path / "pinned")
    (tmp_path / "mine.toml").write_text(SUITE)
    out, published = tmp_path / "results", tmp_path / "published"
    prunebench("run", tmp_path / "mine.toml", "--out", out, "--only", "method=one_cycle,seed=0")
    (side,) = list(out.glob("records/*/*.side.gz"))[:1]
    whole = side.read_bytes()
    for torn in (b"torn", None):
        side.unlink() if torn is None else side.write_bytes(torn)
        with pytest.raises(Damaged, match=side.name):
            pin_suite(str(tmp_path / "mine.toml"), "full", (), out, published, [])
        assert not (tmp_path / "pinned").exists()
        assert not list(published.glob(f"records/*/{side.name}"))
        side.write_bytes(whole)
