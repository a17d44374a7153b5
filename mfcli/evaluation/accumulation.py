"""Accumulate the errors of a model and of the baselines in one pass over the ratings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfcli.clusters import Cluster, current_cluster
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
from mfcli.model import Model, map_shared
from mfcli.splits import Split
from mfcli.storage import check_memory, each, release, room, threads_of
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
    over the lanes are taken in order, so they do not depend on the number of threads, nor on that
    of the workers of a cluster that sum lanes.

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
    train = split.train
    predictors = _Predictors(model, train, ratings, baseline, clip, trained_on, posterior, _CHUNK)
    whole, cluster = predictors.no_sums(), current_cluster()
    on_progress(0, len(ratings))
    if cluster:
        found = _from_cluster(cluster, predictors, whole.nbytes, on_progress)
    else:
        found = _summed(predictors, range(predictors.lanes), whole.nbytes, threads, on_progress)
    for sums in found:  # in the order of the lanes, whatever their number
        whole.merge(sums)
    return whole


def _summed(
    predictors: _Predictors,
    lanes: range,
    nbytes: int,
    threads: int,
    on_progress: Progress = lambda done, total: None,
) -> Iterator[ErrorSums]:
    """Yield the sums of some lanes, in their order.

    Parameters
    ----------
    predictors : _Predictors
    lanes : range
    nbytes : int
        Bytes of the sums of a lane.
    threads : int
    on_progress : callable, optional
    """
    done, found = dict.fromkeys(lanes, 0), dict[int, ErrorSums]()

    def add(lane: int) -> None:
        sums = found[lane] = predictors.no_sums()
        for part in predictors.parts(lane):
            predictors.add(sums, part)
            # Each lane counts for itself, so that no lock is needed.
            done[lane] += part.stop - part.start
            on_progress(sum(done.values()), predictors.ratings)

    at_once = min(threads, _fitting(nbytes, _SCRATCH * min(predictors.chunk, predictors.ratings)))
    for first in range(0, len(lanes), at_once):
        group = lanes[first : first + at_once]
        _each_of(add, group, threads)
        for lane in group:
            yield found.pop(lane)


def _from_cluster(
    cluster: Cluster, predictors: _Predictors, nbytes: int, on_progress: Progress
) -> Iterator[ErrorSums]:
    """Yield the sums of all lanes, each of which needs a number of bytes, from workers."""
    share, done = -(-predictors.lanes // len(cluster)), 0
    at_once = min(share, _fitting(nbytes, 0))  # those of a task are in memory together
    starts = range(0, predictors.lanes, at_once)
    groups = [range(start, min(start + at_once, predictors.lanes)) for start in starts]
    pieces = ((group, nbytes) for group in groups)
    found = map_shared(cluster, _lanes, predictors, pieces, nbytes=at_once * nbytes)
    for group, sums in zip(groups, found, strict=True):
        done += sum(part.stop - part.start for lane in group for part in predictors.parts(lane))
        on_progress(done, predictors.ratings)
        yield from sums


def _lanes(predictors: _Predictors, piece: tuple[range, int]) -> list[ErrorSums]:
    """Return the sums of some lanes, each of which needs a number of bytes; on a worker."""
    return [*_summed(predictors, *piece, threads_of(None))]


def _each_of(task: Callable[[int], None], numbers: range, threads: int) -> None:
    each(lambda place: task(numbers[place]), len(numbers), threads)


def _fitting(size: int, scratch: int) -> int:
    """Return how many lanes can be summed at once, if each needs `size` and `scratch` bytes."""
    remedy: Text = ["measure on ratings of fewer users with ", Param("on", "FILE")]
    check_memory(2 * size + scratch, "measuring errors", remedy)
    # Beside them, there are the sums over the earlier lanes.
    return max(room(size) // max(size + scratch, 1), 1)


class _Predictors:
    """The model and the baselines, with the ratings in the row numbers that each of them uses.

    Parameters
    ----------
    model, ratings, baseline, clip, trained_on, posterior
        As in `accumulate`.
    train : Ratings
        Of the split.
    chunk : int
        Number of ratings processed at a time.
    """

    def __init__(
        self,
        model: Model,
        train: Ratings,
        ratings: Ratings,
        baseline: Baseline,
        clip: bool,
        trained_on: Mask | None,
        posterior: Posterior | None,
        chunk: int,
    ) -> None:
        self._given = model, train, ratings, baseline, clip, trained_on, posterior, chunk
        self.chunk = chunk
        self._model, self._baseline, self._clip = model, baseline, clip
        self._own, self._trained_on, self._posterior = ratings, trained_on, posterior
        # Not `Ratings.within`, which may copy whole columns.
        users, items = ratings.users, ratings.items
        self._known = Translation(users, model.users), Translation(items, model.items)
        self._trained = Translation(users, train.users), Translation(items, train.items)
        self._months = months_of(ratings.timestamp)
        self._activity = _training_counts(users, model.users)
        self._popularity = _training_counts(items, model.items)

    def __reduce__(self) -> Any:
        return _Predictors, self._given  # what follows from them is computed again

    @property
    def ratings(self) -> int:
        """Number of ratings."""
        return len(self._own)

    @property
    def lanes(self) -> int:
        """Number of lanes, each of which has at least one chunk."""
        return min(_LANES, -(-len(self._own) // self.chunk))

    def parts(self, lane: int) -> Iterator[slice]:
        """Yield the chunks of a lane."""
        for start in range(lane * self.chunk, len(self._own), self.lanes * self.chunk):
            yield slice(start, min(start + self.chunk, len(self._own)))

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
