"""Averaging returns the mean of the weights of the last epochs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.training import Epoch, fit


def test_the_average_is_that_of_the_last_epochs() -> None:
    config = Config(k=2, epochs=6)
    split = planted_split(config)
    models = [fit(split, replace(config, epochs=n)).model for n in (4, 5, 6)]
    mean = fit(split, replace(config, average=0.5))
    for name, table in mean.model.tables.items():
        expected = np.mean([model.tables[name] for model in models], axis=0)
        np.testing.assert_allclose(table, expected, atol=1e-6)
    errors = mean.model.predict_rows(split.test.user, split.test.item) - split.test.rating
    assert mean.history.lists["val_mse"][-1] == pytest.approx(np.mean(errors**2), rel=1e-5)


def test_averaging_does_not_change_training() -> None:
    config = Config(k=2, epochs=6)
    split = planted_split(config)
    reported: dict[float, list[Epoch]] = {0.0: [], 0.5: []}
    for share, epochs in reported.items():
        fit(split, replace(config, average=share), on_epoch=epochs.append)
    assert [e.mse for e in reported[0.0]] == [e.mse for e in reported[0.5]]
    assert [e.val_mse for e in reported[0.0]][:3] == [e.val_mse for e in reported[0.5]][:3]
