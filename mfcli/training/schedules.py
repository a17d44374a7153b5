"""Learning rate and momentum from the first epoch to the last.

Both are constant within an epoch, unless the learning rate changes at every step. After the
warm-up, they change from the initial to the final value in the shape of the schedule::

    constant      not at all
    exponential   by the same factor at each epoch or step
    cosine        slowly, fast, slowly (I. Loshchilov and F. Hutter, "SGDR", ICLR 2017, equation 5)
    step          by the same factor after each quarter of the schedule

The factor applies to the learning rate, and to 1 - momentum: a gradient has an effect for about
1 / (1 - momentum) steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfcli.config import TRAINING, Config
from mfcli.types import Doubles

_DROPS = 3  # of the shape "step": between four quarters


class Rates(NamedTuple):
    """The learning rate and the momentum of an epoch."""

    lr: float
    momentum: float


def rates(config: Config, epoch: int) -> Rates:
    """Return the learning rate and the momentum of an epoch, counted from 1."""
    number = np.array([epoch - 1])
    lr = float(_learning_rates(config, number, config.warmup, config.epochs)[0])
    if config.momentum_schedule == "constant" or epoch <= config.warmup:
        return Rates(lr, config.momentum)  # 1 - (1 - momentum) would be rounded differently
    rest, last = 1.0 - config.momentum, 1.0 - config.momentum_end
    done = _completed(number, config.warmup, config.epochs)
    return Rates(lr, 1.0 - float(_between(config.momentum_schedule, rest, last, done)[0]))


def step_rates(config: Config, epoch: int, steps: int) -> Doubles:
    """Return the learning rate of each step of an epoch, counted from 1.

    Parameters
    ----------
    config : Config
    epoch : int
    steps : int
        Number of steps in each epoch.

    Returns
    -------
    float64 array, shape (steps,)
        All equal, unless the config changes the learning rate at every step.
    """
    if config.lr_every == "epoch":
        return np.full(steps, rates(config, epoch).lr)
    numbers = np.arange((epoch - 1) * steps, epoch * steps)
    return _learning_rates(config, numbers, config.warmup * steps, config.epochs * steps)


def changes(config: Config) -> dict[int, Rates]:
    """Return the new rates, by the epoch in which the schedule "step" changes one of them."""
    used = config.used(TRAINING)  # without the schedules of other optimizers
    if "step" not in (used.get("lr_schedule"), used.get("momentum_schedule")):
        return {}
    done = _completed(np.arange(config.epochs), config.warmup, config.epochs)
    starts = np.flatnonzero(np.diff(_drops(done))) + 2  # of the quarters, counted from 1
    return {epoch: rates(config, epoch) for epoch in starts.tolist()}


def _learning_rates(config: Config, numbers: NDArray[np.int64], warmup: int, total: int) -> Doubles:
    """Return the learning rates of some epochs or steps, counted from 0, of `total`."""
    done = _completed(numbers, warmup, total)
    falling = _between(config.lr_schedule, config.lr, config.lr * config.lr_end, done)
    # Warm-up: lr / (w + 1), 2 lr / (w + 1), ...; the first epoch or step after it has lr.
    return np.where(numbers < warmup, config.lr * (numbers + 1) / (warmup + 1), falling)


def _completed(numbers: NDArray[np.int64], warmup: int, total: int) -> Doubles:
    """Return the fraction of the schedule, which starts after the warm-up, that is completed."""
    # The last of them, number total - 1, has exactly the final value.
    return np.clip((numbers - warmup) / max(total - warmup - 1, 1), 0.0, 1.0)


def _between(shape: str, start: float, end: float, done: Doubles) -> Doubles:
    """Return the value at each completed fraction of the schedule."""
    if shape == "constant":
        return np.full(len(done), start)
    if shape == "cosine":
        return end + (start - end) * (1.0 + np.cos(np.pi * done)) / 2.0
    if shape == "step":
        done = _drops(done) / _DROPS  # 0, 1/3, 2/3 and 1 in the four quarters
    # start^(1 - done) end^done
    return np.asarray(start * np.power(end / start, done))


def _drops(done: Doubles) -> Doubles:
    """Return the drops of the shape "step" so far; the end of the last quarter belongs to it."""
    drops: Doubles = np.minimum(np.floor((_DROPS + 1) * done), _DROPS)
    return drops
