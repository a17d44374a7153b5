"""Stages with the default settings, as whole processes: time and peak memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.new_ratings import write_new_ratings
from benchmarks.orders import write_shuffled
from benchmarks.processes import Usage, usage
from benchmarks.records import Found, Record, compared
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples, alternate
from benchmarks.versions import Version

Runs = dict[str, Callable[[], Samples]]


class Commands:
    """Commands of a version of mfcli, in a folder for its results.

    Parameters
    ----------
    version : Version
    folder : Path
    """

    def __init__(self, version: Version, folder: Path) -> None:
        self.version, self.folder = version, folder / version.name
        self.folder.mkdir(exist_ok=True)

    def run(self, *words: object) -> Usage:
        """Run an mfcli command."""
        return usage(self.version.command(*words), self.folder, self.version.environment)

    def stage(self, *words: object) -> Samples:
        """Run a stage without its progress."""
        return samples(self.run(*words, "--quiet"))

    def train(self, split: Path) -> Samples:
        """Train, and also measure what is outside of the epochs."""
        whole = self.stage("train", "--split", split, "--out", "run")
        history = json.loads((self.folder / "run" / "history.json").read_text())
        return whole | {"outside": [whole["seconds"][0] - sum(history["seconds"])]}


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure every stage, and pandas as it reads the same file."""
    shuffled = setup.folder / "shuffled.csv"
    write_shuffled(setup.data, shuffled)
    model = ["--split", setup.split, "--model", "run"]
    stages = {
        "split": ["split", setup.data, "--split", "split"],
        "split, rows in random order": ["split", shuffled, "--split", "split"],
        "evaluate": ["evaluate", *model],
        "evaluate --ranking": ["evaluate", "--ranking", *model],
        "recommend --all": ["recommend", "--all", *model, "--out", "top.parquet"],
        "predict": ["predict", setup.data, "--model", "run", "--out", "predicted.csv"],
    }
    programs = [Commands(version, setup.folder) for version in setup.versions]
    made = _training(setup, programs)
    for name, words in stages.items():
        runs: Runs = {one.version.name: partial(one.stage, *words) for one in programs}
        made.append(record(name, medians_of(name, runs, setup.rounds)))
    return [*made, *_updates(setup, programs[0]), _pandas(setup)]


def _training(setup: Setup, programs: Sequence[Commands]) -> list[Record]:
    runs: Runs = {one.version.name: partial(one.train, setup.split) for one in programs}
    medians = medians_of("train", runs, setup.rounds)
    outside = {"command": "of which outside the epochs"} | compared(medians, "outside")
    return [record("train, 15 epochs", medians), outside]


def _updates(setup: Setup, program: Commands) -> list[Record]:
    """Measure updates of the default model, and of a model of samples."""
    new = setup.folder / "new.csv"
    write_new_ratings(setup.split, new)
    sampled = ["--optimizer", "gibbs", "--k", "31", "--epochs", "2", "--out", "sampled"]
    program.run("train", "--split", setup.split, *sampled, "--quiet")
    made = []
    for name, model in (("k 10", "run"), ("Gibbs sampling, k 31", "sampled")):
        words = "update", new, "--split", setup.split, "--model", model, "--out", "updated"
        title = f"update with 10,000 ratings, {name}"
        runs: Runs = {program.version.name: partial(program.stage, *words)}
        made.append(record(title, medians_of(title, runs, setup.rounds)))
    return made


def _pandas(setup: Setup) -> Record:
    read = [sys.executable, "-c", f"import pandas; pandas.read_csv({str(setup.data)!r})"]
    environment = setup.versions[0].environment
    runs: Runs = {"mfcli": lambda: samples(usage(read, setup.folder, environment))}
    name = "for comparison, pandas.read_csv"
    return record(name, medians_of(name, runs, setup.rounds))


def samples(used: Usage) -> Samples:
    """Return time and memory as a single sample of each."""
    return {"seconds": [used.seconds], "peak": [used.peak]}


def medians_of(name: str, runs: Runs, rounds: int) -> dict[str, dict[str, float]]:
    """Run processes of all versions alternately; return the medians of each version."""
    print(f"process: {name}", file=sys.stderr)
    return alternate(runs, rounds)


def record(
    name: str, medians: dict[str, dict[str, float]], seconds: str = "seconds", peak: str = "peak"
) -> Record:
    """Return a row of the table."""
    peaks = compared(medians, peak)
    memory = {"peak": peaks["seconds"], "previous_peak": peaks.get("previous")}
    return {"command": name} | compared(medians, seconds) | memory
