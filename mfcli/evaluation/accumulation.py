"""Accumulate the errors of a model and of the baselines in one pass over the ratings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.data import Ratings, Scale, Translation, Vocabulary
from mfcli.errors import Param, Text
from mfcli.evaluation.baselines import Baseline
from mfcli.evaluation.binned_sums import BinnedSums
from mfcli.evaluation.bootstrap import Bootstrap, Measured
from mfcli.evaluation.breakdown import BreakdownSums, months_of
from mfcli.evaluation.rating_errors import (
    ERROR_TERMS,
    RATING_TERMS,
    error_columns,
    measured_errors,
    rating_columns,
)
from mfcli.evaluation.uncertainty import USER_SUMS, distribution_columns
from mfcli.model import Model
from mfcli.splits import Split
from mfcli.storage import check_memory, each, release, room
from mfcli.types import Counts, Doubles, Floats, Mask, Progress

if TYPE_CHECKING:
    from mfcli.model import Posterior, RatingDistribution

PREFIXES = {"model": "", "mean": "mean_", "biases": "biases_"}
"""The predictors, and the prefixes of their columns."""

_LANES = 4  # accumulators that may run in parallel; fixed, so that threads do not change any sum
_CHUNK = 1 << 17  # ratings processed at a time
_SCRATCH = 280  # bytes for each of them: predictions, errors and columns


@dataclass
class ErrorSums:
    """Sums of errors over ratings.

    Attributes
    ----------
    users : BinnedSums
        By user: the columns of all predictors, and `error`, the sum of the model's errors; of
        models with a posterior also `USER_SUMS`.
    breakdown : BreakdownSums
        Of the model.
    overlap : BinnedSums
        Of the model, on the ratings that it was not trained on and on those that it was.
    has_uncertainty : bool
        Whether the model predicts distributions.
    clipped, raw : float
        Sums of the model's squared errors, with predictions clipped to the rating scale or not.
    """

    users: BinnedSums
    breakdown: BreakdownSums
    overlap: BinnedSums
    has_uncertainty: bool
    clipped: float = 0.0
    raw: float = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of memory, apart from what does not grow with users and items."""
        return self.users.nbytes + self.breakdown.nbytes

    def merge(self, other: ErrorSums) -> None:
        """Add the sums of another object over the same users and items."""
        self.users.merge(other.users)
        self.breakdown.merge(other.breakdown)
        self.overlap.merge(other.overlap)
        self.clipped += other.clipped
        self.raw += other.raw

    def measured(self, bootstrap: Bootstrap) -> dict[str, Measured]:
        """Return the rating errors of each predictor in `PREFIXES`."""
        return measured_errors(self.users, PREFIXES, bootstrap, uncertainty=self.has_uncertainty)

    def rmse(self, squared: float) -> float:
        """Return the RMSE for a sum of squared errors over all ratings."""
        return math.sqrt(squared / self.users.counts.sum())


def accumulate(
    model: Model,
    split: Split,
    ratings: Ratings,
    baseline: Baseline,
    clip: bool,
    threads: int,
    on_progress: Progress,
    trained_on: Mask | None = None,
    posterior: Posterior | None = None,
) -> ErrorSums:
    """Sum the errors over ratings.

    Chunks of ratings are distributed over a fixed number of lanes. The sums within a lane and then
    over the lanes are taken in order, so they do not depend on the number of threads.

    Parameters
    ----------
    model : Model
    split : Split
        Whose training ratings `baseline` was fitted to.
    ratings : Ratings
        To measure on; any vocabularies.
    baseline : Baseline
    clip : bool
        Clip predictions to the model's rating scale.
    threads : int
    on_progress : callable
        Called with the number of ratings processed and the total.
    trained_on : bool array, shape (n,), optional
        The ratings that the model was trained on; by default none.
    posterior : Posterior, optional
        Of the model, to measure its distributions too.
    """
    predictors = _Predictors(model, split, ratings, baseline, clip, trained_on, posterior)
    chunks = list(_chunks(len(ratings)))
    lanes = min(_LANES, len(chunks))
    done = [0] * lanes
    on_progress(0, len(ratings))

    def add(lane: int) -> None:
        sums = found[lane] = predictors.no_sums()
        for part in chunks[lane::lanes]:
            predictors.add(sums, part)
            # Each lane counts for itself, so that no lock is needed.
            done[lane] += part.stop - part.start
            on_progress(sum(done), len(ratings))

    whole, found = predictors.no_sums(), dict[int, ErrorSums]()
    at_once = min(threads, _fitting(whole.nbytes, _SCRATCH * min(_CHUNK, len(ratings))))
    for first in range(0, lanes, at_once):
        group = range(first, min(first + at_once, lanes))
        _each_of(add, group, threads)
        for lane in group:  # in this order, whatever their number
            whole.merge(found.pop(lane))
    return whole


def _each_of(task: Callable[[int], None], numbers: range, threads: int) -> None:
    each(lambda place: task(numbers[place]), len(numbers), threads)


def _fitting(size: int, scratch: int) -> int:
    """Return how many lanes can be summed at once, if each needs `size` and `scratch` bytes."""
    remedy: Text = ["measure on ratings of fewer users with ", Param("on", "FILE")]
    check_memory(2 * size + scratch, "measuring errors", remedy)
    # Beside them, there are the sums over the earlier lanes.
    return max(room(size) // (size + scratch), 1)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


class _Predictors:
    """The model and the baselines, with the ratings in the row numbers that each of them uses."""

    def __init__(
        self,
        model: Model,
        split: Split,
        ratings: Ratings,
        baseline: Baseline,
        clip: bool,
        trained_on: Mask | None,
        posterior: Posterior | None,
    ) -> None:
        self._model, self._baseline, self._clip = model, baseline, clip
        self._own, self._trained_on, self._posterior = ratings, trained_on, posterior
        # Not `Ratings.within`, which may copy whole columns.
        train = split.train
        users, items = ratings.users, ratings.items
        self._known = Translation(users, model.users), Translation(items, model.items)
        self._trained = Translation(users, train.users), Translation(items, train.items)
        self._months = months_of(ratings.timestamp)
        self._activity = _training_counts(users, model.users)
        self._popularity = _training_counts(items, model.items)

    def no_sums(self) -> ErrorSums:
        """Return sums that are all 0."""
        columns = [prefix + name for prefix in PREFIXES.values() for name in ERROR_TERMS]
        columns += USER_SUMS if self._posterior is not None else ()
        return ErrorSums(
            BinnedSums(len(self._own.users), *RATING_TERMS, "error", *columns),
            BreakdownSums(self._activity, self._popularity, self._model.scale, self._months),
            BinnedSums(2, *ERROR_TERMS),  # not trained on, and trained on
            has_uncertainty=self._posterior is not None,
        )

    def add(self, sums: ErrorSums, part: slice) -> None:
        """Add the errors on a part of the ratings to `sums`."""
        own = self._own.take(part)
        rating = own.rating.astype(np.float64)
        raw, clipped, fitted, found = self._predict(own)
        predicted = (clipped if self._clip else raw).astype(np.float64)
        # One value, which broadcasts; rounded as the predictions are.
        mean = np.full(1, self._baseline.mu, np.float32)
        values: dict[str, NDArray[Any]] = {"model": predicted, "mean": mean, "biases": fitted}
        errors = {PREFIXES[name]: prediction - rating for name, prediction in values.items()}
        # A variance does not change if a constant is subtracted, but its rounding error does.
        columns = rating_columns(rating - mean) | {"error": errors[""]}
        for prefix, error in errors.items():
            columns |= error_columns(error, prefix)
        uncertain = {}
        if found is not None:
            uncertain = distribution_columns(found, rating, clip=self._clip)
        sums.users.add(own.user, **columns, **uncertain)
        sums.breakdown.add(own.user, own.item, rating, predicted, own.timestamp, uncertain)
        if self._trained_on is not None:
            sums.overlap.add(self._trained_on[part], **error_columns(errors[""]))
        sums.clipped += _squared(clipped, rating)
        sums.raw += _squared(raw, rating)
        self._release(own)

    def _release(self, own: Ratings) -> None:
        """Give back the memory of ratings, and of the samples of their users."""
        for name in own.types:
            release(getattr(own, name))
        if self._posterior is not None:
            release(self._posterior.user_rows)

    def _predict(self, own: Ratings) -> tuple[Floats, Floats, Floats, RatingDistribution | None]:
        """Predict with the model, raw and clipped, with the damped biases, and distributions."""
        known, trained = self._known, self._trained
        pairs, found = (known[0](own.user), known[1](own.item)), None
        if self._posterior is not None:
            found = self._posterior.ratings(*pairs)
        raw = self._model.predict_rows(*pairs) if found is None else found.mean
        fitted = self._baseline.predict(trained[0](own.user), trained[1](own.item))
        scale = self._model.scale
        fitted = _clipped(fitted, scale) if self._clip else fitted
        return raw, _clipped(raw, scale), fitted, found


def _squared(predicted: Floats, rating: Doubles) -> float:
    return float(np.square(predicted - rating).sum())


def _training_counts(own: Vocabulary, trained: Vocabulary) -> Counts:
    """Return the training ratings of each id; 0 for ids that are not in the other vocabulary."""
    rows = Translation(own, trained)(np.arange(len(own), dtype=np.int32))
    # Row -1 is the last entry, which `where` drops again.
    return np.where(rows >= 0, trained.counts[rows], 0)


def _clipped(predicted: Floats, scale: Scale) -> Floats:
    return predicted.clip(np.float32(scale.min), np.float32(scale.max))
