"""Reported numbers: known wrong rows are refused, right ones read; derived numbers are checked and then forgotten."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.evidence.reported import COLUMNS, Reported, read, read_all
from benchmark.plan.suite_file import Table
from benchmark.records.record import Record
from benchmark.records.rows import Row
from benchmark.records.store import Stored
from benchmark.report import reported_columns as beside_module
from benchmark.report.reported_columns import Beside, beside


def rows(*lines: str) -> str:
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"


def change(model: str, method: str, dense: str, pruned: str, printed: str) -> str:
    head = f"s,table,author_table,{{}},{model},d,{{}},{{}},{{}},{{}},%,,"
    return rows(
        head.format("dense", "none", "", "top1", dense),
        head.format(method, "macs", 0.5, "top1", pruned),
        head.format(method, "macs", 0.5, "top1_change", printed),
    )


def percent(model: str, dense: str, kept: str, printed: str) -> str:
    head = f"s,table,author_table,{{}},{model},d,{{}},{{}},{{}},{{}},M,,"
    return rows(
        head.format("dense", "none", "", "params", dense),
        head.format("m", "macs", 0.5, "params", kept),
        head.format("m", "macs", 0.5, "params_kept_percent", printed),
    )


WRONG_CHANGES = [
    ("resnet56", "group_sparse 2.13x", "93.53", "93.77", "+0.38"),
    ("resnet56", "HRank", "93.26", "92.17", "-0.09"),
    ("resnet56", "SFP", "93.59", "93.36", "+0.23"),
    ("vgg19", "without sparse learning", "73.50", "67.60", "-5.44"),
    ("vgg19", "GReg-1", "74.02", "67.55", "-6.67"),
    ("resnet18", "HRank 2x", "75.00", "74.29", "-0.69"),  # printed -0.69, the values say -0.71
    ("vit_small", "random 3x", "78.588", "44.654", "-33.954"),
    ("yolov8", "bn_scale 3x", "50.000", "39.356", "-10.664"),
    ("yolov8", "obd 3x", "50.000", "38.908", "-11.192"),
    ("resnet56", "laasp, README", "93.61", "93.04", "-0.12"),
    ("resnet50", "ThiNet", "72.88", "72.04", "-0.88"),
    ("resnet50", "FPGM top-5", "92.87", "92.32", "-0.21"),
]
RIGHT_CHANGES = [
    ("resnet56", "group_sparse 2.13x", "93.53", "93.77", "+0.24"),
    ("resnet56", "HRank", "93.26", "92.17", "-1.09"),
    ("vgg19", "GReg-1", "74.02", "67.55", "-6.47"),
    ("vit_small", "random 3x", "78.588", "44.654", "-33.934"),
    ("resnet50", "laasp", "76.48", "75.85", "-0.63"),
    ("resnet34", "FuPruner top-5", "91.42", "90.66", "-0.76"),
    ("resnet20", "rounded apart", "92.4", "91.86", "-0.6"),
]
WRONG_PERCENTS = [
    ("resnet50", "25.56", "2.77", "24.71"),
    ("resnet18", "11.69", "17.56", "68.70"),
    ("resnet18", "11.69", "10.66", "24.71"),
    ("resnet18", "11.69", "9.27", "83.54"),
    ("vit_small", "22.05", "6.57", "29.13"),
    ("yolov8", "25.90", "6.28", "25.25"),
]
RIGHT_PERCENTS = [("resnet18", "11.6895", "7.94", "67.90"), ("resnet50", "25.56", "6.32", "24.71")]


@pytest.mark.parametrize(("model", "method", "dense", "pruned", "printed"), WRONG_CHANGES)
def test_a_change_that_does_not_follow_is_refused(
    tmp_path: Path, model: str, method: str, dense: str, pruned: str, printed: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(change(model, f'"{method}"', dense, pruned, printed))
    with pytest.raises(UserError, match=r"wrong\.csv:4: .* is [+-]"):
        read(path)


@pytest.mark.parametrize(("model", "method", "dense", "pruned", "printed"), RIGHT_CHANGES)
def test_a_change_that_follows_is_accepted_and_not_kept(
    tmp_path: Path, model: str, method: str, dense: str, pruned: str, printed: str
) -> None:
    path = tmp_path / "right.csv"
    path.write_text(change(model, method, dense, pruned, printed))
    assert [row.metric for row in read(path)] == ["top1", "top1"]


@pytest.mark.parametrize(("model", "dense", "kept", "printed"), WRONG_PERCENTS)
def test_a_percentage_of_another_network_is_refused(
    tmp_path: Path, model: str, dense: str, kept: str, printed: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(percent(model, dense, kept, printed))
    with pytest.raises(UserError, match=r"implies .* in all; it is"):
        read(path)


@pytest.mark.parametrize(("model", "dense", "kept", "printed"), RIGHT_PERCENTS)
def test_a_percentage_of_the_right_network_is_accepted(
    tmp_path: Path, model: str, dense: str, kept: str, printed: str
) -> None:
    path = tmp_path / "right.csv"
    path.write_text(percent(model, dense, kept, printed))
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("s,p,author_table,m,n,d,macs,0.5,top1,73.62 / 71.89,%,,", "holds several values; one a row"),
        ("s,p,author_table,m,n,d,macs,0.5,top1,about 73,%,,", "is no number"),
        ("s,p,author_table,m,n,d,macs,50,top1,73,%,,", "a share between 0 and 1"),
        ("s,p,author_table,m,n,d,macs,,top1,73,%,,", "a share between 0 and 1"),
        ("s,p,rumour,m,n,d,macs,0.5,top1,73,%,,", "one of author_log, author_table, third_party"),
        ("s,p,author_table,m,n,d,flops,0.5,top1,73,%,,", "one of none, macs, params, weights"),
        ("s,p,author_table,m,n,d,macs,0.5,top1,73,%,,300 epochs, SGD", "quote a comma inside a cell"),
        ("s,p,author_table,m,n,d,macs,0.5,top1_change,-0.5,points,,", "a change without both of its values"),
    ],
)
def test_a_row_that_cannot_be_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(rows(line))
    with pytest.raises(UserError, match=f"wrong.csv:2: .*{says}"):
        read(path)


@pytest.mark.parametrize(
    ("model", "data", "dense", "kept", "printed"),
    [
        ("resnet18", "imagenet", "25.56", "17.56", "68.70"),  # consistent, of another network
        ("resnet50", "imagenet", "11.21", "2.77", "24.71"),
        ("resnet56", "cifar10", "1.71", "0.86", "50.29"),  # twice as many as there are
    ],
)
def test_a_dense_network_that_is_another_is_refused(
    tmp_path: Path, model: str, data: str, dense: str, kept: str, printed: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(percent(model, dense, kept, printed).replace(f"{model},d,", f"{model},{data},"))
    with pytest.raises(UserError, match=rf"wrong\.csv:2: {model} on {data} has [\d.]+ M params, not {dense}"):
        read(path)


def test_a_percentage_without_a_dense_row_is_one_of_the_network_that_is_counted_here(tmp_path: Path) -> None:
    path, (head, _, *rest) = tmp_path / "s.csv", percent("resnet50", "25.56", "6.32", "24.71").splitlines()
    known = "\n".join([head, *rest]).replace("resnet50,d,", "resnet50,imagenet,")
    path.write_text(known)
    assert [row.value for row in read(path)] == [6.32]
    path.write_text(known.replace("6.32", "2.77"))
    with pytest.raises(UserError, match=r"2\.77 at 24\.71 % implies 11\.21 in all; it is 25\.56"):
        read(path)
    path.write_text(known.replace(",M,", ",million,"))
    with pytest.raises(UserError, match="unit 'million' of params"):
        read(path)


def test_a_percentage_of_values_in_unlike_units(tmp_path: Path) -> None:
    path, lines = tmp_path / "s.csv", percent("r", "25.56", "6320", "24.73").splitlines()
    path.write_text("\n".join([*lines[:2], lines[2].replace(",M,", ",K,"), lines[3]]))
    assert len(read(path)) == 2
    lines = percent("r", "25.56", "6.32", "24.73").splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace(",M,", ",K,"), *lines[2:]]))
    with pytest.raises(UserError, match="implies"):
        read(path)


def test_every_wrong_line_is_named_not_only_the_first(tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(rows("s,p,rumour,m,n,d,none,,top1,73,%,,", "s,p,author_log,m,n,d,none,,top1,x,%,,"))
    with pytest.raises(UserError, match=r"(?s)2 rows are wrong.*wrong\.csv:2.*wrong\.csv:3"):
        read(path)


def test_what_this_repository_quotes_is_sound() -> None:
    rows = read_all()
    assert len(rows) > 200
    assert {row.source.partition("@")[0] for row in rows} >= {"OCSPruner", "LAASP1", "LAASP2", "Torch-Pruning"}
    assert not any(row.metric.endswith(("_change", "_percent")) for row in rows)


# ---- beside what was measured --------------------------------------------------------------------


def test_a_gap_only_where_both_mean_the_same(template: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored(template.model_copy(update={"outcome": template.outcome.model_copy(update={"top1": 93.0})}), Path())
    row = Row("cifar10", "resnet56", "ocspruner", "macs", 0.5, 1, (stored,), (), ())
    printed = Reported(
        source="s", place="p", kind="author_log", method="ocspruner", model="resnet56", data="cifar10",
        target_kind="macs", target=0.5, metric="top1", value=93.9, unit="%", n=3, protocol="", digits=2, where="s:2",
    )  # fmt: skip

    spec = Table(name="t", recipe="r", track="published", paper="s", models={}, methods=[])

    def found(row: Row = row, printed: Reported = printed, tier: str = "full", **changed: str) -> Beside:
        monkeypatch.setattr(beside_module, "_printed", lambda: [printed])
        (each,) = beside(row, spec.model_copy(update=changed), tier)
        return each

    assert found().gap == pytest.approx(-0.9)
    for cause, unlike in {
        "data set": found(row=replace(row, data="cifar10-jpeg")),
        "recipe": found(track="matched"),
        "counter": found(printed=replace(printed, protocol="its own count of MACs")),
        "target": found(printed=replace(printed, target=0.52)),
    }.items():
        assert (unlike.unlike, unlike.gap) == ((cause,), None)
    assert found(tier="small").unlike == ("recipe",)
    assert found(printed=replace(printed, source="another paper")).unlike == ("recipe",)
    assert found(paper="").unlike == ("recipe",)
    monkeypatch.setattr(
        beside_module, "_printed", lambda: [replace(printed, target=0.6), replace(printed, model="vgg16")]
    )
    assert beside(row, spec, "full") == []
    monkeypatch.setattr(beside_module, "_printed", lambda: [printed])
    assert beside(replace(row, data="cifar100"), spec, "full") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("s,p,author_table,m,r,d,none,,top1,150,%,,", "top1 150: no percentage"),
        ("s,p,author_table,m,r,d,none,,top1,-3,%,,", "top1 -3: no percentage"),
        ("s,p,author_table,m,r,d,none,,top1,0.93,,,", "top1 in no unit: accuracies are in %"),
        ("s,p,author_table,m,r,d,none,,params,-5,M,,", "params -5: below zero"),
        ("s,p,author_table,m,r50 / r56,d,none,,top1,93,%,,", "holds several values"),
        ("s,p,author_table,m,r,d,none,,top1,nan,%,,", "'nan' is no number"),
        ("s,p,author_table,m,r,d,none,,hours,inf,h,,", "'inf' is no number"),
        ("s,p,author_table,m,r,d,none,,hours,1_0,h,,", "'1_0' is no number"),
        ("s,p,author_table,m,r,d,none,,top1,93,%,0,", "n 0: a number of runs"),
        ("s,p,author_table,m,r,d,none,,top1,93,%,2.5,", "n 2.5: a number of runs"),
        ("s,p,author_table,,r,d,none,,top1,93,%,,", "method is empty"),
        ("s,p,author_table,m,r,d,none,,top1_drop,0.3,points,,", "'top1_drop'"),
        ("s,p,author_table,m,r,d,macs,0.5,params_kept_percent,120,%,,", "params_kept_percent 120: no percentage"),
    ],
)
def test_what_can_be_no_measurement_is_refused(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(rows(line))
    with pytest.raises(UserError, match=re.escape(says)):
        read(tmp_path / "s.csv")


def test_parts_come_from_the_same_table_and_of_two_dense_networks_one_is_named(tmp_path: Path) -> None:
    head = "s,{},author_table,{},r,d,{},{},{},{},%,,{}"
    two_tables = [
        head.format(place, method, kind, target, metric, value, "")
        for place, dense, pruned, change in (("a", 93.0, 92.0, -1.0), ("b", 94.0, 91.5, -2.5))
        for method, kind, target, metric, value in (
            ("dense", "none", "", "top1", dense), ("m", "macs", 0.5, "top1", pruned),
            ("m", "macs", 0.5, "top1_change", change),
        )
    ]  # fmt: skip
    path = tmp_path / "s.csv"
    path.write_text(rows(*two_tables))
    assert len(read(path)) == 4
    path.write_text(rows(*two_tables).replace("-2.5", "-1.5"))
    with pytest.raises(UserError, match=r"94 to 91\.5 is -2\.500"):
        read(path)
    two_dense = [
        head.format("a", "dense x", "none", "", "top1", 93.53, ""),
        head.format("a", "dense y", "none", "", "top1", 93.26, ""),
        head.format("a", "m", "macs", 0.5, "top1", 92.17, ""),
        head.format("a", "m", "macs", 0.5, "top1_change", -1.09, "{}"),
    ]
    path.write_text(rows(*two_dense).replace("{}", "dense y"))
    assert len(read(path)) == 3
    path.write_text(rows(*two_dense).replace("{}", ""))
    with pytest.raises(UserError, match="several dense networks and none named"):
        read(path)
