"""How the learning rate and the momentum go from the first epoch to the last.

Both are the same within an epoch. After the warm-up, the way from the value at the start to the one
at the end is gone in the shape of the schedule::

    constant      no step of it
    exponential   by the same factor each epoch
    cosine        slowly, fast, slowly (I. Loshchilov and F. Hutter, "SGDR", ICLR 2017, equation 5)
    step          by the same factor after each quarter of the epochs

The factor is one of the learning rate, and of 1 - momentum: 1 / (1 - momentum) is how many steps a
gradient lasts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mfcli.config import Config

_DROPS = 3  # between the quarters


class Pace(NamedTuple):
    """The learning rate and the momentum of an epoch."""

    lr: float
    momentum: float


def pace(config: Config, epoch: int) -> Pace:
    """Return the learning rate and the momentum of an epoch, counted from 1."""
    if epoch <= config.warmup:
        return Pace(config.lr * epoch / (config.warmup + 1), config.momentum)
    way = max(config.epochs - config.warmup - 1, 1)
    done = min((epoch - config.warmup - 1) / way, 1.0)
    lr = _between(config.lr_schedule, config.lr, config.lr * config.lr_end, done)
    rest, last = 1.0 - config.momentum, 1.0 - config.momentum_end
    if config.momentum_schedule == "constant":
        return Pace(lr, config.momentum)  # not 1 - (1 - momentum), which is another number
    return Pace(lr, 1.0 - _between(config.momentum_schedule, rest, last, done))


def _between(shape: str, start: float, end: float, done: float) -> float:
    """Return the value at a share of the way."""
    if shape == "constant":
        return start
    if shape == "cosine":
        return end + (start - end) * (1.0 + math.cos(math.pi * done)) / 2.0
    if shape == "step":
        done = min(math.floor((_DROPS + 1) * done), _DROPS) / _DROPS
    return start * math.pow(end / start, done)
