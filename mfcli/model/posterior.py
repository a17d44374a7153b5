"""The posterior of a model by its samples, and the distribution of ratings that follows from it.

The rating of user u for item i is normal, with the model's prediction as mean. Its variance is the
sum of two parts: the variance of the prediction over the samples, and the noise of the user. Over
the samples s, ``Var(r) = Var(m_s) + mean(v_s + noise_s)``, where m_s is the prediction of a sample,
and v_s is its variance if a row is unknown. With x for the row of the user, (b_u, p_u), y for that
of the item, Z = (1, q_i) or (1, p_u) and the covariances C of unknown rows, v_s is::

    0                                                 if both are known
    Z^T C_x Z     or     Z^T C_y Z                    if x, or y, is unknown
    C_x00 + C_y00 + sum_fg C_xfg C_yfg  (f, g > 0)    if both are unknown

because unknown rows have the mean zero. Quantiles of the mixture of normal distributions, one for
each sample, cover no better than those of the normal distribution with its moments (on MovieLens
ratings, 90.7% and 90.8% are within intervals of 90%).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numba import types

from mfcli.errors import ArtifactError, Param
from mfcli.model.folder import StoredModel
from mfcli.model.rating_distribution import RatingDistribution
from mfcli.model.samples import LEAST_SAMPLES, Samples
from mfcli.storage import array_type, each, is_limited, kernel, release
from mfcli.types import Doubles, Floats, Rows

_PIECE = 1 << 13  # pairs, or rows, in one task
_RELEASED = 1 << 9  # pairs whose mapped rows are in memory at a time

_ROWS = array_type(types.int32, 1, readonly=True)
_MU = array_type(types.float64, 1, readonly=True)
_SAMPLES = array_type(types.float32, 3, readonly=True)
_OUT = array_type(types.float32, 1)


class Posterior:
    """The posterior of a model with samples; can be used from several threads at once.

    Parameters
    ----------
    model : StoredModel

    Attributes
    ----------
    samples : Samples
    user_rows, item_rows : float32 arrays, shapes (n_users, 1 + k, S) and (n_items, 1 + k, S)
        `Samples.users` and `Samples.items`, contiguous.

    Raises
    ------
    ArtifactError
        If the model has fewer than two samples.
    """

    def __init__(self, model: StoredModel) -> None:
        self._model, self.samples = model, _samples_of(model)
        samples = self.samples
        # Not contiguous if training stopped before all samples were kept.
        self.user_rows, self.item_rows = (
            np.ascontiguousarray(rows) for rows in (samples.users, samples.items)
        )
        # The last entry is for the row -1.
        unknown = np.mean(samples.unknown_noise)
        self._noise = np.append(samples.noise.mean(axis=1, dtype=np.float64), unknown)
        release(samples.noise)
        self._noise[:-1][model.users.counts == 0] = unknown

    def __reduce__(self) -> Any:
        return Posterior, (self._model,)  # the samples are those of the model

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, number: int) -> StoredModel:
        """Return a sample as a model, from 0; the same users and items have the same rows."""
        mu, tables = float(self.samples.mu[number]), self.samples.tables(number)
        return dataclasses.replace(self._model, mu=mu, samples=None).with_tables(tables)

    def ratings(self, user: Rows, item: Rows, *, threads: int = 1) -> RatingDistribution:
        """Return the distributions of the ratings of pairs.

        Parameters
        ----------
        user, item : int32 arrays, shape (n,)
            Rows of the tables; -1 for an unknown user or item.
        threads : int
            Does not change the result.
        """
        if is_limited():
            # In the order of the users, so that few of their mapped rows are in memory at a time.
            order = np.argsort(user, kind="stable")
            found = self._ratings(user[order], item[order], threads)
            place = np.argsort(order, kind="stable")
            columns = {name: getattr(found, name)[place] for name in ("mean", "posterior", "noise")}
            return dataclasses.replace(found, **columns)
        return self._ratings(user, item, threads)

    def _ratings(self, user: Rows, item: Rows, threads: int) -> RatingDistribution:
        mean, variance = (np.empty(len(user), np.float32) for _ in range(2))

        def task(number: int) -> None:
            some = slice(number * _PIECE, (number + 1) * _PIECE)
            mean[some] = self._model.predict_rows(user[some], item[some])
            variance[some] = self._variance(user[some], item[some])

        each(task, -(-len(user) // _PIECE), threads)
        noise = self._noise.take(user).astype(np.float32)
        values, thresholds = self.samples.values, self.samples.thresholds
        return RatingDistribution(mean, variance, noise, self._model.scale, values, thresholds)

    @property
    def unknown_variances(self) -> tuple[Floats, Floats, float]:
        """What unknown rows add to the variance of a prediction.

        Returns
        -------
        float32 array, shape (n_items,)
            For an unknown user and each item.
        float32 array, shape (n_users,)
            For an unknown item and each user.
        float
            For an unknown user and an unknown item.
        """
        return self._of_unknown_users, self._of_unknown_items, self._of_unknown_pairs

    def _variance(self, user: Rows, item: Rows) -> Floats:
        """Return the variance of the predictions of pairs."""
        variance = np.empty(len(user), np.float32)
        # The kernel takes contiguous arrays; broadcast ones are not.
        user, item = np.ascontiguousarray(user), np.ascontiguousarray(item)
        step = _RELEASED if is_limited() else max(len(user), 1)
        for start in range(0, len(user), step):
            some = slice(start, start + step)
            rows = user[some], item[some]
            sample_variances(*rows, self.samples.mu, self.user_rows, self.item_rows, variance[some])
            release_rows(self.user_rows, rows[0])
        new_user = (user < 0) | (self._model.users.counts.take(user) == 0)
        new_item = (item < 0) | (self._model.items.counts.take(item) == 0)
        if new_user.any() or new_item.any():
            by_item, by_user = self._of_unknown_users, self._of_unknown_items
            variance += np.where(new_user & ~new_item, by_item.take(item), np.float32(0))
            variance += np.where(new_item & ~new_user, by_user.take(user), np.float32(0))
            variance[new_user & new_item] += np.float32(self._of_unknown_pairs)
        return variance

    @functools.cached_property
    def _of_unknown_users(self) -> Floats:
        """Variance of the prediction of each item for a user without ratings."""
        return _mean_forms(self.item_rows, self.samples.user_covariance)

    @functools.cached_property
    def _of_unknown_items(self) -> Floats:
        """Variance of the prediction of an item without ratings for each user."""
        return _mean_forms(self.user_rows, self.samples.item_covariance)

    @functools.cached_property
    def _of_unknown_pairs(self) -> float:
        """Variance of the prediction of a user and an item without ratings."""
        users, items = self.samples.user_covariance, self.samples.item_covariance
        products = (users[:, 1:, 1:] * items[:, 1:, 1:]).sum(axis=(1, 2))
        return float(np.mean(users[:, 0, 0] + items[:, 0, 0] + products))


def _samples_of(model: StoredModel) -> Samples:
    if model.samples is not None and len(model.samples) >= LEAST_SAMPLES:
        return model.samples
    found = "no samples" if model.samples is None else "only one sample"
    raise ArtifactError(
        f"the model has {found} to tell how certain a prediction is",
        remedy=["train with ", Param("optimizer", "gibbs"), " and ", Param("keep_samples", 20)],
    )


def release_rows(table: Floats, rows: Rows) -> None:
    """Give back the memory of a mapped table up to the last of some rows."""
    if is_limited() and len(rows):
        # From the start, because the system also maps pages before those that are read.
        release(table[: int(rows.max()) + 1])


def _mean_forms(rows: Floats, covariances: Doubles) -> Floats:
    """Return the mean over the samples of Z^T C Z for each row, shape (n,)."""
    forms = np.empty(len(rows), np.float32)
    # As the rows, with the samples last
    covariance = np.ascontiguousarray(covariances.transpose(1, 2, 0), np.float32)
    for start in range(0, len(rows), _PIECE):
        some = rows[start : start + _PIECE]
        mean_forms(some, covariance, forms[start : start + _PIECE])
        release(some)
    return forms


@kernel(_ROWS, _ROWS, _MU, _SAMPLES, _SAMPLES, _OUT)
def sample_variances(user: Any, item: Any, mu: Any, users: Any, items: Any, out: Any) -> None:
    """Set `out` to the variance of the predictions of each pair over the samples."""
    d, size = users.shape[1], users.shape[2]
    scores, centers = np.empty(size, np.float32), np.empty(size, np.float32)
    for s in range(size):
        # Without the large common part, squares of float32 are exact enough.
        centers[s] = np.float32(mu[s] - mu[0])
    for n in range(len(user)):
        u, i = user[n], item[n]
        for s in range(size):
            scores[s] = centers[s]
        if u >= 0:
            x = users[u, 0]
            for s in range(size):
                scores[s] += x[s]
        if i >= 0:
            y = items[i, 0]
            for s in range(size):
                scores[s] += y[s]
        if u >= 0 and i >= 0:
            for f in range(1, d):
                x, y = users[u, f], items[i, f]
                for s in range(size):
                    scores[s] += x[s] * y[s]
        total, squares = 0.0, 0.0
        for s in range(size):
            total += np.float64(scores[s])
        mean = total / size
        for s in range(size):
            squares += (np.float64(scores[s]) - mean) ** 2
        out[n] = squares / (size - 1)


@kernel(_SAMPLES, _SAMPLES, _OUT)
def mean_forms(rows: Any, covariance: Any, out: Any) -> None:
    """Set `out` to the mean over the samples s of ``sum_fg C_fgs Z_fs Z_gs``, where Z_0s is 1."""
    d, size = rows.shape[1], rows.shape[2]
    z, form = np.empty((d, size), np.float32), np.empty(size, np.float32)
    for n in range(len(rows)):
        for f in range(d):
            for s in range(size):
                z[f, s] = rows[n, f, s] if f else np.float32(1.0)
        for s in range(size):
            form[s] = np.float32(0.0)
        for f in range(d):
            for g in range(d):
                x, y, c = z[f], z[g], covariance[f, g]
                for s in range(size):
                    form[s] += c[s] * x[s] * y[s]
        total = 0.0
        for s in range(size):
            total += np.float64(form[s])
        out[n] = total / size
