"""One small store and its site, made once for all tests of the report."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from benchmark.cli import main
from benchmark.records.store import Store
from tests.conftest import SUITE

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; `apt-get install chromium`")

CHANNELS = """
[recipe.longer]
like = "matched"
epochs = 6

[[table]]
name = "second"
recipe = "longer"
models = { resnet_tiny = 10.0 }
methods = [
    { name = "ocspruner", monitor = 0, sl_start = 0, sl_end = 4, eps = 2.0 },
    { name = "laasp", start = 1, images = 64, step = 0.05, every = 0.3 },
]
remove = { macs = [0.4] }
"""


def prunebench(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert not end.value.code


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("site")
    (folder / "mine.toml").write_text(SUITE + CHANNELS)
    prunebench("run", folder / "mine.toml", "--out", folder, "--threads", 1)
    return Store(folder)


@pytest.fixture(scope="package")
def site(store: Store) -> Path:
    prunebench("report", store.root / "mine.toml", "--out", store.root, "--to", store.root / "report")
    return store.root / "report"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
