"""One pass over ratings that adds up the errors of a model and of the baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfcli.data import Ratings, Scale, Vocabulary
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.bootstrap import Bootstrap, Doubles
from mfcli.evaluation.breakdown import Breakdown, Counts, months_of
from mfcli.evaluation.errors import OWN, SHARED, Measured, own_columns, shared_columns
from mfcli.evaluation.tallies import Tally
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.storage import each

KINDS = {"model": "", "mean": "mean_", "biases": "biases_"}
"""The kinds of predictions, and what is put before the names of their columns."""

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

_LANES = 4  # sums that may be added up at the same time, whatever the threads
_CHUNK = 1 << 17  # ratings measured at a time


@dataclass
class Sums:
    """What is added up over ratings.

    Attributes
    ----------
    users : Tally
        Errors by user.
    breakdown : Breakdown
        Errors of the model by whatever else.
    clipped, raw : float
        Squared errors of the model's predictions.
    """

    users: Tally
    breakdown: Breakdown
    clipped: float = 0.0
    raw: float = 0.0

    def merge(self, other: Sums) -> None:
        self.users.merge(other.users)
        self.breakdown.merge(other.breakdown)
        self.clipped += other.clipped
        self.raw += other.raw

    def measured(self, bootstrap: Bootstrap) -> dict[str, Measured]:
        """Return the errors of each of `KINDS`."""
        return Measured.of(self.users, KINDS, bootstrap)

    def rmse(self) -> dict[str, float]:
        """Return the RMSE of the model's predictions, `clipped` and `raw`."""
        ratings = self.users.counts.sum()
        sums = {"clipped": self.clipped, "raw": self.raw}
        return {name: math.sqrt(squared / ratings) for name, squared in sums.items()}


def measure(
    model: Model,
    split: Split,
    ratings: Ratings,
    baseline: Baseline,
    clip: bool,
    threads: int,
    on_progress: Progress,
) -> Sums:
    """Add up errors over ratings.

    Chunks of ratings are dealt into a few lanes, which are added up side by side and then together,
    so that any number of threads gives the same sums.
    """
    views = _Views(model, split, ratings, baseline, clip)
    chunks = list(_chunks(len(ratings)))
    lanes = [views.nothing() for _ in range(min(_LANES, len(chunks)))]
    done = [0] * len(lanes)

    def add(lane: int) -> None:
        for part in chunks[lane :: len(lanes)]:
            views.add(lanes[lane], part)
            done[lane] += part.stop - part.start
            on_progress(sum(done), len(ratings))

    each(add, len(lanes), threads)
    for lane in lanes[1:]:
        lanes[0].merge(lane)
    return lanes[0]


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


class _Views:
    """Ratings in the rows of those who predict them."""

    def __init__(
        self, model: Model, split: Split, ratings: Ratings, baseline: Baseline, clip: bool
    ) -> None:
        self._model, self._baseline, self._clip = model, baseline, clip
        self._own = ratings
        self._known = ratings.within(model.users, model.items)
        self._trained = ratings.within(split.train.users, split.train.items)
        self._months = months_of(ratings.timestamp)
        self._activity = _counts(model.users, ratings.users.ids)
        self._popularity = _counts(model.items, ratings.items.ids)

    def nothing(self) -> Sums:
        """Return empty sums."""
        columns = [prefix + name for prefix in KINDS.values() for name in OWN]
        return Sums(
            Tally(len(self._own.users), *SHARED, "error", *columns),
            Breakdown(self._activity, self._popularity, self._model.scale, self._months),
        )

    def add(self, sums: Sums, part: slice) -> None:
        """Add the errors of some ratings."""
        own, rating = self._own.take(part), self._own.rating[part].astype(np.float64)
        raw, clipped, fitted = self._predict(part)
        predicted = (clipped if self._clip else raw).astype(np.float64)
        mean = np.full(1, self._baseline.mu, np.float32)
        kinds: dict[str, NDArray[Any]] = {"model": predicted, "mean": mean, "biases": fitted}
        errors = {KINDS[kind]: values - rating for kind, values in kinds.items()}
        columns = shared_columns(rating - mean) | {"error": errors[""]}
        for prefix, error in errors.items():
            columns |= own_columns(error, prefix)
        sums.users.add(own.user, **columns)
        sums.breakdown.add(own.user, own.item, rating, predicted, own.timestamp)
        sums.clipped += _squared(clipped, rating)
        sums.raw += _squared(raw, rating)

    def _predict(self, part: slice) -> tuple[NDArray[np.float32], ...]:
        """Predict by the model, raw and clipped, and by the damped biases."""
        known, trained = self._known.take(part), self._trained.take(part)
        raw = self._model.predict_rows(known.user, known.item)
        fitted = self._baseline.predict(trained.user, trained.item)
        scale = self._model.scale
        return raw, _clipped(raw, scale), _clipped(fitted, scale) if self._clip else fitted


def _squared(predicted: NDArray[np.float32], rating: Doubles) -> float:
    return float(np.square(predicted - rating).sum())


def _counts(vocabulary: Vocabulary, ids: pa.Array) -> Counts:
    """Return the training ratings of ids; 0 of those that a vocabulary lacks."""
    rows = vocabulary.rows(ids)
    return np.where(rows >= 0, vocabulary.counts[rows], 0)


def _clipped(predicted: NDArray[np.float32], scale: Scale) -> NDArray[Any]:
    return predicted.clip(np.float32(scale.min), np.float32(scale.max))
