"""How the learning rate and the momentum go from the first epoch to the last.

Both are the same within an epoch, unless the learning rate changes at every step. After the
warm-up, the way from the value at the start to the one at the end is gone in the shape of the
schedule::

    constant      no step of it
    exponential   by the same factor each epoch or step
    cosine        slowly, fast, slowly (I. Loshchilov and F. Hutter, "SGDR", ICLR 2017, equation 5)
    step          by the same factor after each quarter of the epochs

The factor is one of the learning rate, and of 1 - momentum: 1 / (1 - momentum) is how many steps a
gradient lasts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.config import Config

Doubles = NDArray[np.float64]

_DROPS = 3  # between the quarters


class Pace(NamedTuple):
    """The learning rate and the momentum of an epoch."""

    lr: float
    momentum: float


def pace(config: Config, epoch: int) -> Pace:
    """Return the learning rate and the momentum of an epoch, counted from 1."""
    number = np.array([epoch - 1])
    lr = float(_rates(config, number, config.warmup, config.epochs)[0])
    if config.momentum_schedule == "constant" or epoch <= config.warmup:
        return Pace(lr, config.momentum)  # not 1 - (1 - momentum), which is another number
    rest, last = 1.0 - config.momentum, 1.0 - config.momentum_end
    done = _done(number, config.warmup, config.epochs)
    return Pace(lr, 1.0 - float(_between(config.momentum_schedule, rest, last, done)[0]))


def step_rates(config: Config, epoch: int, steps: int) -> Doubles:
    """Return the learning rate of each step of an epoch, counted from 1.

    Parameters
    ----------
    config : Config
    epoch : int
    steps : int
        In every epoch.

    Returns
    -------
    float64 array, shape (steps,)
        All are that of the epoch unless the config has a rate for each step.
    """
    if config.lr_every == "epoch":
        return np.full(steps, pace(config, epoch).lr)
    numbers = np.arange((epoch - 1) * steps, epoch * steps)
    return _rates(config, numbers, config.warmup * steps, config.epochs * steps)


def _rates(config: Config, numbers: NDArray[np.int64], warmup: int, total: int) -> Doubles:
    """Return the learning rates of some of so many epochs or steps, counted from 0."""
    done = _done(numbers, warmup, total)
    falling = _between(config.lr_schedule, config.lr, config.lr * config.lr_end, done)
    return np.where(numbers < warmup, config.lr * (numbers + 1) / (warmup + 1), falling)


def _done(numbers: NDArray[np.int64], warmup: int, total: int) -> Doubles:
    """Return the share of the way after the warm-up that has been gone."""
    return np.clip((numbers - warmup) / max(total - warmup - 1, 1), 0.0, 1.0)


def _between(shape: str, start: float, end: float, done: Doubles) -> Doubles:
    """Return the value at each share of the way."""
    if shape == "constant":
        return np.full(len(done), start)
    if shape == "cosine":
        return end + (start - end) * (1.0 + np.cos(np.pi * done)) / 2.0
    if shape == "step":
        done = np.minimum(np.floor((_DROPS + 1) * done), _DROPS) / _DROPS
    return np.asarray(start * np.power(end / start, done))
