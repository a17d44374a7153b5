"""Schedules change learning rate and momentum from the first to the last value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.training.schedules import rates, step_rates

SHAPES = ["exponential", "cosine", "step"]


def learning_rates(**settings: Any) -> list[float]:
    config = Config(**{"lr": 0.1, "lr_end": 0.01, "epochs": 9} | settings)
    return [rates(config, epoch).lr for epoch in range(1, config.epochs + 1)]


def momenta(**settings: Any) -> list[float]:
    config = Config(**{"momentum_end": 0.5, "epochs": 9} | settings)
    return [rates(config, epoch).momentum for epoch in range(1, config.epochs + 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_schedules_decrease_from_the_first_to_the_last_value(shape: str) -> None:
    for values, start, end in (
        (learning_rates(lr_schedule=shape), 0.1, 0.001),
        (momenta(momentum_schedule=shape), 0.9, 0.5),
    ):
        assert values[0] == pytest.approx(start)
        assert values[-1] == pytest.approx(end)
        assert all(np.diff(values) <= 0)


def test_shapes_have_their_formulas() -> None:
    falls = learning_rates(lr_schedule="exponential")
    np.testing.assert_allclose(np.divide(falls[1:], falls[:-1]), 0.01 ** (1 / 8))
    np.testing.assert_allclose(learning_rates(lr_schedule="cosine")[4], (0.1 + 0.001) / 2)
    drops = learning_rates(lr_schedule="step")
    np.testing.assert_allclose(drops[0::2][:4], 0.1 * 0.01 ** np.array([0, 1 / 3, 2 / 3, 1]))
    assert drops[0:8:2] == drops[1:8:2]
    rest = 1 - np.array(momenta(momentum_schedule="exponential"))
    np.testing.assert_allclose(np.divide(rest[1:], rest[:-1]), 5 ** (1 / 8))


def test_the_warm_up_comes_before_the_schedule() -> None:
    warm = learning_rates(lr_schedule="cosine", warmup=3)
    np.testing.assert_allclose(warm[:4], [0.025, 0.05, 0.075, 0.1])
    np.testing.assert_allclose(warm[3:], learning_rates(lr_schedule="cosine", epochs=6))
    np.testing.assert_allclose(learning_rates(lr_end=0.02, warmup=1), [0.05] + [0.1] * 8)


def test_rates_of_steps_continue_across_epochs() -> None:
    """They are those of a schedule with one epoch per step."""
    settings = {"lr": 0.1, "lr_end": 0.01, "lr_schedule": "cosine"}
    config = Config(**settings, lr_every="step", epochs=4, warmup=1)
    steps = np.concatenate([step_rates(config, epoch, 5) for epoch in range(1, 5)])
    np.testing.assert_allclose(steps, learning_rates(**settings, epochs=20, warmup=5))
    every = replace(config, lr_every="epoch")
    assert (step_rates(every, 2, 5) == rates(every, 2).lr).all()


def test_a_single_epoch_has_the_first_value() -> None:
    assert learning_rates(lr_schedule="cosine", epochs=1) == [0.1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"lr_end": 0.5},
            "lr_end is not used with lr_schedule='constant'; omit it, or change lr_schedule",
        ),
        ({"momentum_end": 0.5}, "momentum_end is not used with momentum_schedule='constant'"),
        ({"momentum_schedule": "step", "momentum": 0.0}, "requires a momentum above 0"),
        ({"warmup": 15}, "warmup must be below epochs, got 15 of 15 epochs"),
        ({"lr_every": "step"}, "lr_every is not used with lr_schedule='constant'"),
        ({"lr_schedule": "linear"}, "lr_schedule must be constant, exponential, cosine or step"),
        ({"average": 1.5}, "average must be at least 0 and at most 1, got 1.5"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
