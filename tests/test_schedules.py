"""Schedules go from the start to the end, each in its shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.training import Epoch, fit
from mfcli.training.schedules import pace, step_rates

SHAPES = ["exponential", "cosine", "step"]


def rates(**settings: Any) -> list[float]:
    config = Config(**{"lr": 0.1, "lr_end": 0.01, "epochs": 9} | settings)
    return [pace(config, epoch).lr for epoch in range(1, config.epochs + 1)]


def momenta(**settings: Any) -> list[float]:
    config = Config(**{"momentum_end": 0.5, "epochs": 9} | settings)
    return [pace(config, epoch).momentum for epoch in range(1, config.epochs + 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_falls_from_the_start_to_the_end(shape: str) -> None:
    for values, start, end in (
        (rates(lr_schedule=shape), 0.1, 0.001),
        (momenta(momentum_schedule=shape), 0.9, 0.5),
    ):
        assert values[0] == pytest.approx(start)
        assert values[-1] == pytest.approx(end)
        assert all(np.diff(values) <= 0)


def test_shapes() -> None:
    falls = rates(lr_schedule="exponential")
    np.testing.assert_allclose(np.divide(falls[1:], falls[:-1]), 0.01 ** (1 / 8))
    np.testing.assert_allclose(rates(lr_schedule="cosine")[4], (0.1 + 0.001) / 2)
    drops = rates(lr_schedule="step")
    np.testing.assert_allclose(drops[0::2][:4], 0.1 * 0.01 ** np.array([0, 1 / 3, 2 / 3, 1]))
    assert drops[0:8:2] == drops[1:8:2]
    rest = 1 - np.array(momenta(momentum_schedule="exponential"))
    np.testing.assert_allclose(np.divide(rest[1:], rest[:-1]), 5 ** (1 / 8))


def test_the_warm_up_comes_before_the_schedule() -> None:
    warm = rates(lr_schedule="cosine", warmup=3)
    np.testing.assert_allclose(warm[:4], [0.025, 0.05, 0.075, 0.1])
    np.testing.assert_allclose(warm[3:], rates(lr_schedule="cosine", epochs=6))
    np.testing.assert_allclose(rates(lr_end=0.02, warmup=1), [0.05] + [0.1] * 8)


def test_rates_of_steps_go_on_from_epoch_to_epoch() -> None:
    """As those of epochs would, were each step one."""
    settings = {"lr": 0.1, "lr_end": 0.01, "lr_schedule": "cosine"}
    config = Config(**settings, lr_every="step", epochs=4, warmup=1)
    steps = np.concatenate([step_rates(config, epoch, 5) for epoch in range(1, 5)])
    np.testing.assert_allclose(steps, rates(**settings, epochs=20, warmup=5))
    every = replace(config, lr_every="epoch")
    assert (step_rates(every, 2, 5) == pace(every, 2).lr).all()


def test_one_epoch_has_the_value_of_the_start() -> None:
    assert rates(lr_schedule="cosine", epochs=1) == [0.1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr_end": 0.5}, "lr_end needs a schedule; choose lr_schedule"),
        ({"momentum_end": 0.5}, "momentum_end needs a schedule"),
        ({"momentum_schedule": "step", "momentum": 0.0}, "needs a momentum above 0"),
        ({"warmup": 15}, "warmup must be below epochs, got 15 of 15 epochs"),
        ({"lr_every": "step"}, "lr_every step needs a schedule or a warmup"),
        ({"lr_schedule": "linear"}, "lr_schedule must be constant or exponential or"),
        ({"average": 1.5}, "average must be at least -1 and at most 1, got 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**settings)


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


def test_training_goes_on_as_without_the_average() -> None:
    config = Config(k=2, epochs=6)
    split = planted_split(config)
    told: dict[float, list[Epoch]] = {0.0: [], 0.5: []}
    for share, epochs in told.items():
        fit(split, replace(config, average=share), on_epoch=epochs.append)
    assert [e.mse for e in told[0.0]] == [e.mse for e in told[0.5]]
    assert [e.val_mse for e in told[0.0]][:3] == [e.val_mse for e in told[0.5]][:3]
