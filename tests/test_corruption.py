"""Random damage to each artifact gives an error or the same content, never different numbers."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import MfcliError
from mfcli.evaluation import FoldMetrics, evaluate, read_metrics
from mfcli.model import Model
from mfcli.splits import Split, read_split, split as split_ratings, write_split
from mfcli.training import Checkpoint, History, Keeper, fit, read_checkpoint

TIMES = 1000


def plain(value: Any) -> Any:
    """Convert an artifact to plain values, which are compared bit by bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Model | Split | Checkpoint | History):
        return plain(vars(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(vars(value))
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value.to_pylist() if hasattr(value, "to_pylist") else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small artifact of each kind."""
    folder = tmp_path_factory.mktemp("artifacts")
    config = Config(k=2, epochs=3, valid=0.1, resamples=3)
    made = planted_split(config, users=20, items=15)
    write_split(folder / "split", made)
    split = read_split(folder / "split")
    fitted = fit(split, config, keeper=Keeper(folder / "checkpoint"))
    fitted.write(folder)
    metrics = evaluate(fitted.model, split, config, ranking=True)
    metrics.write(folder / "metrics.json")
    FoldMetrics.of([metrics, metrics]).write(folder / "folds.json")
    write_split(folder / "folds", split_ratings(made.train, Config(strategy="k-fold", folds=2)))
    sampled = Config(k=2, epochs=3, optimizer="gibbs", keep_samples=2)
    fit(split, sampled).model.save(folder / "sampled")
    return folder


ARTIFACTS: dict[str, Callable[[Path], Any]] = {
    "split/split.json": lambda folder: read_split(folder / "split"),
    "split/train.arrow": lambda folder: read_split(folder / "split"),
    "split/valid.arrow": lambda folder: read_split(folder / "split"),
    "split/users.arrow": lambda folder: read_split(folder / "split"),
    "folds/ratings.arrow": lambda folder: read_split(folder / "folds/fold-1"),
    "folds/split.json": lambda folder: read_split(folder / "folds/fold-1"),
    "folds/fold-1/split.json": lambda folder: read_split(folder / "folds/fold-1"),
    "model/model.json": lambda folder: Model.load(folder / "model"),
    "model/model.keras": lambda folder: Model.load(folder / "model"),
    "model/items.arrow": lambda folder: Model.load(folder / "model"),
    "sampled/user_samples.npy": lambda folder: Model.load(folder / "sampled"),
    "sampled/samples.npz": lambda folder: Model.load(folder / "sampled"),
    "checkpoint/checkpoint.json": lambda folder: read_checkpoint(folder / "checkpoint"),
    "checkpoint/state.npz": lambda folder: read_checkpoint(folder / "checkpoint"),
    "history.json": lambda folder: History.read(folder / "history.json"),
    "metrics.json": lambda folder: read_metrics(folder / "metrics.json"),
    "folds.json": lambda folder: read_metrics(folder / "folds.json"),
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Change a bit or a byte, cut off the end, or insert or remove some bytes."""
    place = rng.randrange(len(data))
    kind = rng.random()
    if kind < 0.5:
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    if kind < 0.7:
        return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    if kind < 0.85:
        return data[:place]
    if kind < 0.95:
        return data[:place] + data[place + rng.randrange(1, 9) :]
    return data[:place] + rng.randbytes(rng.randrange(1, 9)) + data[place:]


@pytest.mark.parametrize("name", ARTIFACTS)
def test_damage_is_an_error_or_has_no_effect(folder: Path, name: str) -> None:
    path, read, rng = folder / name, ARTIFACTS[name], random.Random(name)
    data, sound = path.read_bytes(), plain(read(folder))
    refused = 0
    try:
        for _ in range(TIMES):
            path.write_bytes(damaged(data, rng))
            try:
                assert plain(read(folder)) == sound
            except MfcliError as error:
                assert len(str(error).splitlines()) == 1
                refused += 1
    finally:
        path.write_bytes(data)
    assert refused > TIMES / 5
    assert plain(read(folder)) == sound


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_missing_file_is_an_error(folder: Path, name: str) -> None:
    path, aside = folder / name, folder / "aside"
    path.rename(aside)
    try:
        with pytest.raises(MfcliError):
            ARTIFACTS[name](folder)
    finally:
        aside.rename(path)
