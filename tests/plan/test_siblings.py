"""A method of several files: what it imports from its folder is found, runs, and counts to its code."""

import json
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import discovery
from tests.conftest import SUITE
from tests.runs.forked import prunebench

METHOD = '''"""Mine."""

from benchmark import Run, method

from .shape import fraction


@method(removes={"weights"}, version=1)
def mine(run: Run) -> None:
    run.note(half=fraction(0.5))
    run.train()
'''
HELPERS = {
    "shape.py": "from . import power\nfrom .deep.down import ONE\n\ndef fraction(t):\n  return ONE * t**power.POWER\n",
    "power.py": "POWER = 2\n",
    "deep/__init__.py": "",
    "deep/down.py": "from ..power import POWER\n\nONE = POWER / POWER\n",
    "unused.py": "raise RuntimeError('nobody imports this')\n",
}


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found_in(folder: Path) -> discovery.Found:
    discovery._in_folder.cache_clear()
    return discovery.methods((folder,))[f"{folder.name}:mine"]


@pytest.mark.parametrize("path", ["mine.py", "mine/__init__.py"])
def test_all_that_a_method_imports_from_its_folder_is_found_and_runs(tmp_path: Path, path: str) -> None:
    """As a file, and as a folder of its own."""
    lab = tmp_path / "my lab-2.0"
    write((lab / path).parent, **{Path(path).name: METHOD}, **HELPERS)
    found = found_in(lab)
    helpers = {helper.relative_to((lab / path).parent).as_posix() for helper in found.helpers}
    assert helpers == {"shape.py", "power.py", "deep/__init__.py", "deep/down.py"}
    assert discovery.load(found).__globals__["fraction"](3.0) == 9.0


def test_an_edited_helper_makes_the_record_stale(tmp_path: Path) -> None:
    """One that the method's own file does not even name."""
    write(tmp_path / "lab", **{"mine.py": METHOD}, **HELPERS)
    suite = SUITE.replace('["one_cycle", "one_shot"]', '["lab:mine"]').replace('"0-1"', '"0"')
    (tmp_path / "mine.toml").write_text(suite)

    def state() -> str:
        done = prunebench("run", "mine.toml", "--methods", "lab", "--dry", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        states = {cell["cell"].split()[0]: cell["state"] for cell in json.loads(done.stdout)["cells"]}
        return str(states["lab:mine"])

    def run(*options: str) -> float:
        done = prunebench("run", "mine.toml", "--methods", "lab", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr + done.stdout
        newest = max((tmp_path / "results").glob("records/**/*.json"), key=lambda path: path.stat().st_mtime_ns)
        return float(json.loads(newest.read_text())["notes"]["half"])

    assert run() == 0.25
    write(tmp_path / "lab", **{"unused.py": "SOMETHING = 'else'\n"})
    write(tmp_path / "lab", **{"power.py": "# what a comment says changes nothing\nPOWER = 2\n"})
    assert state() == "done"
    write(tmp_path / "lab", **{"deep/down.py": HELPERS["deep/down.py"].replace("POWER / POWER", "2 * POWER / POWER")})
    assert state() == "stale"
    assert run("--stale") == 0.5
    assert state() == "done"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import shape", "mine.py:5: `import shape`: write `from . import shape`, so that its code is hashed"),
        ("from shape import fraction", "write `from . import shape`"),
        ("from lab.shape import fraction", "write `from . import shape`"),
        ("from lab import shape", "write `from . import shape`"),
        ("import deep.down", "write `from . import deep`"),
        ("from .shap import fraction", "mine.py:5: `from .shap import fraction`: there is no .*shap.py"),
        ("from . import shap", "`from . import shap`: there is no .*shap.py"),
        ("from ..other import fraction", "`from ..other import fraction` leaves the folder"),
    ],
)
def test_code_that_could_not_be_hashed_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    """Also where a path to the folder would let Python find it."""
    lab = write(tmp_path / "lab", **{"mine.py": METHOD.replace("from .shape import fraction", line)}, **HELPERS)
    write(tmp_path, **{"other.py": "def fraction(t): ...\n"})
    for more in ([], [str(lab), str(tmp_path)]):
        monkeypatch.setattr("sys.path", [*more, *sys.path])
        with pytest.raises(UserError, match=says):
            found_in(lab)


def test_a_helper_that_bears_the_name_of_a_library_is_not_taken_for_it(tmp_path: Path) -> None:
    """`import random` beside a random.py of the folder is Python's; only `from . import random` is the folder's."""
    text = METHOD.replace("from .shape import fraction", "import random\nimport torch\nfraction = float")
    lab = write(tmp_path / "lab", **{"mine.py": text, "random.py": "X = 1\n", "torch.py": "X = 1\n"})
    assert found_in(lab).helpers == ()
    assert discovery.load(found_in(lab)).__globals__["random"].randint(3, 3) == 3


def test_two_folders_of_one_name_do_not_share_their_helpers(tmp_path: Path) -> None:
    for number, parent in enumerate(("a", "b")):
        lab = write(tmp_path / parent / "lab", **{"mine.py": METHOD, "shape.py": f"fraction = lambda t: {number}\n"})
        assert discovery.load(found_in(lab)).__globals__["fraction"](0.5) == number
