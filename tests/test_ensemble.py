"""An ensemble is one model that predicts the mean of its members."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.model import Model
from mfcli.splits import read_split
from mfcli.training import Fit, fit


@pytest.fixture(scope="module")
def members() -> list[Fit]:
    config = Config(k=3, epochs=4, batch_size=16, reg=0.001)
    split = planted_split(Config())
    return [fit(split, replace(config, seed=seed)) for seed in (5, 6, 7)]


@pytest.fixture(scope="module")
def whole() -> Fit:
    config = Config(k=3, epochs=4, batch_size=16, reg=0.001, seed=5, ensemble=3)
    return fit(planted_split(Config()), config)


def predict(model: Model) -> np.ndarray:
    user, item = (a.ravel().astype(np.int32) for a in np.mgrid[-1:60, -1:40])
    return model.predict_rows(user, item)


def test_an_ensemble_predicts_the_mean_of_its_members(members: list[Fit], whole: Fit) -> None:
    mean = np.mean([predict(member.model) for member in members], axis=0)
    np.testing.assert_allclose(predict(whole.model), mean, atol=2e-6)
    assert whole.model.k == 9
    assert (whole.model.config.k, whole.model.config.ensemble) == (3, 3)


def test_losses_are_means_and_the_validation_error_is_that_of_the_mean(
    members: list[Fit], whole: Fit
) -> None:
    for name in ("loss", "mse"):
        mean = np.mean([member.history.lists[name] for member in members], axis=0)
        np.testing.assert_allclose(whole.history.lists[name], mean)
    test = planted_split(Config()).test
    errors = whole.model.predict_rows(test.user, test.item) - test.rating
    assert whole.history.lists["val_mse"][-1] == pytest.approx(np.mean(np.square(errors)), rel=1e-5)


def test_threads_do_not_matter(whole: Fit) -> None:
    config = Config(k=3, epochs=4, batch_size=16, reg=0.001, seed=5, ensemble=3)
    for threads in (1, 4):
        again = fit(planted_split(Config()), config, threads=threads)
        for name, table in whole.model.tables.items():
            assert table.tobytes() == again.model.tables[name].tobytes()


def test_an_ensemble_is_saved_as_one_model(whole: Fit, tmp_path: Path) -> None:
    whole.write(tmp_path)
    read = Model.load(tmp_path / "model")
    assert (predict(read) == predict(whole.model)).all()


def test_many_are_better_than_one_on_real_ratings(real_split: Path) -> None:
    split, config = read_split(real_split), Config(k=20, epochs=15)
    one, five = (fit(split, replace(config, ensemble=n)).history.lists for n in (1, 5))
    assert five["val_mse"][-1] < one["val_mse"][-1] - 0.005
