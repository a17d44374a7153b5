"""Extreme settings and ratings give a finite result or an error of one line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_ratings, planted_split

from mfcli.config import SETTINGS, TRAINING, Config, settings_in
from mfcli.errors import ConfigError, DataError, LimitError, MfcliError
from mfcli.model import Model
from mfcli.splits import Split, split as split_ratings
from mfcli.training import Diverged, Fit, History, fit, run as runs

SLOW = {"epochs", "ensemble"}  # correct, but each costs time in proportion to its value

WHOLE = [-(2**64), -1, 0, 2**31, 2**63 - 1, 2**63, 2**127]
NUMBERS = [-1.0, -0.0, 5e-324, math.nextafter(1, 0), 1e39, math.inf, math.nan]


def bounds(name: str) -> list[Any]:
    """Return the bounds of a setting, and values just outside of them."""
    rule, step = SETTINGS[name].rule, SETTINGS[name].type is int
    found: list[Any] = []
    for bound in (rule.low, rule.high, rule.above, rule.below):
        if bound is not None:
            near = [bound - 1, bound, bound + 1] if step else [
                math.nextafter(bound, -math.inf), bound, math.nextafter(bound, math.inf)
            ]  # fmt: skip
            found += [SETTINGS[name].type(one) for one in near]
    return found


SHAPES = {"lr_schedule": "cosine", "momentum_schedule": "cosine"}
USED = {"sgd": Config(patience=1, **SHAPES), "gibbs": Config(patience=1, optimizer="gibbs")}


def cases() -> Iterator[tuple[str, str, Any]]:
    """Yield an optimizer, a setting and an extreme value."""
    for name in settings_in(TRAINING):
        if SETTINGS[name].type in (int, float):
            values = WHOLE if SETTINGS[name].type is int else NUMBERS
            for optimizer in ("sgd", "gibbs"):
                if not SETTINGS[name].is_used(USED[optimizer], TRAINING):
                    continue
                for value in dict.fromkeys([*values, *bounds(name)]):
                    yield optimizer, name, value


@pytest.fixture(scope="module")
def split() -> Split:
    return planted_split(Config(valid=0.2), users=12, items=8)


def outcome(split: Split, settings: dict[str, Any], folder: Path) -> Fit | None:
    """Train, write and read the result; return None for an error of one line."""
    try:
        fitted = fit(split, Config(**settings), threads=1)
        fitted.write(folder)
    except MfcliError as error:
        assert len(str(error).splitlines()) == 1
        return None
    assert all(np.isfinite(table).all() for table in fitted.model.tables.values())
    used = fitted.model.config.used(TRAINING)
    assert Model.load(folder / "model").config.used(TRAINING) == used
    assert History.read(folder / "history.json") == fitted.history
    return fitted


def test_extreme_settings(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "stable_rate", lambda *_: None)  # slow, and tested elsewhere
    trained = 0
    for optimizer, name, value in cases():
        if name in SLOW and isinstance(value, int) and 10 < value <= 10**6:
            assert Config(**{name: value}) if value <= SETTINGS[name].rule.high else True
            continue
        settings = {"epochs": 2, "k": 2, "reg_scope": "rating", "optimizer": optimizer}
        if name == "momentum_end":
            settings["momentum_schedule"] = "cosine"
        if name in ("lr_end", "warmup"):
            settings["lr_schedule"] = "cosine"
        if name == "min_delta":
            settings["patience"] = 1
        trained += bool(outcome(split, settings | {name: value}, tmp_path))
    assert trained > 50


def test_settings_that_would_take_forever_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"epochs must be at least 1 and at most 1e\+06, got 10"):
        Config(epochs=10**12)
    with pytest.raises(ConfigError, match="ensemble must be at least 1 and at most 1000, got 10"):
        Config(ensemble=10**9)


def test_a_batch_may_be_larger_than_any_number_of_ratings(split: Split) -> None:
    whole = fit(split, Config(k=2, batch_size=len(split.train)), threads=1)
    for size in (len(split.train) + 1, 2**63, 2**127):
        again = fit(split, Config(k=2, batch_size=size), threads=1)
        assert again.history.lists["val_mse"] == whole.history.lists["val_mse"]


def test_many_factors_need_memory_for_their_covariance(split: Split) -> None:
    with pytest.raises(LimitError, match="training with k 1000000 needs about"):
        fit(split, Config(optimizer="gibbs", k=10**6))


def scaled(factor: float, config: Config) -> Split:
    """Return the split of planted ratings that are multiplied by a factor."""
    ratings, _ = planted_ratings(users=40, items=30)
    values = (ratings.rating.astype(np.float64) * factor).astype(np.float32)
    return split_ratings(replace(ratings, rating=values), config)


GIBBS = {"optimizer": "gibbs", "k": 2, "epochs": 20}


@pytest.mark.parametrize("factor", [1e-14, 1e-8, 1e4, 1e8, 1e13])
def test_gibbs_gives_the_same_model_in_other_units(factor: float, tmp_path: Path) -> None:
    """Up to rounding: a sum of many float32 values is not the same in other units."""
    expected = fit(scaled(1, Config(valid=0.1)), Config(**GIBBS)).losses["val_mse"] ** 0.5
    fitted = outcome(scaled(factor, Config(valid=0.1)), GIBBS, tmp_path)
    assert fitted
    assert fitted.losses["val_mse"] ** 0.5 / factor == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("settings", [GIBBS, {"k": 2}], ids=str)
@pytest.mark.parametrize("factor", [1e15, 1e16, 1e19, 4e37, -4e37])
def test_ratings_that_are_too_large_are_refused(factor: float, settings: dict[str, Any]) -> None:
    match = r"ratings must be at most 1e\+14 in absolute value for training, got .*; divide them"
    with pytest.raises(DataError, match=match):
        fit(scaled(factor, Config(valid=0.1)), Config(**settings))


@pytest.mark.parametrize("settings", [GIBBS, {"k": 2}], ids=str)
@pytest.mark.parametrize("factor", [1e-16, 1e-30, 1e-44])
def test_ratings_that_are_too_close_are_refused(factor: float, settings: dict[str, Any]) -> None:
    match = "ratings must differ by at least 1e-14 for training, got .*; multiply them"
    with pytest.raises(DataError, match=match):
        fit(scaled(factor, Config(valid=0.1)), Config(**settings))


def test_descent_needs_ratings_that_are_larger_than_initial_weights() -> None:
    with pytest.raises(Diverged, match="; multiply the ratings by a constant, because they differ"):
        fit(scaled(1e-8, Config(valid=0.1)), Config(k=2))
