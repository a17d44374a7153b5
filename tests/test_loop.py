"""Training that diverges says what to change."""

from __future__ import annotations

from typing import Any

import pytest
from planted import planted_split

from mfcli.config import Config
from mfcli.errors import ConfigError
from mfcli.splits import split
from mfcli.training import Diverged, fit
from mfcli.training.engine import Losses
from mfcli.training.gibbs.engine import GibbsEngine


def divergence(config: Config) -> str:
    """Return the message of a training that diverges."""
    with pytest.raises(Diverged) as found:
        fit(planted_split(Config()), config)
    return str(found.value)


def test_fewer_blocks_may_help() -> None:
    message = divergence(Config(k=3, lr=1e4, blocks=2))
    assert "; try lr=" in message
    assert message.endswith(" or fewer blocks than 2")


def test_the_cause_may_not_be_the_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.training.stable_rate._is_stable", lambda *_: False)
    assert divergence(Config(k=3, lr=1e4)).endswith("; try another reg or batch_size")


def test_gibbs_has_no_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_epoch(*_: Any) -> Losses:
        return Losses(float("nan"), float("nan"))

    monkeypatch.setattr(GibbsEngine, "run_epoch", run_epoch)
    message = divergence(Config(k=3, optimizer="gibbs"))
    assert "training diverged at epoch 1 (gibbs)" in message
    assert message.endswith("; try a smaller k or remove outliers from the ratings")


def test_folds_are_trained_one_by_one() -> None:
    folds = split(planted_split(Config()).train, Config(strategy="k-fold", folds=3))
    with pytest.raises(ConfigError, match="split must be one split, got 3 folds; train on each"):
        fit(folds)  # type: ignore[arg-type]  # the error under test
