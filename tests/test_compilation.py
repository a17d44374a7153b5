"""Kernels are compiled once, and again if anything that they are made of has changed."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from numba import types
from planted import planted_split

from mfcli.config import Config
from mfcli.storage import array_type, compiled
from mfcli.training import fit
from mfcli.training.sgd.kernels import kernels_for
from mfcli.training.sgd.rows import make_variant

TOY = {
    "toy/__init__.py": "",
    "toy/numbers.py": "ADDED = 1\n",
    "toy/helpers.py": """
from mfcli.storage import inlined
from toy.numbers import ADDED

@inlined
def change(x):
    return x + ADDED
""",
    "toy/pairs.py": """
from typing import NamedTuple

class Pair(NamedTuple):
    first: int
    second: int
""",
    "toy/kernels.py": """
from numba import types
from mfcli.storage import array_type, inlined, kernel
from toy import pairs
from toy.helpers import change

@inlined
def twice(x):
    return change(change(x))

@kernel(array_type(types.int64, 1))
def fill(out):
    for n in range(len(out)):
        out[n] = pairs.Pair(twice(n), 7).first
""",
}

RUN_TOY = """
import numpy as np
from toy.kernels import fill
out = np.zeros(3, np.int64)
fill(out)
print(*out)
"""

SHUFFLE = """
import numpy as np
from mfcli.training.sgd.generators import words_of
from mfcli.training.sgd.rows import RATING
from mfcli.training.sgd.packed_ratings import Form, Packed
from mfcli.training.sgd.shuffle import shuffle
out, form = np.zeros(9, RATING), Form.of(9, 0, 0)
data = np.append(np.arange(9, dtype="<u4"), [0, 0]).astype("<u4").view(np.uint8)
firsts, value = np.zeros((2, 1), np.int32), np.ones(1, np.float32)
packed = Packed(data, np.zeros(1, np.int64), firsts, form, value, value)
shuffle(packed, words_of(0), 0, out)
print(*out["user"])
"""


def run(script: str, cache: Path, *paths: Path) -> str:
    """Run a script in a new process that has a cache folder; return what it prints."""
    path = os.pathsep.join(map(str, paths))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=cache.parent,  # Python looks there first
        env={"PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def stored(cache: Path) -> dict[Path, int]:
    """Return the compiled functions in a cache folder, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_change_in_another_file_compiles_again(tmp_path: Path) -> None:
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    cache = tmp_path / "cache"
    assert run(RUN_TOY, cache, tmp_path, ROOT) == "2 3 4"
    before = stored(cache)
    assert run(RUN_TOY, cache, tmp_path, ROOT) == "2 3 4"
    assert stored(cache) == before != {}
    edit(tmp_path / "toy/helpers.py", "x + ADDED", "x + 10 * ADDED")
    assert run(RUN_TOY, cache, tmp_path, ROOT) == "20 21 22"
    edit(tmp_path / "toy/numbers.py", "ADDED = 1", "ADDED = 3")
    assert run(RUN_TOY, cache, tmp_path, ROOT) == "60 61 62"
    edit(tmp_path / "toy/pairs.py", "first: int\n    second: int", "second: int\n    first: int")
    assert run(RUN_TOY, cache, tmp_path, ROOT) == "7 7 7"


def test_a_change_of_an_operation_compiles_the_kernels_again(tmp_path: Path) -> None:
    """In a copy of the package, other records are written."""
    shutil.copytree(
        ROOT / "mfcli", tmp_path / "mfcli", ignore=shutil.ignore_patterns("__pycache__")
    )
    cache = tmp_path / "cache"
    order = run(SHUFFLE, cache, tmp_path)
    before = stored(cache)
    assert run(SHUFFLE, cache, tmp_path) == order
    assert stored(cache) == before != {}
    edit(
        tmp_path / "mfcli/vectors.py",
        "builder.store(args[2], builder.bitcast(place, _I64.as_pointer()), align=1)",
        "builder.store(_I64(7), builder.bitcast(place, _I64.as_pointer()), align=1)",
    )
    assert run(SHUFFLE, cache, tmp_path) != order


TRAIN = """
from planted import planted_split
from mfcli.config import Config
from mfcli.training import fit
from mfcli.training.sgd.kernels import kernels_for
from mfcli.training.sgd.rows import make_variant
config = Config(k=9, epochs=1)
fit(planted_split(config), config)
stats = kernels_for(make_variant(9)).train.stats
print(len(stats.cache_hits), len(stats.cache_misses))
"""


def test_training_compiles_once(tmp_path: Path) -> None:
    paths = tmp_path / "cache", Path(__file__).parent, ROOT
    assert run(TRAIN, *paths) == "0 1"
    before = stored(tmp_path / "cache")
    assert run(TRAIN, *paths) == "1 0"
    assert stored(tmp_path / "cache") == before


class Bomb:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def changed(code: bytes, bomb: bytes) -> dict[str, bytes]:
    middle = len(code) // 2
    return {
        "one bit": code[:middle] + bytes([code[middle] ^ 1]) + code[middle + 1 :],
        "cut": code[:-100],
        "longer": code + b"\0",
        "empty": b"",
        "pickle": bomb,
        "pickle after the digest": code[:32] + bomb,
    }


def doubles(out: Any) -> None:
    for n in range(len(out)):
        out[n] *= 2


def negates(out: Any) -> None:
    for n in range(len(out)):
        out[n] = -out[n]


def is_loaded(function: Callable[..., None] = doubles, expected: int = 6) -> bool:
    """Compile a function or load it from the cache, and run it; return whether it was loaded."""
    made: Any = compiled(function, array_type(types.int64, 1))
    numbers = np.full(2, 3)
    made(numbers)
    assert numbers.tolist() == [expected, expected]
    return bool(made.stats.cache_hits)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the cache is moved with XDG_CACHE_HOME")


@LINUX
@pytest.mark.parametrize(
    "kind", ["one bit", "cut", "longer", "empty", "pickle", "pickle after the digest"]
)
def test_invalid_code_is_neither_unpickled_nor_run_but_replaced(
    tmp_path: Path, cache: Path, kind: str
) -> None:
    assert not is_loaded()
    assert is_loaded()
    (file,) = stored(cache)
    code, bomb = file.read_bytes(), pickle.dumps(Bomb(tmp_path / "hit"))
    file.write_bytes(changed(code, bomb)[kind])
    assert not is_loaded()
    assert is_loaded()
    assert not (tmp_path / "hit").exists()


@LINUX
def test_code_of_another_function_is_not_loaded(cache: Path) -> None:
    """A file that is valid under another name is not valid here."""
    assert not is_loaded()
    assert not is_loaded(negates, -3)
    first, second = sorted(stored(cache))
    first.write_bytes(second.read_bytes())
    assert is_loaded() + is_loaded(negates, -3) == 1


@LINUX
def test_code_that_others_could_have_written_is_not_loaded(cache: Path) -> None:
    assert not is_loaded()
    (file,) = stored(cache)
    file.parent.chmod(0o777)
    assert not is_loaded()
    file.parent.chmod(0o700)
    assert is_loaded()


@LINUX
@pytest.mark.parametrize("where", ["", "cache"])
def test_nothing_is_loaded_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", where)
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "numba"))
    assert not is_loaded()
    assert is_loaded()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_without_a_cache_folder_training_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no private folder")

    monkeypatch.setattr("mfcli.storage.code_cache.cache_folder", fail)
    kernels_for.cache_clear()
    config = Config(k=9, epochs=1)
    fit(planted_split(config), config)
    stats = kernels_for(make_variant(9)).train.stats  # type: ignore[attr-defined]
    assert not stats.cache_hits
    kernels_for.cache_clear()


def test_a_cache_that_cannot_be_written_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("mfcli.storage.code_cache.read_private", fail)
    config = Config(k=5, epochs=1)
    split = planted_split(config)
    expected = fit(split, config).model
    monkeypatch.setattr("mfcli.storage.code_cache.write_private", fail)
    kernels_for.cache_clear()
    found = fit(split, config).model
    kernels_for.cache_clear()
    for name, table in expected.tables.items():
        assert table.tobytes() == found.tables[name].tobytes()
