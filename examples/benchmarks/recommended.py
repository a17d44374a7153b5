"""Training with the settings that `mfcli init` recommends, as whole processes."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path

from benchmarks.commands import Commands, Runs, medians_of, record, samples
from benchmarks.orders import write_first
from benchmarks.processes import together
from benchmarks.records import Found, Record
from benchmarks.run_setup import Setup
from benchmarks.timing import Samples

_FEW = 100_000  # ratings


def records(setup: Setup, found: Found) -> list[Record]:
    """Measure the first ratings in every round, and all ratings once."""
    few = setup.folder / "few.csv"
    write_first(setup.data, few, _FEW)
    return [
        *_measured(setup, few, f"{_FEW:,} ratings", setup.rounds),
        *_measured(setup, setup.data, "all ratings", 1),
    ]


def _measured(setup: Setup, data: Path, ratings: str, rounds: int) -> list[Record]:
    programs = [Commands(version, setup.folder) for version in setup.versions]
    runs: Runs = {one.version.name: partial(_file_to_model, one, data) for one in programs}
    medians = medians_of(f"init and train, {ratings}", runs, rounds)
    chosen = ", previously ".join(dict.fromkeys(_settings(one, data) for one in programs))
    return [
        record(f"init; train on {ratings} ({chosen})", medians),
        record("split; init; train: file to model", medians, "whole", "whole peak"),
    ]


def _file_to_model(program: Commands, data: Path) -> Samples:
    """Split, and train with the settings of `init`."""
    split, settings, out = (f"{data.stem}{end}" for end in ("-split", ".toml", "-run"))
    first = program.run("split", data, "--split", split, "--quiet")
    init = program.run("init", "--split", split, "--out", settings)
    options = ["--split", split, "--config", settings, "--out", out, "--quiet"]
    trained = together([init, program.run("train", *options)])
    whole = together([first, trained])
    return samples(trained) | {"whole": [whole.seconds], "whole peak": [whole.peak]}


def _settings(program: Commands, data: Path) -> str:
    """Describe what `init` has chosen."""
    text = (program.folder / f"{data.stem}.toml").read_text(encoding="utf-8")
    chosen = tomllib.loads(text)
    return f"k {chosen['k']}, {chosen['epochs']} epochs"
