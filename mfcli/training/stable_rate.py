"""Finds a learning rate that does not diverge, by trying rates on a few hundred steps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mfcli.config import Config
from mfcli.data import Ratings
from mfcli.errors import ConfigError
from mfcli.model import Model
from mfcli.storage import release
from mfcli.training.factory import make_engine
from mfcli.training.plan import make_plan

_STEPS = 300  # at least
_TRIES = 60  # halvings; after that the rate is zero in float32
_WORSE = 1.5  # times the variance of the ratings, the error of predicting their mean


def stable_rate(start: Model, train: Ratings, config: Config, threads: int) -> float | None:
    """Halve the learning rate until a few hundred steps with it are stable.

    Parameters
    ----------
    start : Model
        Initial model.
    train : Ratings
    config : Config
        With the learning rate that diverged. The rates are tried with the fast engine if it can
        train with the other settings.
    threads : int

    Returns
    -------
    float or None
        None if no rate is stable, because the cause is something else.
    """
    size = min(len(train), _STEPS * config.batch_size)
    # A random sample: the first ratings of a file may all belong to few users.
    rng = np.random.default_rng(config.seed)
    sample = train.take(np.sort(rng.choice(len(train), size, replace=False, shuffle=False)))
    for column in (train.user, train.item, train.rating):
        release(column)
    # No warm-up: the trial needs the full rate from its first step.
    quick = dataclasses.replace(config, engine="auto", blocks=1, warmup=0, lr_every="epoch")
    for tries in range(1, _TRIES):
        slower = dataclasses.replace(quick, lr=config.lr / 2**tries)
        if _is_stable(dataclasses.replace(start, config=slower), sample, threads):
            return slower.lr
    return None


def _is_stable(start: Model, sample: Ratings, threads: int) -> bool:
    try:
        plan = make_plan(sample, start.config)
        engine = make_engine(plan, [start], sample, sample, threads)
    except ConfigError:  # the fast engine cannot use this rate, but perhaps a lower one
        return False
    # The constant is for ratings that are all equal, whose variance is zero.
    most = _WORSE * float(sample.rating.var(dtype=np.float64)) + 1e-6
    epochs = -(-_STEPS * start.config.batch_size // len(sample))
    for epoch in range(1, epochs + 1):
        with np.errstate(all="ignore"):
            losses = *engine.run_epoch(epoch, lambda done, total: None), *(engine.validate() or ())
        if not all(map(math.isfinite, losses)) or losses[-1] > most:
            return False
    return True
