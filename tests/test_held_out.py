"""Losses on held-out ratings are those of the predictions of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.training.held_out import held_out_losses, held_out_mse
from mfcli.training.loop import start


@pytest.mark.parametrize("k", [1, 15, 16, 40])
def test_errors_are_those_of_the_predictions(k: int) -> None:
    rng = np.random.default_rng(k)
    split = planted_split(Config())
    rows = rng.integers(-1, 40, (2, 70_000)).astype(np.int32)  # -1 is unknown to the model
    values = rng.normal(3, 1, 70_000).astype(np.float32)
    ratings = replace(split.test, user=rows[0], item=rows[1], rating=values)
    model = start(split, Config(k=k))
    tables = {name: rng.normal(size=t.shape).astype(np.float32) for name, t in model.tables.items()}
    model = model.with_tables(tables)
    errors = model.predict_rows(*rows).astype(np.float64) - values
    mse = held_out_mse(model, ratings)
    assert mse == pytest.approx(np.square(errors).mean(), rel=1e-6)
    assert mse == held_out_mse(model, ratings, threads=3)
    assert held_out_losses(model, ratings).mse == mse
