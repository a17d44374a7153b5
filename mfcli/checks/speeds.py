"""About how long work takes, from measurements on a server.

The numbers were measured on two cores of a 2025 server (AMD EPYC with AVX2), on 20 million and on
100,000 ratings. Other machines, and disks, may be several times faster or slower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from mfcli.aligned import lanes_of
from mfcli.config import Config
from mfcli.storage import cores
from mfcli.training import Plan, row_size

MEASURED_ON = "two cores of a 2025 server"

_PER_RATING = {16: 60.0, 32: 104.0, 64: 272.0}  # ns to draw rows (gibbs), by values of a row
_PER_ROW = {16: 1_000.0, 32: 3_400.0, 64: 10_300.0}  # ns besides, for each user and item
_SOLVED = 0.8  # time to solve for a row (als), relative to drawing it
_PER_SCORE = 0.05  # ns for each value of each pair that rankings compare; most are skipped
_RANKED_USERS = 5_000  # users whose rankings are validated after an epoch
_KERAS_STEP, _KERAS_VALUE = 1e6, 9.0  # ns for a step of Keras, and for each value in its tables
_KERAS_START = 8.0  # seconds to load TensorFlow
_START = 1.2  # seconds until a training begins, and after it
_PREPARED = 80.0  # ns for each rating that is read, packed and sorted once
_SPLIT_START, _SPLIT_ROW = 0.6, 300.0  # seconds, and ns for each row that is read and split
_UNPACKED = 1.5  # times as long if the file is compressed or the ratings go through the disk


def nanoseconds(stride: int) -> float:
    """Estimate the time of gradient descent per rating, on one core.

    Straight lines pass through 13 ns for rows of 32 values, 15 for 64, and 60 for 224. Their slopes
    increase, so the estimate is the maximum of the lines.
    """
    # Slopes: (15 - 13) / (64 - 32) = 1/16 and (60 - 15) / (224 - 64) = 9/32
    return max(13.0, 13 + (stride - 32) / 16, 15 + (stride - 64) * 9 / 32)


def epoch_seconds(
    plan: Plan, config: Config, ratings: int, users: int, items: int, threads: int
) -> float:
    """Estimate the time of an epoch.

    Parameters
    ----------
    plan : Plan
    config : Config
    ratings : int
        Training and validation ratings together.
    users, items : int
    threads : int
    """
    rows = users + items
    if plan.engine == "keras":
        values = rows * (config.k + 1)
        steps = math.ceil(ratings / config.batch_size)
        return config.ensemble * steps * (_KERAS_STEP + _KERAS_VALUE * values) / 1e9
    # Blocks in the same round train at the same time; so do the members of an ensemble.
    most = max(plan.groups, config.ensemble) if config.by_steps else threads
    at_once = min(threads, cores(), most)
    return config.ensemble * _work(config, ratings, users, items) / at_once / 1e9


def _work(config: Config, ratings: int, users: int, items: int) -> float:
    """Return the nanoseconds of one core for an epoch of one member."""
    ranked = 0.0
    if config.followed != "rmse":
        ranked = min(users, _RANKED_USERS) * items * (config.k + 1) * _PER_SCORE
    if config.by_steps:
        return ratings * nanoseconds(row_size(config)) + ranked
    width = lanes_of(config.k + 1)
    drawn = ratings * _between(_PER_RATING, width) + (users + items) * _between(_PER_ROW, width)
    return drawn * (1.0 if config.optimizer == "gibbs" else _SOLVED) + ranked


def _between(measured: Mapping[int, float], width: int) -> float:
    """Interpolate between measured points, by powers of the width; continue the last power."""
    points = sorted(measured.items())
    pairs = list(pairwise(points))
    (x0, y0), (x1, y1) = next((pair for pair in pairs if width <= pair[1][0]), pairs[-1])
    return y0 * math.pow(width / x0, math.log(y1 / y0) / math.log(x1 / x0))


def start_seconds(plan: Plan) -> float:
    """Estimate the time of a command that trains, besides its trainings."""
    return _START + (_KERAS_START if plan.engine == "keras" else 0.0)


def preparing_seconds(plan: Plan, ratings: int) -> float:
    """Estimate the time of a training besides its epochs: ratings are packed and sorted."""
    return (_UNPACKED if plan.on_disk else 1.0) * ratings * _PREPARED / 1e9


def split_seconds(rows: int, *, slower: bool) -> float:
    """Estimate the time to read and split ratings; slower from compressed files, or on disk."""
    return _SPLIT_START + rows * _SPLIT_ROW * (_UNPACKED if slower else 1.0) / 1e9
