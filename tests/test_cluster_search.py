"""A search on a cluster has the trials of one machine, whatever happens to the workers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from planted import planted_split
from test_search import stopped_after
from traps import Trap

import mfcli
import mfcli.search.recommended
from mfcli.config import Config
from mfcli.errors import ArtifactError, ClusterError, MfcliWarning, TrainingError
from mfcli.search import Attempt, Search, with_validation
from mfcli.search.search import ROUND
from mfcli.search.spaces import Choice, Range, Space
from mfcli.splits import Split, read_split, write_split

pytestmark = pytest.mark.usefixtures("machines")

SPACE: Space = {
    "reg": Range(0.001, 1.0, log=True),
    "k": Choice((2, 6)),
    "rate": Range(0.002, 0.2, log=True),
    "warmup": Choice((0, 99)),  # with 99, a trial fails
    "epochs": Range(5, 20),
}
TRIALS = 30


@dataclass
class Alone:
    """What a search on one machine finds."""

    attempts: list[Attempt]
    failures: list[str]
    storage: bytes


@pytest.fixture(scope="module")
def split() -> Split:
    """A split in memory, with validation ratings."""
    return with_validation(planted_split(Config(valid=0.1)), Config())


@pytest.fixture(scope="module")
def alone(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    path = tmp_path_factory.mktemp("alone") / "s.jsonl"
    with Search(split, Config(), SPACE, path) as search:
        search.run(TRIALS)
    assert search.failures
    assert not all(attempt.is_complete for attempt in search.attempts)
    return Alone(search.attempts, search.failures, path.read_bytes())


@pytest.mark.parametrize("workers", [1, 2])
def test_the_workers_do_not_matter(
    split: Split, alone: Alone, tmp_path: Path, workers: int
) -> None:
    path, seen = tmp_path / "s.jsonl", list[Attempt]()
    with mfcli.cluster(workers=workers), Search(split, Config(), SPACE, path) as search:
        search.run(TRIALS, on_trial=seen.append)
    assert seen == search.attempts == alone.attempts
    assert search.failures == alone.failures
    assert path.read_bytes() == alone.storage


def test_workers_read_the_folder_of_a_split(split: Split, alone: Alone, tmp_path: Path) -> None:
    folder, moved = tmp_path / "split", tmp_path / "moved"
    write_split(folder, split)
    search = Search(read_split(folder), Config(), SPACE)
    folder.rename(moved)
    with mfcli.cluster(workers=2):
        with pytest.raises(ArtifactError, match="split: cannot be read by all nodes"):
            search.run(TRIALS)
        moved.rename(folder)
        search.run(TRIALS)
    assert search.attempts == alone.attempts


def test_trials_of_a_killed_worker_run_again(split: Split, alone: Alone, tmp_path: Path) -> None:
    trap = Trap.of_split(split, tmp_path / "marks", spared=1, killed=2)
    with mfcli.cluster(workers=2):
        search = Search(trap, Config(), SPACE)
        search.run(TRIALS)
    assert len([*trap.marks.iterdir()]) == 3
    assert search.attempts == alone.attempts


def test_a_search_that_lost_its_workers_resumes(split: Split, alone: Alone, tmp_path: Path) -> None:
    path, cluster = tmp_path / "s.jsonl", mfcli.cluster(workers=1, retries=1)
    trap = Trap.of_split(split, tmp_path / "marks", spared=1, killed=99)
    with cluster, Search(trap, Config(), SPACE, path) as search:
        with pytest.raises(ClusterError):
            search.run(TRIALS)
        assert search.ended == ROUND  # a process opens the split once for each round
    with mfcli.cluster(workers=2), Search(split, Config(), SPACE, path) as again:
        assert again.ended == ROUND
        again.run(TRIALS)
    assert path.read_bytes() == alone.storage


def test_a_stopped_search_resumes(split: Split, alone: Alone, tmp_path: Path) -> None:
    path, number = tmp_path / "s.jsonl", alone.attempts[ROUND].number
    with mfcli.cluster(workers=2):
        with pytest.raises(KeyboardInterrupt), Search(split, Config(), SPACE, path) as search:
            search.run(TRIALS, on_trial=stopped_after(number))
        assert search.ended == number
        with Search(split, Config(), SPACE, path) as again:
            again.run(number + 1)
    with Search(split, Config(), SPACE, path) as last:  # on one machine
        last.run(TRIALS)
    assert path.read_bytes() == alone.storage


def test_a_trial_without_enough_time_is_discarded(split: Split) -> None:
    endless = Search(split, Config(), SPACE | {"epochs": Choice((10**6,)), "warmup": Choice((0,))})
    with (
        mfcli.cluster(workers=2),
        pytest.raises(TrainingError, match="no trial was completed; raise minutes or trials"),
    ):
        endless.run(3, seconds=0.5)
    assert not endless.ended


def test_more_workers_than_parallel_trials(split: Split) -> None:
    here = Search(split, Config(), SPACE, parallel=1)
    here.run(3)
    there = Search(split, Config(), SPACE, parallel=1)
    with mfcli.cluster(workers=2), pytest.warns(MfcliWarning) as warnings:
        there.run(3)
    assert there.attempts == here.attempts
    assert [str(one.message) for one in warnings] == [
        "parallel_trials=1 leaves 1 of 2 workers idle; use parallel_trials=2 in a new search"
    ]


def test_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recommended settings compete, and validation ratings are cut from the others."""
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 6})
    split, seen = planted_split(Config()), list[Attempt]()
    here = mfcli.tune(split, trials=9, parallel_trials=4)
    with mfcli.cluster(workers=2):
        there = mfcli.tune(split, trials=9, parallel_trials=4, on_trial=seen.append)
    assert there == here
    assert seen == here.attempts
    assert mfcli.tune(split, trials=9).attempts != here.attempts


def test_the_command(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mfcli.search.recommended, "_EPOCHS", {"usual": 6})
    write_split(tmp_path / "split", planted_split(Config(), users=20, items=15))

    def tuned(name: str, *words: object) -> tuple[Any, ...]:
        out, storage = f"{name}.toml", f"{name}.jsonl"
        done = run("tune", "--trials", 10, "--json", "--out", out, "--storage", storage, *words)
        assert done.code == 0, done.err
        result = json.loads(done.out)
        assert result.pop("file") == out
        files = [Path(one).read_bytes() for one in (out, storage)]
        # Other lines depend on the time.
        lines = re.findall(r"^note: .+|^\d+/10 trials, .+\(trial \d+\)", done.err, re.MULTILINE)
        assert len(lines) == 12
        return result, files, lines

    there = tuned("there", "--parallel-trials", 3, "--cluster", "auto", "--workers", 2)
    assert there == tuned("here", "--parallel-trials", 3)
