"""A suite file becomes cells; whatever is wrong with it is answered with its line."""

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.plan.suite import plan, seeds_of
from benchmark.plan.suite_file import known, read
from tests.conftest import SUITE


def cells(path: Path, **options: str) -> list[str]:
    return [p.cell.name for p in plan(read(str(path)), **options)]


def wrong(tmp_path: Path, old: str, new: str) -> str:
    assert old in SUITE
    path = tmp_path / "mine.toml"
    path.write_text(SUITE.replace(old, new))
    with pytest.raises(UserError) as error:
        plan(read(str(path)))
    return str(error.value)


def test_a_table_is_dense_and_every_method_for_every_seed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    assert cells(path) == [
        "dense resnet_tiny digits seed 0",
        "dense resnet_tiny digits seed 1",
        "one_cycle weights -90% resnet_tiny digits seed 0",
        "one_cycle weights -90% resnet_tiny digits seed 1",
        "one_shot weights -90% resnet_tiny digits seed 0",
        "one_shot weights -90% resnet_tiny digits seed 1",
    ]


@pytest.mark.parametrize("name", known())
def test_every_suite_of_the_repository_plans(name: str) -> None:
    suite = read(name)
    assert plan(suite)
    assert suite.text.startswith("#"), "a suite's head says what to expect, the cost and the device"
    if suite.file.small:
        assert all(p.cell.tier == "small" for p in plan(suite, "small"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("epochs = 2", "epoch = 2", "mine.toml:6: unknown key 'epoch'; did you mean epochs"),
        ("batch = 128", 'batch = "128"', "mine.toml:7: batch"),
        ("batch = 128", "batch = 0", "mine.toml:7: batch"),
        ("momentum = 0.9", "momentun = 0.9", "unknown key 'momentun'; did you mean momentum"),
        ('recipe = "matched"', 'recipe = "matchd"', "mine.toml:14: unknown recipe 'matchd'; did you mean matched"),
        ('"one_shot"]', '"one_shut"]', "mine.toml:16: unknown method 'one_shut'; did you mean one_shot"),
        ("resnet_tiny =", "resnet_tinny =", "mine.toml:15: unknown model 'resnet_tinny'; did you mean resnet_tiny"),
        ('data = "digits"', 'data = "digit"', "unknown data set 'digit'; did you mean digits"),
        ('"one_shot"]', '{ name = "one_shot", begin = 0.3 }]', "unknown option of one_shot 'begin'"),
        ('"one_shot"]', '{ name = "one_shot", start = "soon" }]', "one_shot.start = 'soon': expected a value like"),
        (
            '"one_shot"]',
            '"ocspruner"]',
            "mine.toml:16: ocspruner cannot remove weights; it removes channels, macs",
        ),
        ('"one_shot"]', '{ name = "one_shot", by = "l3" }]', "unknown one_shot.by 'l3'; did you mean l2, l1"),
        ('"one_shot"]', '{ name = "one_shot", variant = "x" }]', "unknown option of one_shot 'variant'"),
        ("weights = [0.9]", "weights = [1.9]", "mine.toml:17: table.0.remove.weights"),
        ("validation = 100", "validation = 0", "mine.toml:14: a matched table needs a recipe with a validation split"),
        ('lr = { shape = "warm_cosine" }', "lr = { times = 0.2, at = [5] }", "a step lies at or beyond the last"),
        ('seeds = "0-1"', 'seeds = "a few"', 'write "0-4"'),
        ('about = "a test"', "about = ", "mine.toml: not TOML"),
        ("sgd = {", "like = 'matched'\nsgd = {", "in a circle"),
        ("sgd = {", "like = ['x']\nsgd = {", "unknown recipe"),
        ("weights = [0.9]", "weights = [0.0]", "mine.toml:17: table.0.remove.weights"),
        ("weights = [0.9]", "weights = [1.0]", "mine.toml:17: table.0.remove.weights"),
        ('about = "a test"', "about = 2024-01-01", "mine.toml:1"),
        ('"one_shot"]', '"one_cycle"]', "one_cycle is twice"),
        ("validation = 100", 'validation = 100\naugment = ["crop5"]', "crop4"),
        ("momentum = 0.9", "momentum = 0.0, nesterov = true", "nesterov needs a momentum"),
        ('{ shape = "warm_cosine" }', '{ shape = "cosine", warm = 2 }', "the warm-up fills all"),
        ("resnet_tiny = 10.0", "", "none of its 0 cells"),
        ('seeds = "0-1"', 'seeds = "0-1-5"', 'write "0-4"'),
    ],
)
def test_a_mistake_is_answered_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert says in wrong(tmp_path, old, new)


def test_set_changes_the_cells_and_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    before, after = plan(read(str(path))), plan(read(str(path), ("recipe.matched.epochs=3",)))
    assert {p.cell.recipe.epochs for p in after} == {3}
    assert not {p.cell.id for p in before} & {p.cell.id for p in after}
    assert {p.cell.seed for p in plan(read(str(path), ('table.0.seeds="7"',)))} == {7}
    with pytest.raises(UserError, match="did you mean epochs"):
        read(str(path), ("recipe.matched.epoch=3",))
    with pytest.raises(UserError, match="is not a table of keys"):
        read(str(path), ('table.4.seeds="7"',))


def test_only_picks_and_says_when_nothing_fits(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    assert cells(path, only="method=dense+one_shot,seed=1") == [
        "dense resnet_tiny digits seed 1",
        "one_shot weights -90% resnet_tiny digits seed 1",
    ]
    with pytest.raises(UserError, match="unknown seed of --only '7'"):
        cells(path, only="seed=7")
    with pytest.raises(UserError, match="did you mean one_cycle"):
        cells(path, only="method=one_shot+one_cylce")
    with pytest.raises(UserError, match="none of its 6 cells"):
        cells(path, only="method=dense,amount=0.9")
    with pytest.raises(UserError, match="unknown tier 'smal'; did you mean small"):
        cells(path, tier="smal")
    with pytest.raises(UserError, match="did you mean seed"):
        cells(path, only="seeds=0")


def test_a_number_written_two_ways_is_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE.replace('"one_cycle"', '{ name = "one_cycle", alpha = 14 }'))
    ids = {p.cell.id for p in plan(read(str(path)))}
    path.write_text(SUITE)
    assert ids == {p.cell.id for p in plan(read(str(path)))}


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read(str(tmp_path / "mine.toml"))


def test_a_second_version_of_dense_is_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.plan import discovery

    (tmp_path / "mine.toml").write_text(SUITE)
    before = plan(read(str(tmp_path / "mine.toml")))[0].cell
    monkeypatch.setitem(discovery.methods()["dense"].facts, "version", 2)
    after = plan(read(str(tmp_path / "mine.toml")))[0].cell
    assert (before.method.version, after.method.version) == (1, 2)
    assert before.id != after.id


def test_small_swaps_models_and_floors(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE.replace("resnet_tiny =", "vgg16 =") + SMALL)
    planned = plan(read(str(path)), "small")
    assert {(p.cell.model, p.floor, p.cell.recipe.epoch_images) for p in planned} == {("vgg_tiny", 5.0, 256)}


SMALL = '\n[small]\nepoch_images = 256\nmodels = { vgg16 = "vgg_tiny" }\nfloors = { vgg_tiny = 5.0 }\n'


def test_a_researchers_methods_join_the_tables_that_ask_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = tmp_path / "mine.toml", tmp_path / "lab"
    listed = '["one_cycle", "one_shot"]'
    second = SUITE.partition("[[table]]")[2].replace('"first"', '"second"')
    second = second.replace(listed, '["*", "one_shot"]')
    path.write_text(f"{SUITE}\n[[table]]{second}")
    folder.mkdir()
    (folder / "slow.py").write_text(
        '"""Slow."""\nfrom benchmark import Run, method, prune_along\n\n\n'
        '@method(removes={"weights"})\ndef slow(run: Run, *, k: int = 2) -> None:\n'
        "    prune_along(run, lambda t: t**k)\n"
    )
    planned = plan(read(str(path), (), (folder,)))
    labels = {table: list(dict.fromkeys(p.label for p in planned if p.table == table)) for table in ("first", "second")}
    assert labels == {"first": ["dense", "one_cycle", "one_shot"], "second": ["dense", "lab:slow", "one_shot"]}
    alone = plan(read(str(path)))
    assert {p.id for p in alone} == {p.id for p in planned if p.label != "lab:slow"}, 'without --methods "*" is nothing'

    path.write_text(SUITE)
    with pytest.raises(SystemExit) as exit:
        main(["run", str(path), "--methods", str(folder), "--dry", "--out", str(tmp_path / "results")])
    assert exit.value.code == 2
    assert "no table of mine takes a method of it" in capsys.readouterr().err
    path.write_text(
        SUITE.replace(listed, '["*"]').replace('recipe = "matched"', 'recipe = "matched"\ntrack = "published"')
    )
    with pytest.raises(UserError, match="published table"):
        plan(read(str(path), (), (folder,)))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True))
def test_seeds_are_read_back(seeds: list[int]) -> None:
    assert seeds_of(",".join(map(str, seeds))) == seeds == seeds_of(seeds)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SUITE.splitlines()),
    st.text(st.characters(codec="ascii"), max_size=30),
)
def test_whatever_stands_in_a_suite_it_is_read_or_refused(line: str, junk: str) -> None:
    """No traceback, whatever one line of the file becomes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mine.toml"
        path.write_text(SUITE.replace(line, junk, 1))
        with contextlib.suppress(UserError):
            plan(read(str(path)))


def test_two_models_that_share_a_small_one_are_one_column(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = SUITE.replace("resnet_tiny = 10.0", "resnet56 = 10.0, resnet110 = 10.0")
    path.write_text(
        text + '\n[small]\nepoch_images = 512\nmodels = { resnet56 = "resnet20", resnet110 = "resnet20" }\n'
    )
    assert len(cells(path)) == 12
    assert len(cells(path, tier="small")) == 6


def test_short_scales_everything_in_epochs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    long = SUITE.replace("epochs = 2", "epochs = 100").replace(
        'lr = { shape = "warm_cosine" }', "lr = { times = 0.2, at = [30, 60, 90] }"
    )
    methods = (
        '[{ name = "ocspruner", sl_end = 50 }, { name = "ocspruner", as = "at 0", sl_start = 0, sl_end = 0 },'
        ' { name = "ocspruner", as = "at rest", sl_start = -1 }, { name = "laasp", start = 40, images = 500 }]'
    )
    long = long.replace('["one_cycle", "one_shot"]', methods).replace("weights = [0.9]", "macs = [0.4]")
    path.write_text(long)
    with pytest.raises(UserError, match=r"mine\.toml: has no tier short; short = true gives it one"):
        cells(path, tier="short")
    path.write_text("short = true\n" + long)
    planned = {p.label: p.cell for p in plan(read(str(path)), "short") if p.cell.seed == 0}
    recipe = planned["dense"].recipe
    assert (recipe.epochs, recipe.lr.at, recipe.epoch_images) == (20, (6, 12, 18), None)  # type: ignore[union-attr]
    epochs = {
        name: (c.method.config["sl_start"], c.method.config["sl_end"])
        for name, c in planned.items()
        if "sl_end" in c.method.config
    }
    assert epochs == {"ocspruner(sl_end=50)": (6, 10), "at 0": (0, 0), "at rest": (-1, 22)}
    laasp = next(c for c in planned.values() if c.method.name == "laasp").method.config
    assert (laasp["start"], laasp["recover"], laasp["images"]) == (8, 1, 500), "images are no epochs"
    assert not {p.id for p in plan(read(str(path)))} & {p.id for p in plan(read(str(path)), "short")}
    assert {p.tier for p in plan(read(str(path)), "short")} == {"short"}
